/*
 * The waiting page: polls the line, claims when called and reloads, upon which
 * the gate lets the visitor through.  What is shown of it is in view.js.  The token
 * is a cookie that scripts cannot read; nothing here can lose it.  Whatever fails is
 * tried again for as long as it takes, with the last known position left on
 * show.
 */

import { ask, backoff, byId, confirmed, page, recall, remember, show, text } from "./page.js";
import { expectedTries, solve } from "./puzzle.js";
import { startDraw } from "./draw.js";
import { after, cancel } from "./ticker.js";
import { forgetProgress, showClosed, showLeft, showPrequeue, showPuzzle, showPuzzleFailed, showTries, showTurn, showWaiting,
    speak, startView, untilOpen } from "./view.js";

const POLL_MS = 5000;
const SHORTEST_MS = 250;
const RELOAD_EVERY_MS = 10000;
const OPENING_SPREAD_MS = 5000;     /* a closed room's visitors come within this time */
const LOOK_AGAIN_MS = 300000;       /* at a closed room, whose times may be changed */
const OLD_MS = 60000;               /* an answer that a returning visitor should not have to believe */
const MOST_PUZZLES = 5;

const RELOADED_KEY = `ticket-reloaded:${page.queue}`;

const line = {
    method: "GET",     /* of the next request */
    failures: 0,       /* since the last good answer */
    stored: false,     /* a join was answered: the cookie must come back */
    over: false,       /* left, or cookies are off: no more requests */
    busy: false,       /* a request is under way, or a puzzle is being solved */
    place: "",         /* what became of an earlier place, if anything did */
    proof: "",         /* a solved puzzle, to be sent with the next POST */
    puzzles: 0,        /* since the last good answer */
    dueAt: 0,
    answeredAt: 0,     /* by Date.now, which goes on while a computer sleeps */
    timer: 0,
};

function schedule(ms) {
    line.dueAt = performance.now() + ms;
    cancel(line.timer);
    line.timer = after(ms, step);
}

/* One request and what follows from its answer. */
async function step() {
    if (line.busy || line.over) return;
    line.busy = true;
    const headers = line.method === "POST" && line.proof ? { "X-Ticket-Proof": line.proof } : {};
    const answer = await ask(line.method, page.queue, undefined, headers);
    line.answeredAt = Date.now();
    const ms = line.over ? 0 : await judge(answer);
    line.busy = false;
    if (!line.over) schedule(ms);
}

/* Returns the milliseconds until the next request, or a promise of them. */
function judge(answer) {
    const { status, data } = answer;
    const good = status === 200 || status === 201;
    const code = data && data.code;
    if (good && data && data.state) return known(data);
    if (status === 403 && code === "closed") return closedDoor(answer);
    if (status === 403 && code === "proof_required") return prove(data);
    if (status === 429 && code === "too_early") return tooEarly(answer);
    if (status === 401) return line.stored ? cookiesOff() : joinAnew("");
    if (status === 403 || status === 410) return joinAnew(text("place-lost"));
    return failed(answer);
}

/* The server has answered: whatever was the matter is over. */
function reached() {
    line.failures = 0;
    show(byId("retrying"), "");
}

function known(state) {
    const claimed = line.method === "POST";
    reached();
    line.method = "GET";
    line.stored = line.stored || claimed;
    line.proof = "";
    line.puzzles = 0;
    if (state.state === "admitted") return leadOn();
    if (state.state === "called") return called(state, claimed);
    if (state.state === "closed") return closed(state, true, state.poll_after_ms);
    if (state.state === "prequeue") showPrequeue(state, line.place);
    else showWaiting(state, line.place);
    return pollAfter(state);
}

/* As the server says: it spreads the visitors, also at the opening of a sale. */
const pollAfter = (state) => Math.max(SHORTEST_MS, state.poll_after_ms || POLL_MS);

function called(state, claimed) {
    line.method = "POST";
    showTurn();
    return claimed ? pollAfter(state) : 0;
}

/* Without a place there is nothing to poll: the visitor joins when the room opens. */
function closedDoor(answer) {
    reached();
    line.method = "POST";
    return closed(answer.data, false, untilOpen(answer.data) === null ? answer.retryAfter : 0);
}

/* A closed room, with a place in it or without: asks when it opens, and now and then in case that its times were changed. */
function closed(state, kept, again) {
    showClosed(state, kept);
    const look = (again || LOOK_AGAIN_MS) * (1 + Math.random() / 4);
    const opens = untilOpen(state);
    return opens === null ? look : Math.min(look, opens + 1000 + Math.random() * OPENING_SPREAD_MS);
}

/* Not a failure: what is shown stays.  Tabs that share a place drift apart by the random part. */
function tooEarly(answer) {
    reached();
    return Math.max(SHORTEST_MS, answer.retryAfter || answer.data.poll_after_ms || POLL_MS) * (1 + Math.random() / 4);
}

/* Robots are kept out by a puzzle: solves it, however often it has to be exchanged for a fresh one, within reason. */
async function prove({ challenge, difficulty }) {
    reached();
    line.method = "POST";
    line.proof = "";
    line.puzzles += 1;
    if (line.puzzles > MOST_PUZZLES) return giveUp();
    const expected = expectedTries(difficulty);
    showPuzzle(expected);
    const nonce = await solve(challenge, difficulty, (tries) => showTries(tries, expected)).catch(() => "");
    if (nonce === "") return giveUp();
    if (nonce !== null) line.proof = `${challenge}.${nonce}`;
    return 0;
}

function giveUp() {
    line.over = true;
    showPuzzleFailed();
    return 0;
}

/* Reloads into the page behind the gate.  Should the gate not let the visitor through, this must not become a storm of reloads. */
function leadOn() {
    showTurn();
    const ago = Date.now() - (recall("sessionStorage", RELOADED_KEY) || 0);
    if (ago >= 0 && ago < RELOAD_EVERY_MS) return RELOAD_EVERY_MS - ago;
    remember("sessionStorage", RELOADED_KEY, Date.now());
    forgetProgress();
    line.over = true;
    if (page.back) location.replace(page.back);
    else location.reload();
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

async function leave() {
    if (!(await confirmed(byId("leave-dialog")))) return;
    line.over = true;
    const answer = await ask("DELETE", page.queue);
    if (answer.status === 0 || answer.status === 429 || answer.status >= 500) return stay(answer);
    forgetProgress();
    showLeft();
}

/* The place could not be given up: wait on. */
function stay(answer) {
    line.over = false;
    schedule(failed(answer));
}

/* A sleeping computer or a lost network may have let the time pass, which its timers need not have noticed. */
function wake() {
    if (document.visibilityState !== "visible" || line.over) return;
    const age = Date.now() - line.answeredAt;
    if (performance.now() > line.dueAt || age > OLD_MS || age < 0) step();
}

function retryNow() {
    if (line.failures > 0) step();
}

function start() {
    startView();
    if (!navigator.cookieEnabled) return cookiesOff();
    startDraw();
    byId("leave").addEventListener("click", leave);
    for (const id of ["again", "retry"]) byId(id).addEventListener("click", () => location.reload());
    document.addEventListener("visibilitychange", wake);
    window.addEventListener("online", retryNow);
    step();
}

start();
