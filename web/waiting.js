/*
 * The waiting page: polls the line, shows where the visitor stands, claims when
 * called and reloads, upon which the gate lets them through.  The token is a
 * cookie that scripts cannot read; nothing here can lose it.  Whatever fails is
 * tried again for as long as it takes, with the last known position left on
 * show.
 */

import { ask, backoff, byId, confirmed, number, page, recall, remember, show, text } from "./page.js";

const POLL_MS = 5000;
const SHORTEST_MS = 250;
const STALE_MS = 10000;
const SPEAK_EVERY_MS = 30000;
const RELOAD_EVERY_MS = 10000;

const FIRST_KEY = `ticket-first:${page.queue}`;
const RELOADED_KEY = `ticket-reloaded:${page.queue}`;

const line = {
    method: "GET",     /* of the next request */
    failures: 0,       /* since the last good answer */
    stored: false,     /* a join was answered: the cookie must come back */
    over: false,       /* left, or cookies are off: no more requests */
    busy: false,       /* a request is under way */
    place: "",         /* what became of an earlier place, if anything did */
    dueAt: 0,
    timer: 0,          /* id of the timer that counts; older ones are ignored */
    spokenAt: -Infinity,
};

const ticker = startTicker();

function startTicker() {
    try {
        const worker = new Worker(new URL("timer.js", import.meta.url));
        worker.onmessage = ({ data }) => due(data);
        return (id, ms) => worker.postMessage({ id, ms });
    } catch {
        return (id, ms) => setTimeout(due, ms, id);
    }
}

function due(id) {
    if (id === line.timer) step();
}

function schedule(ms) {
    line.dueAt = performance.now() + ms;
    line.timer += 1;
    ticker(line.timer, ms);
}

/* One request and what follows from its answer. */
async function step() {
    if (line.busy || line.over) return;
    line.busy = true;
    const answer = await ask(line.method, page.queue);
    line.busy = false;
    if (line.over) return;
    const ms = judge(answer);
    if (!line.over) schedule(ms);
}

/* Returns the milliseconds until the next request. */
function judge(answer) {
    const good = answer.status === 200 || answer.status === 201;
    if (good && answer.data && answer.data.state) return known(answer.data);
    if (answer.status === 401) return line.stored ? cookiesOff() : joinAnew("");
    if (answer.status === 403 || answer.status === 410) return joinAnew(text("place-lost"));
    return failed(answer);
}

function known(state) {
    const claimed = line.method === "POST";
    line.failures = 0;
    line.method = "GET";
    line.stored = line.stored || claimed;
    show(byId("retrying"), "");
    if (state.state === "admitted") return leadOn();
    if (state.state === "called") return called(state, claimed);
    showPlace(state);
    return Math.max(SHORTEST_MS, state.poll_after_ms || POLL_MS);
}

function called(state, claimed) {
    line.method = "POST";
    showTurn();
    return claimed ? Math.max(SHORTEST_MS, state.poll_after_ms || POLL_MS) : 0;
}

/* Reloads into the page behind the gate.  Should the gate not let the visitor through, this must not become a storm of reloads. */
function leadOn() {
    showTurn();
    const ago = Date.now() - (recall("sessionStorage", RELOADED_KEY) || 0);
    if (ago >= 0 && ago < RELOAD_EVERY_MS) return RELOAD_EVERY_MS - ago;
    remember("sessionStorage", RELOADED_KEY, Date.now());
    remember("localStorage", FIRST_KEY, null);
    line.over = true;
    location.reload();
    return 0;
}

/* The answer has cleared the refused cookie, so that a POST joins anew; if even that is refused, it is a failure like any other. */
function joinAnew(place) {
    if (line.method === "POST") return failed({ retryAfter: 0 });
    line.method = "POST";
    line.stored = false;
    line.place = place || line.place;
    return 0;
}

function failed(answer) {
    line.failures += 1;
    show(byId("retrying"), text("retrying"));
    speak(text("retrying"), line.failures === 1);
    return backoff(line.failures, answer.retryAfter);
}

function cookiesOff() {
    line.over = true;
    show(byId("note"), text("cookies"));
    return 0;
}

function showPlace(state) {
    const { position, waiting } = state;
    show(byId("heading"), text("heading-waiting"));
    show(byId("lead"), text("lead-waiting"));
    show(byId("note"), noteFor(state));
    byId("number").textContent = number(state.number);
    byId("numbered").hidden = false;
    byId("eta").textContent = estimate(state.eta);
    if (typeof position !== "number") return;
    byId("position").textContent = number(position);
    byId("ahead").textContent = number(state.ahead);
    byId("behind").textContent = number(Math.max(0, waiting - position));
    showProgress(state.number, position);
    document.title = text("title", { position });
    speak(text("spoken", { position }), false);
}

function noteFor(state) {
    if (state.sold_out) return text("sold-out");
    if (state.paused) return text("paused");
    if (state.updated_ms > STALE_MS) return text("stale", { seconds: Math.round(state.updated_ms / 1000) });
    return line.place;
}

/* The bar runs from the first position seen with this number to the front. */
function showProgress(own, position) {
    const kept = recall("localStorage", FIRST_KEY);
    const first = kept && kept.number === own ? Math.max(kept.first, position) : position;
    remember("localStorage", FIRST_KEY, { number: own, first });
    byId("progress").max = first;
    byId("progress").value = first - position;
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

function showTurn() {
    show(byId("heading"), text("heading-called"));
    show(byId("lead"), text("lead-called"));
    show(byId("note"), "");
    byId("progress").value = byId("progress").max;
    document.title = text("heading-called");
    speak(text("heading-called"), true);
}

/* To screen readers: at most one position in half a minute, other news at once. */
function speak(words, now) {
    if (!now && performance.now() - line.spokenAt < SPEAK_EVERY_MS) return;
    line.spokenAt = performance.now();
    byId("spoken").textContent = words;
}

async function leave() {
    if (!(await confirmed(byId("leave-dialog")))) return;
    line.over = true;
    const answer = await ask("DELETE", page.queue);
    if (answer.status === 0 || answer.status === 429 || answer.status >= 500) return stay(answer);
    remember("localStorage", FIRST_KEY, null);
    show(byId("heading"), text("heading-left"));
    show(byId("lead"), text("lead-left"));
    show(byId("note"), "");
    byId("standing").hidden = byId("leave").hidden = byId("numbered").hidden = true;
    byId("again").hidden = false;
    document.title = text("heading-left");
    speak(text("heading-left"), true);
}

/* The place could not be given up: wait on. */
function stay(answer) {
    line.over = false;
    schedule(failed(answer));
}

/* A sleeping computer or a lost network may have let the time pass. */
function wake() {
    const overdue = document.visibilityState === "visible" && performance.now() > line.dueAt;
    if (overdue && !line.over) step();
}

function retryNow() {
    if (line.failures > 0) step();
}

function start() {
    for (const id of ["position", "number"]) {
        const shown = byId(id).textContent.trim();
        if (/^\d+$/.test(shown)) byId(id).textContent = number(Number(shown));
    }
    if (!navigator.cookieEnabled) return cookiesOff();
    byId("leave").addEventListener("click", leave);
    byId("again").addEventListener("click", () => location.reload());
    document.addEventListener("visibilitychange", wake);
    window.addEventListener("online", retryNow);
    step();
}

start();
