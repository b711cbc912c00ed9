/*
 * The hall: a button for each seat of the rows that are in view or near it; the
 * others are drawn when they come into view, so that a hall may be of any size.
 * One tab stop: arrows, Home, End and the page keys move inside.
 */

import { byId, text } from "./page.js";

const MARKS = { free: "", chosen: "✓", mine: "★", held: "–", sold: "×", blocked: "" };
const NEAR = "300px";
const FIRST_AT = 0.35;       /* of the window's height: where the best seat is first seen, or higher */
const TIERS = 6;             /* as many have a look of their own */

const KEYS = {
    ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], Home: [-Infinity, 0], End: [Infinity, 0],
};

const within = (n, length) => Math.min(Math.max(n, 0), length - 1);

const px = (n) => `${n}px`;

export class Hall {
    #plan;
    #tiers;                  /* names */
    #stateOf;                /* number of a seat → its state as a word */
    #lines = [];             /* by row: its element */
    #buttons = new Map();    /* number → button, of the rows that are drawn */
    #current;                /* the seat of the tab stop */
    #observer;

    /* onPick is called with a seat that was clicked, or chosen with the space bar. */
    constructor(plan, tiers, stateOf, onPick) {
        this.#plan = plan;
        this.#tiers = tiers;
        this.#stateOf = stateOf;
        this.#build();
        this.#observer = new IntersectionObserver((entries) => this.#onView(entries), { root: byId("hall"), rootMargin: NEAR });
        for (const line of this.#lines) this.#observer.observe(line);
        this.#stopAt(plan.best);
        byId("map").addEventListener("click", (event) => {
            const seat = this.#seatOf(event);
            if (!seat) return;
            this.#stopAt(seat);
            onPick(seat);
        });
        byId("map").addEventListener("keydown", (event) => this.#onKey(event));
    }

    #build() {
        const { width, height, pitch, stage, sections, best } = this.#plan;
        const map = byId("map");
        map.style.width = px(width);
        map.style.height = px(height);
        map.style.setProperty("--seat", px(pitch - 2));
        byId("stage").hidden = stage === null;
        if (stage) [byId("stage").style.left, byId("stage").style.top] = [px(stage.x), px(stage.y)];
        for (const { name, x, y } of sections) {
            const title = document.createElement("p");
            title.className = "block";
            title.textContent = name;
            title.setAttribute("aria-hidden", "true");
            [title.style.left, title.style.top] = [px(x), px(y)];
            map.append(title);
        }
        this.#lines = this.#plan.rows.map((row, i) => this.#buildRow(row, i));
        map.append(this.#buildGutter(), ...this.#lines);
        const { clientWidth, clientHeight } = byId("hall");
        byId("hall").scrollTo(best.x + pitch / 2 - clientWidth / 2, best.y - clientHeight * FIRST_AT);
    }

    /* Names of straight rows stay in view: one element moves for all of them. */
    #buildGutter() {
        const gutter = document.createElement("div");
        gutter.className = "gutter";
        gutter.setAttribute("aria-hidden", "true");
        gutter.append(...this.#plan.rows.filter(({ straight }) => straight).map((row) => this.#buildName(row, 0, row.top)));
        return gutter;
    }

    #buildName(row, left, top) {
        const name = document.createElement("span");
        name.setAttribute("aria-hidden", "true");
        name.textContent = row.name;
        [name.style.left, name.style.top] = [px(left), px(top)];
        return name;
    }

    #buildRow(row, i) {
        const { pitch, label, sections } = this.#plan;
        const line = document.createElement("div");
        line.className = "row";
        line.dataset.row = i;
        line.setAttribute("role", "group");
        line.setAttribute("aria-label", sections.length > 0 ? text("section-row", { section: row.section, row: row.name }) : text("row", { row: row.name }));
        Object.assign(line.style, {
            left: px(row.left - label), top: px(row.top), width: px(row.right + pitch - row.left + label), height: px(row.bottom + pitch - row.top),
        });
        const [first] = row.seats;
        if (!row.straight) line.append(this.#buildName(row, first.x - row.left, first.y - row.top));
        return line;
    }

    #onView(entries) {
        for (const { target, isIntersecting } of entries) {
            const row = Number(target.dataset.row);
            if (isIntersecting) this.#fill(row);
            else this.#empty(row);
        }
    }

