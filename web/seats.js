/*
 * The seat page: wires the hall, the feed, the holds and the offers to each
 * other, and says in words what happened.  The worker alone decides who gets a
 * place; what is drawn here is only what was last heard.
 */

import { duration } from "./countdown.js";
import { Feed } from "./feed.js";
import { Hall } from "./hall.js";
import { extendHold, listHolds, makeHold, releaseHold } from "./holds.js";
import { Finder, Pools, Sale } from "./offer.js";
import { Overview } from "./overview.js";
import { ask, backoff, byId, confirmed, page, show, text } from "./page.js";
import { plan } from "./plan.js";
import { Tray } from "./tray.js";

const RELOAD_AFTER_MS = 4000;
const SALE_AGAIN_MS = 60000;
const AT_ONCE = 10;          /* places in one hold: the worker's limit */
const PITCH = matchMedia("(pointer: coarse)").matches ? 34 : 27;
const STATES = ["free", "held", "sold", "blocked"];

const SHOW_URL = `${page.api}/v1/performances/${page.performance}`;

const at = {
    seats: [],               /* of the plan, by number */
    numbers: new Map(),      /* name → number */
    states: new Uint8Array(0),
    chosen: new Set(),       /* numbers */
    mine: new Set(),
    holds: [],
    changes: 0,              /* of the holds */
    most: Number(page.most), /* places for one visitor */
    busy: false,             /* a wish is under way */
    over: false,
};

let hall, overview, feed, finder, pools, soon;

const tray = new Tray({ extend, release, lastMinute: (hold) => tell(text("last-minute", { what: words(hold) }), true), over: expire });
const sale = new Sale(showChoice);

/* Words */

function tell(message, warn = false) {
    byId("message").classList.toggle("calm", !warn);
    show(byId("message"), message);
}

const retrying = () => tell(text("retrying"), true);

const listed = (numbers) => [...numbers].sort((a, b) => a - b).map((no) => at.seats[no].name).join(", ");

/* What is held: "A-3, B-1, 2 × floor". */
const words = ({ seats, pools: standing }) =>
    [...seats, ...standing.map(({ pool, quantity }) => text("places", { pool, quantity }))].join(", ");

/* Seats */

function stateOf(no) {
    if (at.mine.has(no)) return "mine";
    return at.states[no] === 0 && at.chosen.has(no) ? "chosen" : STATES[at.states[no]];
}

function paint(no) {
    hall?.paint(no);
    overview?.changed();
}

/* New states, [[number, state], …]; says which of the chosen seats are gone. */
function setStates(changes) {
    const lost = [];
    for (const [no, state] of changes) {
        if (no >= at.states.length) continue;
        at.states[no] = state;
        if (state !== 0 && !at.busy && at.chosen.delete(no) && !at.mine.has(no)) lost.push(no);
        paint(no);
    }
    if (lost.length === 0) return;
    tell(text("taken", { seats: listed(lost) }), true);
    showChoice();
}

function whole(states, left) {
    setStates([...states.keys()].filter((no) => states[no] !== at.states[no] || at.chosen.has(no)).map((no) => [no, states[no]]));
    left.forEach((n, no) => pools.set(no, n));
}

function part(changes, left) {
    setStates(changes);
    for (const [no, n] of left) pools.set(no, n);
}

const held = () => at.holds.reduce((sum, hold) => sum + hold.seats.length + hold.pools.reduce((n, { quantity }) => n + quantity, 0), 0);

const mayHave = () => Math.max(0, Math.min(at.most - held(), AT_ONCE));

function toggle(seat) {
    if (at.over || at.busy) return;
    const state = stateOf(seat.no);
    if (state !== "free" && state !== "chosen") return tell(hall.words(seat));
    if (state === "free" && at.chosen.size >= mayHave()) return tell(text("most", { most: at.most }));
    if (!at.chosen.delete(seat.no)) at.chosen.add(seat.no);
    tell("");
    paint(seat.no);
    showChoice();
}

/* What is chosen, and what may be asked for now. */
function showChoice() {
    const idle = !at.busy && sale.open && !at.over;
    const more = mayHave();
    byId("chosen").textContent = at.chosen.size > 0 ? listed(at.chosen) : more > 0 ? text("choose", { most: more }) : text("most", { most: at.most });
    byId("hold").disabled = !idle || at.chosen.size === 0;
    byId("seek").disabled = !idle || more === 0;
    byId("choice").hidden = at.over;
    for (const button of byId("pools").querySelectorAll("button")) button.disabled = !idle || more === 0 || button.form.dataset.most < 1;
}

/* Holds */

function setHolds(holds) {
    const before = at.mine;
    at.holds = holds;
    at.changes += 1;
    at.mine = new Set(holds.flatMap(({ seats }) => seats.map((name) => at.numbers.get(name))));
    for (const no of new Set([...before, ...at.mine])) {
        at.chosen.delete(no);
        paint(no);
    }
    tray.show(holds, words);
    finder?.limit(mayHave());
    pools?.limit(mayHave());
    showChoice();
}

