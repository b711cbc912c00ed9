/*
 * A poll that came too early is no failure: nothing changes on the page, which asks
 * again when it was told.  A failure is told of.
 */
"use strict";

const { figure, is, ok, scenario, within } = require("./visit.js");
const { addressOf, problem, scripted, waiting, watch } = require("./scripted.js");

const at = (position) => waiting({ position, poll_after_ms: 300 });

scenario("early", async ({ url, open }) => {
    const page = await open();
    const told = await watch(page, "retrying");
    const asked = await scripted(page, [at(5), problem(429, "too_early", { poll_after_ms: 8000 }, { "Retry-After": "1" }),
        at(4), problem(429, "too_early", { poll_after_ms: 900 }), at(3), waiting({ position: 3, poll_after_ms: 60000 })]);
    await page.goto(url);
    await within(async () => asked.length >= 2, "a poll is too early");
    is(await figure(page, "position"), 5, "what was shown stays");
    await within(async () => (await figure(page, "position")) === 3, "it goes on");
    is((await told()).join(), "", "nothing was said about a lost connection");
    const gap = (i) => asked[i].at - asked[i - 1].at;
    ok(gap(2) >= 1000 && gap(2) < 7900, "asked again after Retry-After", `${gap(2)} ms`);
    ok(gap(4) >= 900, "or after poll_after_ms", `${gap(4)} ms`);
    is(new Set(asked.map(({ method }) => method)).size, 1, "and never joined anew");

    const other = await open();
    await scripted(other, [problem(429, "too_early", {}, { "Retry-After": "30" })]);
    await other.goto(addressOf(url, { state: "waiting", position: 12, number: 34 }));
    await other.waitForTimeout(500);
    is(await figure(other, "position"), 12, "a page reloaded too early shows what nginx wrote");
    is(await other.isVisible("#retrying"), false, "and nothing else");

    const broken = await open();
    await scripted(broken, [at(5), problem(429, "refused")]);
    await broken.goto(url);
    await within(() => broken.isVisible("#retrying"), "another 429 is a failure");
});
