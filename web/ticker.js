/*
 * Timers that a hidden tab does not slow down: they run in a worker (timer.js),
 * or here where workers are refused.
 */

const pending = new Map();    /* id → {callback, dueAt} */

const worker = startWorker();
let send = worker ? (id, ms) => worker.postMessage({ id, ms }) : here;
let last = 0;

function startWorker() {
    try {
        const started = new Worker(new URL("timer.js", import.meta.url));
        started.onmessage = ({ data }) => due(data);
        started.onerror = goOnHere;
        return started;
    } catch {
        return null;
    }
}

function here(id, ms) {
    setTimeout(due, ms, id);
}

/* The worker could not be loaded: whatever it was given is taken back. */
function goOnHere() {
    send = here;
    for (const [id, { dueAt }] of pending) here(id, dueAt - performance.now());
}

function due(id) {
    const timer = pending.get(id);
    pending.delete(id);
    if (timer) timer.callback();
}

/* Calls back after ms milliseconds; returns what cancel wants. */
export function after(ms, callback) {
    last += 1;
    pending.set(last, { callback, dueAt: performance.now() + ms });
    send(last, ms);
    return last;
}

export function cancel(id) {
    pending.delete(id);
}