/* Asks what one holds until that is known.  An answer that a change has overtaken may be of before. */
async function recallHolds(failures = 1) {
    const { changes } = at;
    const answer = await listHolds();
    if (at.over || sessionOver(answer)) return;
    if (answer.holds && changes !== at.changes) recallHolds();
    else if (answer.holds) setHolds(answer.holds);
    else setTimeout(recallHolds, backoff(failures, answer.retryAfter), failures + 1);
}

/* Makes a hold of what is wished for; one at a time. */
async function want(wish) {
    if (at.busy || at.over) return;
    at.busy = true;
    finder.hideOffers();
    showChoice();
    tell(text("holding"));
    const answer = await makeHold(wish, retrying);
    at.busy = false;
    if (at.over || sessionOver(answer)) return;
    if (answer.hold) won(answer.hold, wish);
    else refused(answer, wish);
    showChoice();
}

function won(hold, wish) {
    at.chosen.clear();
    setHolds([...at.holds.filter(({ id }) => id !== hold.id), hold]);
    tell(wish.best ? text("found", { what: words(hold) }) : text("held", { what: words(hold) }));
    if (wish.best && hold.seats.length > 0) hall.reveal(at.numbers.get(hold.seats[0]));
    tray.focus(hold.id);
}

/* Says what to do about it.  What the page has missed is fetched. */
function refused(answer, wish) {
    const { data, status } = answer;
    const code = data?.code;
    if (code === "seat_unavailable") return conflict(data.conflicts ?? []);
    feed.look();
    if (code === "pool_unavailable") {
        pools.setByName(data.pool, data.left);
        return tell(data.left > 0 ? text("pool-left", { pool: data.pool, left: data.left }) : text("pool-none", { pool: data.pool }), true);
    }
    if (code === "no_block") return noBlock(wish.best);
    if (code === "limit_exceeded") {
        recallHolds();
        return tell(text("limit", { most: at.most }), true);
    }
    if (code === "not_on_sale") {
        readShow();
        return tell(text("not-on-sale"), true);
    }
    recallHolds();
    if (answer.open) return tell(text("hold-open"), true);
    return tell(status === 404 || status === 410 ? text("hold-over") : text("hold-failed"), true);
}

function noBlock(best) {
    const { quantity } = best;
    finder.offer(best);
    if (quantity === 1) return tell(text("no-seat"), true);
    return tell(best.together ? text("no-block", { quantity }) : text("no-seats", { quantity }), true);
}

function conflict(conflicts) {
    const gone = conflicts.map(({ seat }) => at.numbers.get(seat)).filter((no) => no !== undefined);
    for (const no of gone) at.chosen.delete(no);
    setStates(conflicts.filter(({ state }) => STATES.includes(state)).map(({ seat, state }) => [at.numbers.get(seat), STATES.indexOf(state)]));
    for (const no of gone) paint(no);
    tell(at.chosen.size > 0 ? text("taken-some", { seats: listed(gone) }) : text("taken", { seats: listed(gone) }), true);
    feed.look();
}

async function extend(hold) {
    tray.busy(hold.id, true);
    const answer = await extendHold(hold.id, retrying);
    tray.busy(hold.id, false);
    if (at.over || sessionOver(answer)) return;
    if (answer.hold) {
        setHolds(at.holds.map((other) => other.id === hold.id ? answer.hold : other));
        tray.focus(hold.id);
        return tell(text("extended", { what: words(hold), time: duration(Math.ceil((answer.hold.endsAt - performance.now()) / 1000)) }));
    }
    if (answer.data?.code === "hold_at_maximum") return tell(text("at-maximum", { what: words(hold) }), true);
    if (answer.status === 404 || answer.status === 410) return expire(hold);
    recallHolds();
    return tell(text("extend-failed"), true);
}

async function release(hold) {
    tray.busy(hold.id, true);
    const answer = await releaseHold(hold.id, retrying);
    tray.busy(hold.id, false);
    if (at.over || sessionOver(answer)) return;
    if (answer.status !== 204 && answer.status !== 404 && answer.status !== 410) return tell(text("release-failed"), true);
    setHolds(at.holds.filter(({ id }) => id !== hold.id));
    tell(text("released", { what: words(hold) }));
    feed.look();
    byId("message").focus();
}

/* Its time is up by this page's count; the worker is asked what is left. */
function expire(hold) {
    setHolds(at.holds.filter(({ id }) => id !== hold.id));
    tell(text("hold-ended", { what: words(hold) }), true);
    feed.look();
    recallHolds();
}

/* The session */

