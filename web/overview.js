/*
 * The whole hall at a glance, where it is larger than its window: a picture on
 * which one can point to where one wants to look.  With the keyboard one moves
 * in the hall itself, so this is only for the eye and the hand.
 */

import { byId } from "./page.js";

const TALLEST_ABOVE = 150;
const TALLEST_BESIDE = 500;
const TIERS = 6;

export class Overview {
    #plan;
    #stateOf;
    #scale = 1;
    #drawing = 0;
    #colours = {};

    constructor(plan, stateOf) {
        this.#plan = plan;
        this.#stateOf = stateOf;
        const fit = new ResizeObserver(() => this.#fit());
        fit.observe(byId("hall"));
        fit.observe(byId("place"));
        byId("hall").addEventListener("scroll", () => this.#showWindow(), { passive: true });
        byId("overview").addEventListener("pointerdown", (event) => this.#onPoint(event, true));
        byId("overview").addEventListener("pointermove", (event) => this.#onPoint(event, false));
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#fit());
        this.#fit();
    }

    #fit() {
        const { width, height } = this.#plan;
        const hall = byId("hall");
        const needed = width > byId("place").clientWidth || height > hall.clientHeight * 1.6;
        byId("overview").hidden = !needed;
        if (!needed) return;
        const room = byId("beside").clientWidth;
        this.#scale = Math.min((room - 2) / width, (room < byId("place").clientWidth ? TALLEST_BESIDE : TALLEST_ABOVE) / height);
        const canvas = byId("picture");
        const dots = Math.min(devicePixelRatio || 1, 2);
        [canvas.width, canvas.height] = [Math.round(width * this.#scale * dots), Math.round(height * this.#scale * dots)];
        [canvas.style.width, canvas.style.height] = [`${width * this.#scale}px`, `${height * this.#scale}px`];
        const { style } = byId("window");
        style.width = `${Math.min(hall.clientWidth, width) * this.#scale}px`;
        style.height = `${Math.min(hall.clientHeight, height) * this.#scale}px`;
        this.#readColours();
        this.#draw();
        this.#showWindow();
    }

    #readColours() {
        const style = getComputedStyle(document.documentElement);
        const colour = (name) => style.getPropertyValue(`--${name}`).trim();
        const gone = colour("gone");
        this.#colours = { chosen: colour("accent"), mine: colour("accent"), held: gone, sold: gone, blocked: "transparent",
            free: Array.from({ length: TIERS }, (_, i) => colour(`tier-${i}`)) };
    }

    /* To be called when seats have changed; draws once for all changes of a frame. */
    changed() {
        if (byId("overview").hidden || this.#drawing) return;
        this.#drawing = requestAnimationFrame(() => this.#draw());
    }

    #draw() {
        const { seats, pitch } = this.#plan;
        const canvas = byId("picture");
        const pen = canvas.getContext("2d");
        const scale = canvas.width / this.#plan.width;
        const side = Math.max(1, (pitch - 4) * scale);
        this.#drawing = 0;
        pen.clearRect(0, 0, canvas.width, canvas.height);
        for (const seat of seats) {
            const state = this.#stateOf(seat.no);
            const large = state === "chosen" || state === "mine" ? side * 0.8 : 0;
            pen.fillStyle = state === "free" ? this.#colours.free[seat.tier % TIERS] : this.#colours[state];
            pen.fillRect(seat.x * scale - large / 2, seat.y * scale - large / 2, side + large, side + large);
        }
    }

    #showWindow() {
        const hall = byId("hall");
        if (byId("overview").hidden) return;
        byId("window").style.transform = `translate(${hall.scrollLeft * this.#scale}px, ${hall.scrollTop * this.#scale}px)`;
    }

    /* The middle of the window comes to where one points. */
    #onPoint(event, first) {
        if (!first && event.buttons === 0) return;
        event.preventDefault();
        const hall = byId("hall");
        const { left, top } = byId("picture").getBoundingClientRect();
        hall.scrollTo((event.clientX - left) / this.#scale - hall.clientWidth / 2, (event.clientY - top) / this.#scale - hall.clientHeight / 2);
    }
}
