/*
 * The main way: join, see the position fall, reload and keep the number, be
 * admitted by itself, hold seats, reload and keep them, lose a seat to
 * somebody else, release, and be sent back when the session is over.
 */
"use strict";

const { figure, is, ok, scenario, visitors, width, within } = require("./visit.js");
const { held, HOLDS, left, seat, stateOf } = require("./hall.js");

const key = (name) => ({ "Idempotency-Key": name });

async function wait(page, others) {
    is(await page.textContent("#heading"), "You are in line", "a visitor who has to wait sees the waiting page");
    await within(async () => (await figure(page, "position")) === 4, "with the position");
    is(await figure(page, "ahead"), 3, "three people are ahead");
    await within(async () => (await figure(page, "behind")) === 1, "one is behind");
    is(await page.title(), "No. 4 in line", "the title shows the position");
    is(await page.getAttribute("#progress", "value"), "0", "the progress bar is at its beginning");
    const number = await figure(page, "number");

    await others[0].leave();
    await others[2].enter();
    await within(async () => (await figure(page, "position")) === 3, "the position falls when somebody is let in");
    is(await page.title(), "No. 3 in line", "so does the one in the title");
    const value = () => page.$eval("#progress", (bar) => bar.value / bar.max);
    is(await value(), 0.25, "the progress bar moves on");
    const shown = await page.textContent("#eta");
    ok(/minute|hour|not yet known/.test(shown), "the estimate is in words", shown);

    await page.reload();
    is(await figure(page, "number"), number, "a reload keeps the number");
    await within(async () => (await value()) === 0.25, "and the progress");
    const second = await page.context().newPage();
    await second.goto(page.url());
    is(await figure(second, "number"), number, "a second tab has the same number");
    await second.close();
}

async function choose(page) {
    is(await page.$$eval("#map .seat", (all) => all.length), 60, "the seats are drawn");
    const size = page.viewportSize();
    await page.setViewportSize({ width: 320, height: 640 });
    ok((await width(page)) <= 320, "on a small phone only the hall scrolls sideways");
    await page.setViewportSize(size);
    await page.click(seat("A-1"));
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Space");
    is(await stateOf(page, "A-2"), "chosen", "a seat is chosen with the keyboard");
    for (const name of ["A-3", "A-4", "B-1"]) await page.click(seat(name));
    is(await stateOf(page, "B-1"), "free", "the fifth is refused");
    is(await page.textContent("#chosen"), "A-1, A-2, A-3, A-4", "what is chosen is listed");
    await page.click(seat("A-4"));
    is(await page.getAttribute(seat("A-4"), "aria-pressed"), "false", "a second click takes a seat back");
}

async function contend(page, rival) {
    is((await rival.ask("POST", HOLDS, { seats: ["A-2"] }, key("c"))).status, 201, "somebody else is quicker with one seat");
    await page.click("#hold");
    await within(async () => /A-2/.test(await page.textContent("#message")), "the conflict names the seat");
    is(await stateOf(page, "A-2"), "held", "which is drawn as held");
    is(await page.textContent("#chosen"), "A-1, A-3", "the others stay chosen");
    is((await rival.ask("POST", HOLDS, { seats: ["A-1"] }, key("d"))).status, 201, "nothing was held meanwhile: all or none");
    await page.click(seat("A-1"));
    await page.click(seat("B-1"));
}

async function hold(page, rival) {
    await page.click("#hold");
    await page.waitForSelector("#holds li");
    await within(async () => (await stateOf(page, "B-1")) === "mine", "chosen seats are held");
    is(await held(page), "A-3, B-1", "and listed");
    const before = await left(page);
    ok(before > 40 && before <= 60, "a countdown begins", before);
    await within(async () => (await left(page)) < before, "and counts down");
    await page.reload();
    await page.waitForSelector("#holds li");
    is(await held(page), "A-3, B-1", "a reload keeps the hold");
    await within(async () => (await stateOf(page, "A-3")) === "mine", "and the seats' marks");
    is((await rival.ask("POST", HOLDS, { seats: ["A-3"] }, key("e"))).status, 409, "nobody else gets them");
    await page.click("#holds .release");
    await page.waitForSelector("#held", { state: "hidden" });
    is((await rival.ask("POST", HOLDS, { seats: ["A-3"] }, key("f"))).status, 201, "released, somebody else does");
}

async function lose(page) {
    await page.click(seat("C-1"));
    await page.evaluate(() => fetch(document.body.dataset.queue, { method: "DELETE" }));
    await page.click("#hold");
    await within(async () => /is over/.test(await page.textContent("#message")), "a session that is over is told of");
    await page.waitForSelector("#position", { timeout: 15000 });
    ok(true, "and the visitor is back in line");
}

async function leave(page) {
    await page.click("#leave");
    await page.click("#leave-dialog button[value=no]");
    is(await page.textContent("#heading"), "You are in line", "leaving has to be confirmed");
    await page.click("#leave");
    await page.click("#leave-dialog button[value=yes]");
    await within(async () => (await page.textContent("#heading")) === "You have left the line", "the line can be left");
    is((await page.context().cookies()).length, 0, "no cookie stays");
}

scenario("line", async ({ host, url, open }) => {
    const others = await visitors(host, 5);
    is(others.map(({ state }) => state).join(" "), "admitted admitted waiting waiting waiting", "two slots, three wait");
    const page = await open();
    await page.goto(url);
    others.push(...(await visitors(host, 1)));
    await wait(page, others);

    await others[1].leave();
    await others[3].enter();
    await others[2].leave();
    await others[4].enter();
    await others[3].leave();
    await page.waitForSelector("#map .seat", { timeout: 20000 });
    ok(true, "called, the page leads on to the seats by itself");
    is(page.url(), url, "at the address that was asked for");

    await choose(page);
    await contend(page, others[4]);
    await hold(page, others[4]);
    await lose(page);
    await leave(page);
});
