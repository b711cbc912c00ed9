/*
 * What the visitor holds, each with its time left, and what can be done with it.
 */

import { Countdown, clock } from "./countdown.js";
import { byId, text } from "./page.js";

const LAST_MINUTE_S = 60;

export class Tray {
    #on;                     /* extend(hold), release(hold), lastMinute(hold), over(hold) */
    #lines = new Map();      /* id of a hold → {element, countdown, hold} */

    constructor(on) {
        this.#on = on;
    }

    /* words(hold): what it is. */
    show(holds, words) {
        const kept = new Set(holds.map(({ id }) => id));
        for (const [id, line] of this.#lines) if (!kept.has(id)) this.#drop(id, line);
        for (const hold of holds) this.#set(hold, words(hold));
        byId("held").hidden = holds.length === 0;
    }

    #drop(id, { element, countdown }) {
        countdown.stop();
        element.remove();
        this.#lines.delete(id);
    }

    #set(hold, words) {
        const line = this.#lines.get(hold.id) ?? this.#add(hold);
        const moved = line.hold === null || Math.abs(line.hold.endsAt - hold.endsAt) > 1500;
        line.hold = hold;
        line.element.querySelector(".what").textContent = words;
        line.element.querySelector(".extend").hidden = hold.extended;
        if (!moved) return;
        line.warned = false;
        line.countdown.set(hold.endsAt - performance.now());
    }

    #add(hold) {
        const element = byId("hold-line").content.firstElementChild.cloneNode(true);
        const line = { element, hold: null, warned: false, countdown: new Countdown((seconds) => this.#onSecond(line, seconds)) };
        this.#lines.set(hold.id, line);
        element.dataset.hold = hold.id;
        element.querySelector(".extend").addEventListener("click", () => this.#on.extend(line.hold));
        element.querySelector(".release").addEventListener("click", () => this.#on.release(line.hold));
        byId("holds").append(element);
        return line;
    }

    #onSecond(line, seconds) {
        line.element.querySelector(".left").textContent = clock(seconds).time;
        line.element.classList.toggle("last", seconds <= LAST_MINUTE_S);
        if (seconds === 0) return this.#on.over(line.hold);
        if (seconds > LAST_MINUTE_S || line.warned) return undefined;
        line.warned = true;
        return this.#on.lastMinute(line.hold);
    }

    /* What is under way must not be asked for twice. */
    busy(id, is) {
        for (const button of this.#lines.get(id)?.element.querySelectorAll("button") ?? []) button.disabled = is;
    }

    focus(id) {
        this.#lines.get(id)?.element.querySelector(".release").focus();
    }

    extendsTo(time) {
        for (const button of [byId("hold-line").content, ...[...this.#lines.values()].map(({ element }) => element)]) {
            button.querySelector(".extend").textContent = text("extend", { time });
        }
    }
}
