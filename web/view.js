/*
 * What the waiting page shows of each state: headings, position, countdowns,
 * the title, and what screen readers are told.  data-state of the body says
 * what is to be seen (ticket.css), data-position whether there is a position.
 */

import { clock, Countdown, duration } from "./countdown.js";
import { showDraw } from "./draw.js";
import { byId, number, page, recall, remember, show, text } from "./page.js";

const STALE_MS = 10000;
const SPEAK_EVERY_MS = 30000;
const CLOSES_SOON_MS = 3600000;

const FIRST_KEY = `ticket-first:${page.queue}`;

const view = {
    spokenAt: -Infinity,
    opening: new Countdown(showOpening),
    closing: new Countdown(showClosing),
};

/* To screen readers: at most one position in half a minute, other news at once. */
export function speak(words, now) {
    if (!now && performance.now() - view.spokenAt < SPEAK_EVERY_MS) return;
    view.spokenAt = performance.now();
    byId("spoken").textContent = words;
}

/* What all states have in common; headings are words that are already in the page's language. */
function begin(state, heading, lead) {
    page.state = state;
    show(byId("heading"), heading);
    show(byId("lead"), lead);
    if (state !== "prequeue" && state !== "closed") view.opening.stop();
    if (state !== "waiting") hideClosing();
}

/* Who has no number has nothing to leave. */
function showNumber(own) {
    const none = typeof own !== "number";
    byId("numbered").hidden = byId("leave").hidden = none;
    if (!none) byId("number").textContent = number(own);
}

function showFigures({ position, ahead, waiting }) {
    const known = typeof position === "number";
    page.position = known ? position : "";
    byId("waiting").textContent = typeof waiting === "number" ? number(waiting) : "–";
    if (!known) return;
    byId("position").textContent = number(position);
    byId("ahead").textContent = number(ahead ?? position - 1);
    byId("behind").textContent = number(Math.max(0, waiting - position));
}

/* state is the answer, place what became of an earlier place, if anything did. */
export function showWaiting(state, place) {
    begin("waiting", text("heading-waiting"), text("lead-waiting"));
    show(byId("note"), noteFor(state, place));
    showNumber(state.number);
    byId("eta").textContent = estimate(state.eta);
    if (state.closes_in_ms >= 0 && state.closes_in_ms < CLOSES_SOON_MS) view.closing.set(state.closes_in_ms);
    else hideClosing();
    const drawn = showDraw(state);
    if (drawn) speak(drawn, true);
    const { position } = state;
    if (typeof position !== "number") return;
    showFigures(state);
    showProgress(state.number, position);
    document.title = text("title", { position });
    speak(text("spoken", { position }), false);
}

/* That an earlier place was lost stays true, whatever else is to be said. */
const noteFor = (state, place) => [place, hindrance(state)].filter((words) => words !== "").join(" ");

function hindrance(state) {
    if (state.sold_out) return text("sold-out");
    if (state.paused) return text("paused");
    if (state.updated_ms > STALE_MS) return text("stale", { seconds: Math.round(state.updated_ms / 1000) });
    return "";
}

/* The bar runs from the first position seen with this number to the front. */
function showProgress(own, position) {
    const kept = recall("localStorage", FIRST_KEY);
    const first = kept && kept.number === own ? Math.max(kept.first, position) : position;
    remember("localStorage", FIRST_KEY, { number: own, first });
    byId("progress").max = first;
    byId("progress").value = first - position;
}

export function forgetProgress() {
    remember("localStorage", FIRST_KEY, null);
}

/* Seconds to words: minutes up to an hour and a half, then hours. */
function estimate(eta) {
    if (!eta) return text("eta-unknown");
    if (eta.max <= 60) return text("eta-minute");
    const unit = eta.max > 5400 ? "hours" : "minutes";
    const size = unit === "hours" ? 3600 : 60;
    const min = Math.floor(eta.min / size);
    const max = Math.ceil(eta.max / size);
    if (min < 1) return text(`eta-${unit}-up-to`, { max });
    return min === max ? text(`eta-${unit}`, { max }) : text(`eta-${unit}-range`, { min, max });
}

export function showTurn() {
    begin("called", text("heading-called"), text("lead-called"));
    show(byId("note"), "");
    byId("progress").value = byId("progress").max;
    document.title = text("heading-called");
    speak(text("heading-called"), true);
}

