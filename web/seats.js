/*
 * The seat page: draws the hall, lets the visitor choose seats and hold them.
 * The worker alone decides who gets a seat; what is drawn here is only what was
 * last heard.  A hold outlives a reload: its id is kept for the tab.
 */

import { ask, backoff, byId, confirmed, page, recall, remember, show, text } from "./page.js";

const REFRESH_MS = 15000;
const RELOAD_AFTER_MS = 4000;
const LAST_MINUTE_MS = 60000;

const MOST = Number(page.most);
const SEATS_URL = `${page.api}/v1/performances/${page.performance}/seats`;
const HOLDS_URL = `${page.api}/v1/performances/${page.performance}/holds`;
const HOLD_KEY = `ticket-hold:${page.api}:${page.performance}`;
const MARKS = { free: "", chosen: "✓", mine: "★", held: "–", sold: "×", blocked: "" };

const hall = {
    seats: new Map(),    /* name → {name, state, button} */
    rows: [],            /* [[seat, …], …], for the arrow keys */
    chosen: new Set(),
    hold: null,          /* {id, seats, endsAt} */
    failures: 0,
    retryAfter: 0,
    countdown: 0,        /* the timer of the hold's countdown */
    over: false,
    warned: false,       /* the last minute was announced */
};

const holdUrl = (id) => `${page.api}/v1/holds/${encodeURIComponent(id)}`;

/* Drawing */

function place(name) {
    const cut = name.lastIndexOf("-");
    return { row: name.slice(0, cut), seat: name.slice(cut + 1) };
}

const inOrder = (a, b) => a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);

function build(seats) {
    const rows = new Map();
    for (const { seat } of seats) {
        const { row } = place(seat);
        if (!rows.has(row)) rows.set(row, []);
        rows.get(row).push(seat);
    }
    for (const row of [...rows.keys()].sort(inOrder)) byId("map").append(buildRow(row, rows.get(row).sort(inOrder)));
    hall.rows[0][0].button.tabIndex = 0;
    byId("hall").hidden = byId("legend").hidden = false;
    byId("hall").scrollLeft = (byId("hall").scrollWidth - byId("hall").clientWidth) / 2;
}

function buildRow(row, names) {
    const line = document.createElement("div");
    line.className = "row";
    line.setAttribute("role", "group");
    line.setAttribute("aria-label", text("row", { row }));
    const label = document.createElement("span");
    label.setAttribute("aria-hidden", "true");
    label.textContent = row;
    const seats = names.map((name, column) => buildSeat(name, hall.rows.length, column));
    hall.rows.push(seats);
    line.append(label, ...seats.map((seat) => seat.button));
    return line;
}

function buildSeat(name, row, column) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "seat";
    button.tabIndex = -1;
    button.dataset.seat = name;
    button.dataset.row = row;
    button.dataset.column = column;
    const seat = { name, state: "", button };
    hall.seats.set(name, seat);
    return seat;
}

function paint(seat) {
    const state = seat.state === "free" && hall.chosen.has(seat.name) ? "chosen" : seat.state;
    const { button } = seat;
    if (button.dataset.state === state) return;
    button.dataset.state = state;
    button.textContent = MARKS[state] || (state === "free" ? place(seat.name).seat : "");
    button.setAttribute("aria-label", text("seat", { seat: seat.name, state: text(`state-${state}`) }));
    button.setAttribute("aria-pressed", String(state === "chosen" || state === "mine"));
    button.setAttribute("aria-disabled", String(state !== "free" && state !== "chosen"));
}

function draw(seats) {
    if (hall.rows.length === 0) build(seats);
    const lost = [];
    for (const { seat: name, state, mine } of seats) {
        const seat = hall.seats.get(name);
        if (!seat) continue;
        seat.state = mine ? "mine" : state;
        if (state !== "free" && hall.chosen.delete(name) && !mine) lost.push(name);
        paint(seat);
    }
    if (lost.length > 0) tell(text("taken", { seats: lost.join(", ") }), true);
    showTray();
}

function tell(words, warn = false) {
    byId("message").classList.toggle("calm", !warn);
    show(byId("message"), words);
}

function showTray() {
    const { hold, chosen } = hall;
    const count = chosen.size;
    byId("choice").hidden = hold !== null || hall.over;
    byId("held").hidden = hold === null || hall.over;
    byId("hold").disabled = count === 0;
    byId("chosen").textContent = count === 0 ? text("choose", { most: MOST }) : [...chosen].sort(inOrder).join(", ");
    if (hold) byId("held-seats").textContent = hold.seats.join(", ");
}

/* Choosing */

function toggle(seat) {
    if (hall.hold) return tell(text("release-first"));
    if (seat.state !== "free") return tell(text("seat", { seat: seat.name, state: text(`state-${seat.state}`) }));
    if (!hall.chosen.delete(seat.name)) {
        if (hall.chosen.size >= MOST) return tell(text("most", { most: MOST }));
        hall.chosen.add(seat.name);
    }
    tell("");
    paint(seat);
    showTray();
}

function seatOf(event) {
    const button = event.target.closest(".seat");
    return button ? hall.seats.get(button.dataset.seat) : undefined;
}

function onClick(event) {
    const seat = seatOf(event);
    if (!seat || hall.over) return;
    focusOn(seat, false);
    toggle(seat);
}

