/*
 * A queue location of the scenario's own, in place of the module's: what it
 * answers is written down, and what it was asked is kept.
 */
"use strict";

const crypto = require("node:crypto");

/*
 * Answers the requests of a page to /queue with the next of answers, for ever with the last.
 * An answer is [status, data, headers], or a function that makes it of the request.
 * Returns the list of what was asked: {method, at, headers}.
 */
async function scripted(page, answers) {
    const asked = [];
    await page.route("**/queue", async (route) => {
        const request = route.request();
        asked.push({ method: request.method(), at: Date.now(), headers: request.headers() });
        const next = answers[Math.min(asked.length, answers.length) - 1];
        await reply(route, typeof next === "function" ? await next(request) : next);
    });
    return asked;
}

const reply = (route, [status, data, headers = {}]) =>
    route.fulfill({ status, headers, contentType: status < 400 ? "application/json" : "application/problem+json", body: JSON.stringify(data) });

const problem = (status, code, more = {}, headers = {}) => [status, { type: "about:blank", title: code, status, code, detail: "", ...more }, headers];

const waiting = (more = {}) => [200, { state: "waiting", room: "hall", number: 7, position: 5, ahead: 4, waiting: 9,
    eta: null, poll_after_ms: 300, paused: false, sold_out: false, updated_ms: 10, ...more }];

const prequeue = (opens_in_ms, more = {}) => waiting({ state: "prequeue", opens_in_ms, ...more });

const drawing = (opens_in_ms, more = {}) => prequeue(opens_in_ms, { draw: true, position: null, ahead: null, ...more });

/* How many zero bits the hash of a proof begins with. */
function zeroBits(proof) {
    const hash = crypto.createHash("sha256").update(proof).digest();
    return Math.clz32(hash.readInt32BE(0));
}

/* The page as nginx renders it, with these values of its variables. */
const addressOf = (url, values = {}) => `${url}?${Object.entries(values).map((pair) => pair.join("=")).join("&")}`;

/* Keeps all texts an element has had, from the beginning; hidden counts as "". */
async function watch(page, id) {
    await page.addInitScript((name) => {
        const kept = (window[`had-${name}`] = []);
        const look = () => {
            const element = document.getElementById(name);
            if (!element) return;
            const words = element.hidden ? "" : element.textContent;
            if (words !== kept.at(-1)) kept.push(words);
        };
        new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
    }, id);
    return async () => (await page.evaluate((name) => window[`had-${name}`], id)).filter((words) => words !== "");
}

module.exports = { addressOf, drawing, prequeue, problem, reply, scripted, waiting, watch, zeroBits };