/* Before the sale: the draw or the line, and when it opens. */
export function showPrequeue(state, place) {
    const draw = Boolean(state.draw);
    begin("prequeue", draw ? text("heading-draw") : text("heading-prequeue"), draw ? text("lead-draw") : text("lead-prequeue"));
    show(byId("note"), place);
    showNumber(state.number);
    showFigures(state);
    showDraw(state);
    show(byId("opening-label"), text("sale-opens-in"));
    open(state.opens_in_ms);
}

/*
 * A room that takes nobody: {opens_in_ms, prequeue_in_ms}, either null or missing
 * when there is no such time.  kept: the visitor has a place.
 */
export function showClosed(state, kept) {
    const ms = untilOpen(state);
    const lead = kept ? text("lead-closed-kept") : ms === null ? text("lead-closed") : text("lead-soon");
    begin("closed", ms === null ? text("heading-closed") : text("heading-soon"), lead);
    show(byId("note"), "");
    showNumber(kept ? state.number : null);
    byId("draw").hidden = true;
    show(byId("opening-label"), typeof state.prequeue_in_ms === "number" ? text("room-opens-in") : text("sale-opens-in"));
    open(ms);
    if (ms !== null) return;
    document.title = text("heading-closed");
    speak(text("heading-closed"), true);
}

/* Milliseconds until a closed room takes visitors, null when that is not known. */
export const untilOpen = (state) => state.prequeue_in_ms ?? state.opens_in_ms ?? null;

function open(ms) {
    byId("opening").hidden = typeof ms !== "number";
    if (typeof ms === "number") view.opening.set(ms);
    else view.opening.stop();
}

/* Before the first answer: seconds from the page itself. */
export function showOpensIn(seconds) {
    show(byId("opening-label"), text("sale-opens-in"));
    open(seconds * 1000);
}

function showOpening(seconds, aloud) {
    const { days, time } = clock(seconds);
    show(byId("opening-days"), days);
    byId("opening-time").textContent = time;
    document.title = seconds > 0 ? text("title-opening", { time: `${days} ${time}`.trim() }) : text("heading-opening");
    if (seconds === 0) {
        show(byId("heading"), text("heading-opening"));
        show(byId("lead"), text("lead-opening"));
    }
    if (!aloud) return;
    const label = byId("opening-label").textContent;
    speak(seconds > 0 ? `${label}: ${duration(seconds)}` : text("heading-opening"), true);
}

function showClosing(seconds) {
    show(byId("closes"), seconds > 0 ? text("closes-in", { time: duration(seconds) }) : "");
}

function hideClosing() {
    view.closing.stop();
    show(byId("closes"), "");
}

export function showPuzzle(expected) {
    begin("puzzle", text("heading-puzzle"), text("lead-puzzle"));
    show(byId("note"), "");
    showNumber(null);
    showTries(0, expected);
    document.title = text("heading-puzzle");
    speak(text("lead-puzzle"), true);
}

/* The bar shows how likely it was to be done by now: nobody can know how long it takes. */
export function showTries(tries, expected) {
    byId("puzzle-bar").value = 1 - Math.exp(-tries / expected);
    byId("puzzle-tries").textContent = text("tries", { tries, expected });
}

export function showPuzzleFailed() {
    begin("failed", text("heading-puzzle-failed"), text("lead-puzzle-failed"));
    byId("plain").hidden = !page.plain;
    byId("plain-link").href = page.plain;
    document.title = text("heading-puzzle-failed");
    speak(text("heading-puzzle-failed"), true);
}

export function showLeft() {
    begin("left", text("heading-left"), text("lead-left"));
    show(byId("note"), "");
    showNumber(null);
    byId("draw").hidden = true;
    document.title = text("heading-left");
    speak(text("heading-left"), true);
}

/* Numbers that nginx has written, as the language writes them. */
export function startView() {
    for (const id of ["position", "number"]) {
        const shown = byId(id).textContent.trim();
        if (/^\d+$/.test(shown)) byId(id).textContent = number(Number(shown));
    }
    if (/^\d+$/.test(page.opensIn)) showOpensIn(Number(page.opensIn));
}
