/*
 * Countdowns by the server's clock: it says how many milliseconds are left, and
 * from there on only time that passes is counted, never the visitor's own date.
 */

import { after, cancel } from "./ticker.js";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;

/* What is told to screen readers, besides every full hour: at so many seconds left. */
const MARKS = [1800, 900, 600, 300, 120, 60, 10, 0];
const SPEAK_EVERY_MS = 60000;

const language = document.documentElement.lang;

/*
 * onSecond is called at once and with each second: (seconds left, rounded up;
 * whether that is worth saying aloud).
 */
export class Countdown {
    #onSecond;
    #endsAt = NaN;
    #timer = 0;
    #told = Infinity;           /* seconds when onSecond was last called */
    #spokenAt = -Infinity;

    constructor(onSecond) {
        this.#onSecond = onSecond;
    }

    /* Milliseconds left as of now.  To be set anew with each answer. */
    set(ms) {
        this.#endsAt = performance.now() + ms;
        this.#tick();
    }

    stop() {
        cancel(this.#timer);
        this.#endsAt = NaN;
        this.#told = Infinity;
    }

    #tick() {
        cancel(this.#timer);
        const left = Math.max(0, this.#endsAt - performance.now());
        const seconds = Math.ceil(left / 1000);
        const aloud = this.#worthSaying(seconds);
        this.#told = seconds;
        if (left > 0) this.#timer = after(left - (seconds - 1) * 1000 + 1, () => this.#tick());
        this.#onSecond(seconds, aloud);
    }

    /* At most once a minute, but the last two marks always. */
    #worthSaying(seconds) {
        const first = this.#told === Infinity;
        const mark = MARKS.find((at) => this.#told > at && seconds <= at);
        const hour = Math.floor((this.#told - 1) / HOUR) > Math.floor((seconds - 1) / HOUR);
        if (!first && mark === undefined && !hour) return false;
        const soon = !first && seconds <= 10;
        if (!soon && performance.now() - this.#spokenAt < SPEAK_EVERY_MS) return false;
        this.#spokenAt = performance.now();
        return true;
    }
}

const two = (n) => `${n}`.padStart(2, "0");

const counted = (n, unit) => n.toLocaleString(language, { style: "unit", unit, unitDisplay: "long" });

/* 93784 → {days: "1 day", time: "2:03:04"}; days is empty below one. */
export function clock(seconds) {
    const hours = Math.floor((seconds % DAY) / HOUR);
    const minutes = Math.floor((seconds % HOUR) / MINUTE);
    const time = `${two(minutes)}:${two(seconds % MINUTE)}`;
    return {
        days: seconds < DAY ? "" : counted(Math.floor(seconds / DAY), "day"),
        time: seconds < HOUR ? time : `${hours}:${time}`,
    };
}

/* 93784 → "1 day, 2 hours"; 200 → "4 minutes": rounded up, as for a clock one only hears of. */
export function duration(seconds) {
    if (seconds <= MINUTE) return counted(seconds, "second");
    if (seconds <= HOUR) return counted(Math.ceil(seconds / MINUTE), "minute");
    const hours = Math.floor((seconds % DAY) / HOUR);
    const parts = seconds < DAY
        ? [[hours, "hour"], [Math.floor((seconds % HOUR) / MINUTE), "minute"]]
        : [[Math.floor(seconds / DAY), "day"], [hours, "hour"]];
    const words = parts.filter(([n]) => n > 0).map(([n, unit]) => counted(n, unit));
    return new Intl.ListFormat(language, { type: "unit" }).format(words);
}
