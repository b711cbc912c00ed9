/*
 * A draw: explained before it, with the key's fingerprint for who wants it; after it
 * the drawn place, and all that is needed to compute it again.
 */
"use strict";

const { is, ok, pause, scenario, within } = require("./visit.js");
const { addressOf, drawing, problem, reply, scripted, waiting, watch } = require("./scripted.js");

const COMMITMENT = "a3f1".repeat(16);
const KEY = "0b7e".repeat(16);

async function before(page, url, facts) {
    await page.goto(url);
    await within(async () => (await page.textContent("#heading")) === "You are in the draw", "the visitor is in the draw");
    const lead = await page.textContent("#lead");
    ok(/at random/.test(lead) && /earlier or more often does not help/.test(lead), "and is told what that means");
    is(await page.isVisible("#standing"), false, "there is no position yet");
    is(await page.textContent("#waiting"), "45,678", "but how many there are");
    is(facts.asked, 0, "the draw's facts are not asked for by everybody");
    await page.focus("#draw summary");
    await page.keyboard.press("Enter");
    await within(async () => (await page.textContent("#draw-commitment")) === COMMITMENT, "with the keyboard the fingerprint is shown, though the first answer is that Redis is away");
    is(await page.getAttribute("#draw-link", "href"), "/queue/draw", "and where it is");
    is(await page.isVisible("#draw-held") || await page.isVisible("#draw-own"), false, "there is no key yet");
    await page.click("#draw summary");
    await page.click("#draw summary");
    await pause(500);
    is(facts.asked, 1, "it is asked for once");
}

async function after(page, facts, heard) {
    await within(async () => (await page.textContent("#drawn")) === "You have drawn place 123 of 4,567.", "the drawn place is shown");
    await within(async () => (await page.textContent("#draw-key")) === KEY, "and the key");
    is(await page.textContent("#draw-place"), "123", "the place once more");
    is(await page.textContent("#draw-command"), `scripts/verify-draw --commitment ${COMMITMENT} --key ${KEY} --entries 4567 --number 7`,
        "and what computes it");
    ok((await heard()).some((words) => /drawn place 123/.test(words)), "it is said aloud");
    await pause(1000);
    is(facts.asked, 2, "the facts were asked for once more");
    is((await heard()).filter((words) => /drawn place/.test(words)).length, 1, "and the place said once");
}

scenario("draw", async ({ url, open }) => {
    const page = await open();
    const heard = await watch(page, "spoken");
    const facts = { away: true, asked: 0, key: null, entries: null };
    let answer = drawing(60000, { waiting: 45678 });
    await scripted(page, [() => answer]);
    await page.route("**/queue/draw", (route) => {
        if (facts.away) {
            facts.away = false;
            return reply(route, problem(503, "unavailable", {}, { "Retry-After": "1" }));
        }
        facts.asked += 1;
        return reply(route, [200, { room: "hall", epoch: 1, commitment: COMMITMENT, key: facts.key, entries: facts.entries, opens_in_ms: null }]);
    });
    await before(page, addressOf(url), facts);
    Object.assign(facts, { key: KEY, entries: 4567 });
    answer = waiting({ place: 123 });
    await after(page, facts, heard);
});
