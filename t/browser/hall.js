/*
 * What the scenarios of the seat page share.
 */
"use strict";

const { Visitor } = require("./visit.js");

const HOLDS = "/buy/v1/performances/1/holds";

const seat = (name) => `#map [data-seat="${name}"]`;

const stateOf = (page, name) => page.getAttribute(seat(name), "data-state");

const message = (page) => page.textContent("#message");

/* What is held, as the tray lists it. */
const held = (page) => page.$$eval("#holds .what", (all) => all.map((line) => line.textContent).join("; "));

/* The seconds that the first hold has left, as shown. */
async function left(page) {
    const [minutes, seconds] = (await page.textContent("#holds .left")).split(":").map(Number);
    return minutes * 60 + seconds;
}

/* The page, admitted and drawn. */
async function enter(page, url) {
    await page.goto(url);
    await page.waitForSelector('#map .seat[data-state="free"]', { timeout: 20000 });
}

/* Somebody else, admitted. */
async function rival(host) {
    const visitor = new Visitor(host);
    await visitor.enter();
    return { hold: async (...seats) => (await visitor.ask("POST", HOLDS, { seats }, key())).status,
        wish: async (wish) => (await visitor.ask("POST", HOLDS, wish, key())).status };
}

let keys = 0;
const key = () => ({ "Idempotency-Key": `rival-${process.pid}-${(keys += 1)}` });

/* From now on the page hears nothing of the seats. */
async function deafen(page) {
    await page.route("**/seats", (route) => route.abort());
}

/* The page never gets a stream; the requests for one are counted. */
async function withoutStream(page) {
    const asked = { count: 0 };
    await page.route("**/seats/stream", (route) => {
        asked.count += 1;
        return route.fulfill({ status: 404, contentType: "application/problem+json", body: '{"code":"no_stream"}' });
    });
    return asked;
}

/* How many holds the page's visitor has by the worker's word. */
const counted = (page) => page.evaluate(async (url) => (await (await fetch(url)).json()).holds.length, HOLDS);

module.exports = { counted, deafen, enter, held, HOLDS, left, message, rival, seat, stateOf, withoutStream };
