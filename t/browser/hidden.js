/*
 * A tab that nobody looks at for long lets go of its stream and asks nothing;
 * seen again, it shows what has happened meanwhile.
 */
"use strict";

const { is, ok, scenario, within } = require("./visit.js");
const { enter, rival, seat, stateOf } = require("./hall.js");

const look = (page, state) => page.evaluate((now) => {
    Object.defineProperty(document, "visibilityState", { value: now, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}, state);

scenario("hidden", async ({ host, url, open }) => {
    const page = await open();
    const asked = [];
    let closed = 0, pending = 0;
    const what = (request) => new URL(request.url()).pathname.split("/").at(-1);
    const count = (n) => (request) => (pending += what(request) === "stream" ? 0 : n);
    page.on("request", (request) => asked.push(what(request)));
    page.on("request", count(1));
    page.on("requestfinished", count(-1));
    page.on("requestfailed", count(-1));
    /* Its clock runs ahead: what is not answered by then would run out of time. */
    const quiet = () => within(async () => pending === 0, "what it asked for is answered");
    page.on("requestfailed", (request) => (closed += request.url().endsWith("/stream") ? 1 : 0));
    await page.clock.install();
    await enter(page, url);
    await within(async () => asked.includes("stream") && asked.includes("seats"), "the page listens");
    await quiet();

    await look(page, "hidden");
    await page.clock.runFor(30000);
    is(closed, 0, "hidden for half a minute it goes on");
    await quiet();
    await look(page, "visible");
    await look(page, "hidden");
    await quiet();
    await page.clock.runFor(61000);
    await within(async () => closed === 1, "hidden for a minute it lets go of the stream");
    await quiet();
    asked.length = 0;
    await page.clock.runFor(600000);
    /* A list of holds that failed as the clock ran may be asked for again. */
    is(asked.filter((what) => what !== "holds").join(), "", "and does not ask for seats");

    const other = await rival(host);
    is(await other.hold("A-1"), 201, "a seat is held meanwhile");
    is(await stateOf(page, "A-1"), "free", "of which it knows nothing");
    await look(page, "visible");
    await within(async () => (await stateOf(page, "A-1")) === "held", "seen again, the page knows");
    await within(async () => asked.includes("stream") && asked.includes("holds"), "listens, and asks for its holds");
    is(await other.hold("A-2"), 201, "another seat is held");
    await within(async () => (await stateOf(page, "A-2")) === "held", "which is shown at once");
    ok(await page.isVisible(seat("A-3")), "the hall is as it was");
});
