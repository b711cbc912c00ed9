/*
 * Two visitors in one hall: what one holds turns grey for the other at once,
 * without being asked for; several holds, extended once, released; also with
 * the keyboard, after a reload, and over a restart of the worker.
 */
"use strict";

const { have, is, ok, scenario, within } = require("./visit.js");
const { enter, held, left, message, rival, seat, stateOf } = require("./hall.js");

async function watch(page, other) {
    const asked = [];
    page.on("request", (request) => {
        if (request.url().endsWith("/seats")) asked.push(request.url());
    });
    await other.click(seat("A-2"));
    await other.click("#hold");
    await within(async () => (await stateOf(page, "A-2")) === "held", "a seat held in one page turns grey in the other");
    await within(async () => (await stateOf(other, "A-2")) === "mine", "and is marked as one's own in the first");
    ok(/, standard, held by somebody$/.test(await page.getAttribute(seat("A-2"), "aria-label")), "said to screen readers as well");
    const label = () => page.textContent("#pools .places");
    is(await label(), "20 left", "standing places are counted");
    await other.selectOption("#pools select", "2");
    await other.click("#pools button");
    await within(async () => (await label()) === "18 left", "and counted down for the other");
    is(await held(other), "A-2; 2 × floor", "two holds at once");
    await other.click("#holds li:first-child .release");
    await within(async () => (await stateOf(page, "A-2")) === "free", "released, it is free again");
    is(asked.length, 0, "all of that came by the stream");
}

async function keyboard(page) {
    await page.click(seat("B-1"));
    await page.click(seat("B-1"));
    for (const key of ["ArrowRight", "ArrowDown", "End", "ArrowUp", "Home", "ArrowRight", "Space"]) await page.keyboard.press(key);
    is(await stateOf(page, "B-2"), "chosen", "arrows, Home and End move, the space bar chooses");
    is(await page.$$eval('#map [tabindex="0"]', (all) => all.length), 1, "the hall is one tab stop");
    is(await page.getAttribute(seat("B-2"), "aria-pressed"), "true", "what is chosen is pressed");
    await page.click("#hold");
    await within(async () => (await held(page)) === "B-2", "held by keyboard and mouse");
    is(await page.evaluate(() => document.activeElement.className), "release quiet", "the focus goes to the hold");
}

async function extend(page) {
    const before = await left(page);
    await within(async () => (await left(page)) <= before - 2, "the time runs");
    const low = await left(page);
    await page.click("#holds .extend");
    await within(async () => (await left(page)) > low, "more time is given");
    is(await page.isVisible("#holds .extend"), false, "once");
    ok(/^B-2: .* left from now on/.test(await message(page)), "and told", await message(page));
    await page.reload();
    await within(async () => (await held(page)) === "B-2", "a reload finds the hold");
    is(await page.isVisible("#holds .extend"), false, "and that it was extended");
    await within(async () => (await stateOf(page, "B-2")) === "mine", "and the mark");
}

/* The list of holds was asked for before a hold was made, and comes after it. */
async function overtaken(page) {
    let letGo, asked = 0;
    const late = new Promise((resolve) => (letGo = resolve));
    await page.route("**/performances/1/holds", async (route) => {
        if (route.request().method() !== "GET") return route.fallback();
        asked += 1;
        if (asked > 1) return route.fallback();
        await late;
        return route.fulfill({ status: 200, contentType: "application/json", body: '{"holds":[]}' });
    });
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await within(async () => asked === 1, "the holds are asked for");
    await page.click(seat("C-8"));
    await page.click("#hold");
    await within(async () => (await held(page)).includes("C-8"), "meanwhile a hold is made");
    letGo();
    await within(async () => asked === 2, "an answer of before is not taken but asked for again");
    is(await stateOf(page, "C-8"), "mine", "and the hold stays");
    await page.unroute("**/performances/1/holds");
    await page.click("#holds li:last-child .release");
    await within(async () => !(await held(page)).includes("C-8"), "until it is released");
}

async function lapse(page) {
    await have("lapse");
    const answer = page.waitForResponse((response) => response.url().includes("/extend"));
    await page.click(seat("C-1"));
    await page.click("#hold");
    await within(async () => (await held(page)).includes("C-1"), "another hold");
    await page.click("#holds li:last-child .extend");
    is((await answer).status(), 200, "which may be extended");
    await page.click("#holds li:first-child .release");
    await within(async () => (await held(page)) === "C-1", "what has run out can be put away");
}

async function restart(page, other) {
    await have("stop");
    await within(() => page.isVisible("#retrying"), "the page says that the worker is away", 40000);
    await have("start");
    await within(async () => !(await page.isVisible("#retrying")), "and is back with it", 60000);
    is(await other.hold("C-5"), 201, "somebody holds a seat");
    await within(async () => (await stateOf(page, "C-5")) === "held", "which the page learns", 60000);
}

scenario("live", async ({ host, url, open }) => {
    const page = await open();
    const other = await open();
    await enter(page, url);
    await enter(other, url);
    await within(() => page.evaluate(() => performance.getEntriesByType("resource").some(({ name }) => name.endsWith("/seats"))), "the picture is there");
    await watch(page, other);
    await keyboard(page);
    await extend(page);
    await overtaken(page);
    await lapse(page);
    await restart(page, await rival(host));
});