/* True when the session is over: says so, and goes back to the line by reloading. */
function sessionOver({ status, data }) {
    if (status !== 401 && status !== 403 && data?.code !== "pass_expired") return false;
    if (at.over) return true;
    at.over = true;
    feed?.end();
    tell(text("session-over"), true);
    showChoice();
    setTimeout(() => location.reload(), RELOAD_AFTER_MS);
    return true;
}

/* Gives back the places and the turn on this page, for the next in line. */
async function leave() {
    if (!(await confirmed(byId("leave-dialog")))) return;
    await Promise.all(at.holds.map(({ id }) => ask("DELETE", `${page.api}/v1/holds/${id}`)));
    const answer = await ask("DELETE", page.queue);
    if (answer.status === 0 || answer.status >= 500) return retrying();
    at.over = true;
    feed?.end();
    tray.show([], words);
    for (const id of ["selling", "sale", "leave", "tray"]) byId(id).hidden = true;
    byId("heading").textContent = document.title = text("heading-left");
    byId("intro").textContent = text("left");
    byId("heading").focus();
}

/* Beginning */

/* Asks until there is an answer worth having, which may be that there is no such thing; null when the session is over. */
async function need(url, cache) {
    for (let failures = 1; ; failures++) {
        const answer = await ask("GET", url, undefined, {}, cache);
        if (at.over || sessionOver(answer)) return null;
        if ((answer.status === 200 && answer.data) || noSuch(answer)) {
            show(byId("retrying"), "");
            return answer;
        }
        show(byId("retrying"), text("retrying"));
        await new Promise((resolve) => setTimeout(resolve, backoff(failures, answer.retryAfter)));
    }
}

const noSuch = ({ status, data }) => status === 404 && /^no_such_(map|performance)$/.test(data?.code);

/* There is nothing to be had here, nor will there be. */
function noShow() {
    at.over = true;
    feed?.end();
    show(byId("loading"), "");
    tell(text("no-performance"), true);
    showChoice();
    return null;
}

/* The performance, with what an operator may change: limits and hours. */
async function readShow() {
    const answer = await need(SHOW_URL);
    if (!answer) return null;
    if (noSuch(answer)) return noShow();
    const { data, headers } = answer;
    at.most = Math.min(Number(page.most), data.max_per_user ?? Infinity);
    sale.set(data, Date.parse(headers.get("Date")) || Date.now());
    clearTimeout(soon);
    if (!sale.open) soon = setTimeout(readShow, SALE_AGAIN_MS * (0.75 + Math.random() / 2));
    tray.extendsTo(duration(Math.ceil(data.hold_ttl_ms / 1000)));
    finder?.limit(mayHave());
    pools?.limit(mayHave());
    showChoice();
    return data;
}

/* The geometry is kept by the browser for ever: its address changes with it, then it is read anew. */
async function readMap() {
    for (let failures = 1; ; failures++) {
        const found = await readShow();
        const answer = found && await need(page.api + found.map, "default");
        if (!answer) return null;
        if (!noSuch(answer)) return answer.data;
        await new Promise((resolve) => setTimeout(resolve, backoff(failures)));
    }
}

function build(map) {
    const drawn = plan(map, PITCH);
    const used = new Set(drawn ? drawn.seats.map(({ tier }) => tier) : []);
    at.seats = drawn ? drawn.seats : [];
    at.numbers = new Map(at.seats.map(({ name, no }) => [name, no]));
    at.states = new Uint8Array(at.seats.length).fill(3);
    pools = new Pools(map.pools, (pool, quantity) => want({ pools: [{ pool, quantity }] }));
    finder = new Finder(map.tiers.map((name, no) => ({ name, no })).filter(({ no }) => used.has(no)),
        (best) => best ? want({ best }) : tell(text("no-tier"), true));
    for (const id of ["selling", "find", "place"]) byId(id).hidden = !drawn && id !== "selling";
    if (!drawn) return;
    hall = new Hall(drawn, map.tiers, stateOf, toggle);
    overview = new Overview(drawn, stateOf);
}

const feedback = {
    whole,
    part,
    good() {
        show(byId("loading"), "");
        show(byId("retrying"), "");
    },
    failed(answer) {
        if (sessionOver(answer)) return false;
        if (noSuch(answer)) {
            noShow();
            return false;
        }
        show(byId("retrying"), text("retrying"));
        return true;
    },
};

async function start() {
    byId("hold").addEventListener("click", () => want({ seats: [...at.chosen].sort((a, b) => a - b).map((no) => at.seats[no].name) }));
    byId("leave").addEventListener("click", leave);
    document.addEventListener("visibilitychange", () => {
        if (document.visibilityState === "visible" && finder && !at.over && !at.busy) recallHolds();
    });
    showChoice();
    const map = await readMap();
    if (!map) return;
    build(map);
    feed = new Feed(`${SHOW_URL}/seats`, at.seats.length, feedback);
    recallHolds();
}

start();
