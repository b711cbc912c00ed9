/*
 * A room that takes nobody: the page counts down where there is something to
 * count to, and joins by itself; a place that is kept is told of.
 */
"use strict";

const { figure, is, ok, scenario, within } = require("./visit.js");
const { problem, scripted, waiting } = require("./scripted.js");

const NO_TOKEN = problem(401, "no_token");
const shut = (prequeue_in_ms, opens_in_ms, headers) => problem(403, "closed", { prequeue_in_ms, opens_in_ms }, headers);
const joined = () => [201, waiting()[1]];
const methods = (asked) => asked.map(({ method }) => method).join(" ");

async function opens(page, url) {
    const asked = await scripted(page, [NO_TOKEN, shut(3000, 600000), shut(null, 2000), joined(), waiting()]);
    await page.goto(url);
    await within(async () => (await page.textContent("#opening-label")) === "The waiting room opens in", "the waiting room's opening comes first");
    is(await page.textContent("#heading"), "Not open yet", "the heading");
    ok(/^00:0[0-3]$/.test(await page.textContent("#opening-time")), "the countdown");
    is(await page.isVisible("#retrying"), false, "this is no failure");
    is(await page.isVisible("#leave") || await page.isVisible("#standing"), false, "there is no place to leave");
    await within(async () => (await page.textContent("#opening-label")) === "The sale opens in", "still closed: it goes on", 30000);
    await within(async () => (await figure(page, "position")) === 5, "and joins by itself", 30000);
    ok(/^GET POST POST POST( GET)*$/.test(methods(asked)), "in as few requests", methods(asked));
    const gaps = asked.slice(2, 4).map(({ at }, i) => at - asked[i + 1].at);
    ok(gaps[0] >= 3000 && gaps[1] >= 2000, "never before the time", gaps.join(" "));
    ok(await page.isVisible("#leave"), "a place can be left");
    is(await page.isVisible("#opening"), false, "the clock is gone");
}

/* They were all told the same time, and must not all come at once. */
async function spread(open, url) {
    const all = await Promise.all(Array.from({ length: 5 }, async () => {
        const page = await open();
        const asked = await scripted(page, [NO_TOKEN, shut(null, 1000), joined(), waiting({ poll_after_ms: 60000 })]);
        await page.goto(url);
        return { asked, page };
    }));
    await within(async () => all.every(({ asked }) => asked.length > 2), "all join", 40000);
    const delays = all.map(({ asked }) => asked[2].at - asked[1].at);
    ok(Math.max(...delays) - Math.min(...delays) > 250, "at different times", delays.join(" "));
    await Promise.all(all.map(({ page }) => page.context().close()));
}

async function over(page, url) {
    const asked = await scripted(page, [NO_TOKEN, shut(null, null, { "Retry-After": "1" }), joined(), waiting()]);
    await page.goto(url);
    await within(async () => (await page.title()) === "The sale is closed", "closed without an end in sight");
    is(await page.isVisible("#opening"), false, "there is nothing to count");
    is(await page.textContent("#spoken"), "The sale is closed", "it is said aloud");
    await within(async () => (await figure(page, "position")) === 5, "yet it looks again, as often as it was told");
    ok(asked[2].at - asked[1].at >= 1000, "and not sooner");
}

async function kept(page, url) {
    let answer = waiting({ state: "closed", opens_in_ms: 5000, poll_after_ms: 500 });
    const asked = await scripted(page, [() => answer]);
    await page.goto(url);
    await within(async () => /Your place is kept/.test(await page.textContent("#lead")), "a place is kept while the room is closed");
    ok(/^00:0\d$/.test(await page.textContent("#opening-time")), "with a countdown");
    ok(await page.isVisible("#leave"), "it can be left");
    await within(async () => asked.length > 2, "it goes on polling");
    is(new Set(asked.map(({ method }) => method)).size, 1, "without joining");
    answer = waiting({ state: "closed" });
    await within(async () => (await page.textContent("#heading")) === "The sale is closed", "closed for good");
    answer = waiting();
    await within(async () => (await figure(page, "position")) === 5, "or not");
}

scenario("closed", async ({ url, open }) => {
    await opens(await open(), url);
    await spread(open, url);
    await over(await open(), url);
    await kept(await open(), url);
});
