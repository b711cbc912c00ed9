/*
 * Holds: made, extended, released, listed.  What changes something is sent with
 * a key of its own, and sent again with the same key until an answer is there,
 * so that an answer that was lost never makes a second hold.
 */

import { ask, backoff, page } from "./page.js";

const GIVE_UP_MS = 90000;
const SOON_MS = 500;

const LIST_URL = `${page.api}/v1/performances/${page.performance}/holds`;

const holdUrl = (id) => `${page.api}/v1/holds/${encodeURIComponent(id)}`;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/* Of its own for each thing that the visitor does.  crypto.randomUUID is only there over TLS. */
function newKey() {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/* Whether what was asked may have been done without this answer saying so, or will be. */
const isOpen = ({ status, data }) => status === 0 || status === 429 || status >= 502 || (status === 409 && data?.code === "in_progress");

/*
 * Asks until it is answered, at most for a minute and a half.  again is called
 * before each further try; the first one comes soon.
 */
async function insist(method, url, body, headers, again) {
    const end = performance.now() + GIVE_UP_MS;
    for (let failures = 1; ; failures++) {
        const answer = await ask(method, url, body, headers);
        if (!isOpen(answer) || performance.now() > end) return { ...answer, open: isOpen(answer), tries: failures };
        again();
        await pause(failures === 1 ? Math.max(SOON_MS * (1 + Math.random()), answer.retryAfter) : backoff(failures - 1, answer.retryAfter));
    }
}

/* What one has, with the moment (of performance.now) when it ends: rather early than late. */
const read = (data, sentAt) => ({
    id: data.hold,
    extended: data.extended === true,
    seats: data.seats.map(({ seat }) => seat),
    pools: data.pools.map(({ pool, quantity }) => ({ pool, quantity })),
    endsAt: sentAt + data.expires_in_ms,
});

/* {status, holds}: all one has; holds is null when that was not to be learnt. */
export async function listHolds() {
    const sentAt = performance.now();
    const answer = await ask("GET", LIST_URL);
    const good = answer.status === 200 && answer.data;
    return { ...answer, holds: good ? answer.data.holds.map((hold) => read(hold, sentAt)) : null };
}

async function readHold(id) {
    const sentAt = performance.now();
    const answer = await ask("GET", holdUrl(id));
    return { ...answer, hold: answer.status === 200 && answer.data ? read(answer.data, sentAt) : null };
}

/* The answer to a wish, with the hold that was made.  An answer that came late tells of a life that has begun before: then the hold is asked. */
export async function makeHold(wish, again) {
    const sentAt = performance.now();
    const answer = await insist("POST", LIST_URL, wish, { "Idempotency-Key": newKey() }, again);
    if (answer.status !== 201 || !answer.data) return { ...answer, hold: null };
    if (answer.tries === 1) return { ...answer, hold: read(answer.data, sentAt) };
    const now = await readHold(answer.data.hold);
    if (now.hold || now.status === 404 || now.status === 410) return { ...now, open: false };
    return { ...answer, hold: read(answer.data, sentAt) };
}

export async function extendHold(id, again) {
    const answer = await insist("POST", `${holdUrl(id)}/extend`, undefined, { "Idempotency-Key": newKey() }, again);
    return answer.status === 200 || answer.data?.code === "already_extended" ? { ...answer, ...(await readHold(id)) } : { ...answer, hold: null };
}

/* Needs no key: what is released stays so. */
export const releaseHold = (id, again) => insist("DELETE", holdUrl(id), undefined, {}, again);