    #fill(i) {
        const row = this.#plan.rows[i];
        if (this.#buttons.has(row.seats[0].no)) return;
        this.#lines[i].append(...row.seats.map((seat) => this.#buildSeat(seat, row)));
    }

    /* What has the focus or the tab stop stays. */
    #empty(i) {
        if (this.#current.row === i) return;
        for (const { no } of this.#plan.rows[i].seats) {
            this.#buttons.get(no)?.remove();
            this.#buttons.delete(no);
        }
    }

    #buildSeat(seat, row) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "seat";
        button.tabIndex = -1;
        button.dataset.seat = seat.name;
        button.dataset.no = seat.no;
        button.dataset.tier = seat.tier % TIERS;
        button.style.left = px(seat.x - row.left + this.#plan.label);
        button.style.top = px(seat.y - row.top);
        this.#buttons.set(seat.no, button);
        this.paint(seat.no);
        return button;
    }

    /* Shows what the seat is now, if it is drawn. */
    paint(no) {
        const button = this.#buttons.get(no);
        const state = this.#stateOf(no);
        if (!button || button.dataset.state === state) return;
        const seat = this.#plan.seats[no];
        button.dataset.state = state;
        button.textContent = MARKS[state] || (state === "free" ? seat.label : "");
        button.setAttribute("aria-label", this.words(seat));
        button.setAttribute("aria-pressed", String(state === "chosen" || state === "mine"));
        button.setAttribute("aria-disabled", String(state !== "free" && state !== "chosen"));
    }

    paintAll() {
        for (const no of this.#buttons.keys()) this.paint(no);
    }

    words(seat) {
        return text("seat", { seat: seat.name, tier: this.#tiers[seat.tier], state: text(`state-${this.#stateOf(seat.no)}`) });
    }

    /* Brings a seat into view and gives it the tab stop. */
    reveal(no) {
        const seat = this.#plan.seats[no];
        this.#stopAt(seat);
        this.#buttons.get(no).scrollIntoView({ block: "nearest", inline: "nearest" });
    }

    #seatOf(event) {
        const button = event.target.closest(".seat");
        return button ? this.#plan.seats[Number(button.dataset.no)] : undefined;
    }

    #stopAt(seat) {
        const before = this.#current && this.#buttons.get(this.#current.no);
        if (before) before.tabIndex = -1;
        this.#current = seat;
        this.#fill(seat.row);
        this.#buttons.get(seat.no).tabIndex = 0;
    }

    #onKey(event) {
        const seat = this.#seatOf(event);
        const to = seat && this.#target(seat, event.key);
        if (!to) return;
        event.preventDefault();
        this.#stopAt(to);
        this.#buttons.get(to.no).focus();
    }

    #target(seat, key) {
        const { rows } = this.#plan;
        if (key === "PageUp" || key === "PageDown") return this.#inSection(seat, key === "PageUp" ? -1 : 1);
        if (!KEYS[key]) return undefined;
        const [right, down] = KEYS[key];
        const row = rows[seat.row];
        if (down === 0) return row.seats[within(row.seats.indexOf(seat) + right, row.seats.length)];
        return this.#nearest(seat, within(seat.row + down * this.#downwards(seat.row), rows.length));
    }

    /* Whether the next row of the order is further down on the screen (1) or up (-1). */
    #downwards(i) {
        const { rows } = this.#plan;
        const other = rows[i + 1]?.section === rows[i].section ? [rows[i], rows[i + 1]] : [rows[i - 1] ?? rows[i], rows[i]];
        return other[0].section === other[1].section && other[1].top < other[0].top ? -1 : 1;
    }

    #nearest(seat, i) {
        const { rows } = this.#plan;
        return i === seat.row ? seat : rows[i].seats.reduce((best, other) => Math.abs(other.x - seat.x) < Math.abs(best.x - seat.x) ? other : best);
    }

    /* The first row of the next section, or of the one before. */
    #inSection(seat, step) {
        const { rows } = this.#plan;
        let i = seat.row;
        while (rows[i] && rows[i].section === rows[seat.row].section) i += step;
        if (!rows[i]) return this.#nearest(seat, step > 0 ? rows.length - 1 : 0);
        while (rows[i - 1] && rows[i - 1].section === rows[i].section) i -= 1;
        return this.#nearest(seat, i);
    }
}
