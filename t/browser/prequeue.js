/*
 * Before the sale, in a line: a countdown by the server's clock, said aloud
 * sparingly, and polls as the server wants them, also at the opening.
 */
"use strict";

const { figure, is, ok, scenario, within } = require("./visit.js");
const { addressOf, prequeue, scripted, waiting, watch } = require("./scripted.js");

const DAY = 86400000;

const shown = async (page) => `${await page.textContent("#opening-days")} ${await page.textContent("#opening-time")}`.trim();

/* A visitor's clock that is wrong by days. */
const wrongClock = (page) => page.addInitScript((ms) => {
    const now = Date.now;
    Date.now = () => now() + ms;
}, 3 * DAY);

async function countdown(page, url) {
    let left = DAY + 7384000;
    const asked = await scripted(page, [() => prequeue(left)]);
    await wrongClock(page);
    await page.goto(url);
    await within(async () => /^1 day 2:0[23]:\d\d$/.test(await shown(page)), "days, hours, minutes and seconds, whatever the visitor's clock says");
    const first = await shown(page);
    is(await page.textContent("#heading"), "The sale has not opened yet", "the heading says why");
    ok(/^1 day 2:0[23]:\d\d to go$/.test(await page.title()), "the title counts too", await page.title());
    is(await figure(page, "position"), 5, "the position is known");
    is(await page.textContent("#spoken"), "The sale opens in: 1 day, 2 hours", "it is said aloud in words");
    is(await page.isVisible("#progress"), false, "nothing moves yet");
    ok(await page.isVisible("#leave"), "the line can be left");

    left = 3605000;
    await within(async () => /^(1:00:0|59:5)\d$/.test(await shown(page)), "each answer sets it anew");
    ok(asked.length > 1 && first !== (await shown(page)), "by polling");
    left = 2 * DAY + 5000;
    await within(async () => /^2 days 0:00:0\d$/.test(await shown(page)), "also when the opening is put off");
}

/* Polls seldom: between them only the countdown moves. */
async function opening(page, url) {
    const end = Date.now() + 14000;
    const heard = await watch(page, "spoken");
    let open = false;
    const asked = await scripted(page, [() => open
        ? waiting({ poll_after_ms: 1000 })
        : prequeue(Math.max(0, end - Date.now()), { poll_after_ms: 5000 })]);
    await page.goto(url);
    await within(async () => /^00:1[0-4]$/.test(await shown(page)), "counts the seconds");
    await within(async () => (await page.textContent("#heading")) === "Opening now", "to the end");
    ok(Date.now() >= end - 1000, "not before the time");
    is(await shown(page), "00:00", "where the clock stays");
    is(await page.title(), "Opening now", "the title says so too");
    const said = await heard();
    is(said.length, 3, `three times aloud: ${said.join(" / ")}`);
    is(said[1], "The sale opens in: 10 seconds", "at ten seconds");
    is(said[2], "Opening now", "and at the end");
    const before = asked.length;
    open = true;
    await within(async () => (await page.textContent("#heading")) === "You are in line", "the next poll sees the line");
    const gaps = asked.slice(1, before + 1).map(({ at }, i) => at - asked[i].at);
    ok(gaps.every((ms) => ms > 4500), "and none came sooner than the server wanted", gaps.join(" "));
    is(await page.isVisible("#opening"), false, "the clock is gone");
    is(await page.title(), "No. 5 in line", "also from the title");
}

/* The first answer is late: the page itself knows how long. */
async function atOnce(page, url) {
    await scripted(page, [[503, null]]);
    await page.goto(addressOf(url, { state: "prequeue", opens_in: 75, number: 1234 }));
    await within(async () => /^01:1\d$/.test(await shown(page)), "the page counts before the first answer");
    await within(async () => (await page.textContent("#number")) === "1,234", "with the number");
}

scenario("prequeue", async ({ url, open }) => {
    await countdown(await open(), url);
    await opening(await open(), url);
    await atOnce(await open(), url);
});