/* One tab stop for the hall; arrows, Home and End move inside it. */
function onKey(event) {
    const seat = seatOf(event);
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -Infinity], End: [0, Infinity] }[event.key];
    if (!seat || !move) return;
    event.preventDefault();
    const row = hall.rows[within(Number(seat.button.dataset.row) + move[0], hall.rows.length)];
    focusOn(row[within(Number(seat.button.dataset.column) + move[1], row.length)], true);
}

const within = (n, length) => Math.min(Math.max(n, 0), length - 1);

function focusOn(seat, move) {
    const before = byId("map").querySelector('[tabindex="0"]');
    if (before) before.tabIndex = -1;
    seat.button.tabIndex = 0;
    if (move) seat.button.focus();
}

/* Talking to the worker */

/* True when the session is over: says so, and goes back to the line by reloading. */
function sessionOver(answer) {
    if (answer.status !== 401 && answer.status !== 403) return false;
    hall.over = true;
    tell(text("session-over"), true);
    showTray();
    setTimeout(() => location.reload(), RELOAD_AFTER_MS);
    return true;
}

async function refresh() {
    const answer = await ask("GET", SEATS_URL);
    if (hall.over || sessionOver(answer)) return false;
    const good = answer.status === 200 && answer.data !== null;
    hall.failures = good ? 0 : hall.failures + 1;
    show(byId("retrying"), good ? "" : text("retrying"));
    show(byId("loading"), "");
    if (good) draw(answer.data.seats);
    hall.retryAfter = answer.retryAfter;
    return good;
}

async function keepFresh() {
    const good = document.visibilityState === "hidden" && hall.rows.length > 0 ? true : await refresh();
    if (hall.over) return;
    setTimeout(keepFresh, good ? REFRESH_MS * (0.75 + Math.random() / 2) : backoff(hall.failures, hall.retryAfter));
}

async function hold() {
    const seats = [...hall.chosen].sort(inOrder);
    byId("hold").disabled = true;
    tell(text("holding"));
    const answer = await ask("POST", HOLDS_URL, { seats });
    if (sessionOver(answer)) return;
    if (answer.status === 201 && answer.data) return held(answer.data);
    if (answer.status === 409 && answer.data) return conflict(answer.data.conflicts || []);
    tell(text("hold-failed"), true);
    await refresh();
}

async function held(data) {
    takeHold(data);
    hall.chosen.clear();
    tell(text("held", { seats: hall.hold.seats.join(", ") }));
    await refresh();
    byId("release").focus();
}

async function conflict(conflicts) {
    const names = conflicts.map(({ seat }) => seat);
    for (const name of names) hall.chosen.delete(name);
    await refresh();
    tell(text("taken", { seats: names.join(", ") }), true);
}

function takeHold(data) {
    hall.hold = {
        id: data.hold,
        seats: data.seats.map(({ seat }) => seat),
        endsAt: performance.now() + data.expires_in_ms,
    };
    hall.warned = false;
    remember("sessionStorage", HOLD_KEY, data.hold);
    showTray();
    countDown();
}

function dropHold() {
    hall.hold = null;
    remember("sessionStorage", HOLD_KEY, null);
    showTray();
}

async function release() {
    byId("release").disabled = true;
    const answer = await ask("DELETE", holdUrl(hall.hold.id));
    byId("release").disabled = false;
    if (sessionOver(answer)) return;
    if (answer.status !== 204 && answer.status !== 404 && answer.status !== 410) return tell(text("retrying"), true);
    dropHold();
    tell(text("released"));
    await refresh();
}

/* The hold of before the reload, if it is still alive. */
async function recallHold() {
    const id = recall("sessionStorage", HOLD_KEY);
    if (!id) return;
    const answer = await ask("GET", holdUrl(id));
    if (sessionOver(answer)) return;
    if (answer.status === 200 && answer.data) return takeHold(answer.data);
    if (answer.status === 410) tell(text("hold-over"), true);
    if (answer.status === 404 || answer.status === 410) return remember("sessionStorage", HOLD_KEY, null);
    setTimeout(recallHold, backoff(1, answer.retryAfter));
}

function countDown() {
    const { hold } = hall;
    if (!hold || hall.over) return;
    const left = hold.endsAt - performance.now();
    if (left <= 0) return expire();
    const seconds = Math.ceil(left / 1000);
    byId("countdown").textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    if (left <= LAST_MINUTE_MS && !hall.warned) {
        hall.warned = true;
        tell(text("last-minute"), true);
    }
    clearTimeout(hall.countdown);
    hall.countdown = setTimeout(countDown, left % 1000 || 1000);
}

async function expire() {
    dropHold();
    tell(text("hold-over"), true);
    await refresh();
}

/* Gives back the seats and the place on this page, for the next in line. */
async function leave() {
    if (!(await confirmed(byId("leave-dialog")))) return;
    if (hall.hold) await ask("DELETE", holdUrl(hall.hold.id));
    const answer = await ask("DELETE", page.queue);
    if (answer.status === 0 || answer.status >= 500) return tell(text("retrying"), true);
    hall.over = true;
    dropHold();
    for (const id of ["hall", "legend", "leave", "tray"]) byId(id).hidden = true;
    byId("heading").textContent = document.title = text("heading-left");
    byId("intro").textContent = text("left");
    byId("heading").focus();
}

function start() {
    byId("map").addEventListener("click", onClick);
    byId("map").addEventListener("keydown", onKey);
    byId("hold").addEventListener("click", hold);
    byId("release").addEventListener("click", release);
    byId("leave").addEventListener("click", leave);
    showTray();
    recallHold();
    keepFresh();
}

start();
