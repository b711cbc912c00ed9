/*
 * The draw and how it is verified: what {queue}/draw says before it (the key's
 * fingerprint) and after it (the key), the visitor's own place, and the command
 * that computes it again.  Asked when a visitor wants to know, and once more
 * when the draw has been held; both spread or by hand, so that a crowd does not ask at once.
 */

import { ask, backoff, byId, number, page, show, text } from "./page.js";
import { after, cancel } from "./ticker.js";

const SPREAD_MS = 10000;

const draw = {
    facts: null,      /* the last good answer */
    own: null,        /* {number, place} once drawn */
    asked: false,     /* for the facts after the draw */
    busy: false,
    failures: 0,      /* answers that did not say all */
    timer: 0,         /* of the next request */
};

const url = `${page.queue}/draw`;

const complete = () => draw.facts && (draw.facts.key || !draw.own);

/* A server that has not heard of the draw yet is asked again. */
async function fetchFacts() {
    if (draw.busy || complete()) return;
    draw.busy = true;
    const answer = await ask("GET", url);
    draw.busy = false;
    if (answer.status === 200 && answer.data) draw.facts = answer.data;
    render();
    if (complete() || answer.status === 404) return;
    draw.failures += 1;
    cancel(draw.timer);
    draw.timer = after(backoff(draw.failures, answer.retryAfter), fetchFacts);
}

function render() {
    const { facts, own } = draw;
    if (facts) show(byId("draw-commitment"), facts.commitment || "");
    if (!own) return;
    const entries = facts && facts.entries;
    show(byId("drawn"), entries ? text("drawn-of", { place: own.place, entries }) : text("drawn", { place: own.place }));
    byId("draw-own").hidden = false;
    byId("draw-place").textContent = number(own.place);
    byId("draw-number").textContent = number(own.number);
    if (!facts || !facts.key) return;
    byId("draw-held").hidden = false;
    byId("draw-key").textContent = facts.key;
    byId("draw-command").textContent =
        `scripts/verify-draw --commitment ${facts.commitment} --key ${facts.key} --entries ${entries} --number ${own.number}`;
}

/* Of any state of the line.  Returns the words to say aloud when a place has just been drawn, else "". */
export function showDraw(state) {
    const drawn = typeof state.place === "number";
    byId("draw").hidden = !(drawn || state.draw);
    if (!drawn) return "";
    const news = !draw.own;
    draw.own = { number: state.number, place: state.place };
    render();
    if (!draw.asked) after(Math.random() * SPREAD_MS, fetchFacts);
    draw.asked = true;
    return news ? byId("drawn").textContent : "";
}

export function startDraw() {
    byId("draw-link").href = url;
    byId("draw-link").textContent = new URL(url, location.href).href;
    byId("draw").addEventListener("toggle", () => byId("draw").open && fetchFacts());
}
