/*
 * The server goes away for some seconds and comes back: the page shows the
 * last position meanwhile, says what is the matter, goes on with the same
 * number, and leads in when called.
 */
"use strict";

const { figure, have, is, ok, pause, scenario, visitors, within } = require("./visit.js");

scenario("away", async ({ host, url, open }) => {
    const others = await visitors(host, 3);
    const page = await open();
    await page.goto(url);
    await within(async () => (await figure(page, "position")) === 2, "in line behind one");
    const number = await figure(page, "number");

    await have("stop");
    await within(() => page.isVisible("#retrying"), "the page says that the connection was lost");
    is(await figure(page, "position"), 2, "the last position stays on show");
    is(await page.title(), "No. 2 in line", "in the title too");
    await pause(5000);
    ok(await page.isVisible("#retrying"), "it goes on trying");
    await have("start");

    await within(async () => !(await page.isVisible("#retrying")), "the page is back with the server", 40000);
    is(await figure(page, "number"), number, "with the same number");
    is(await page.isVisible("#note"), false, "no place was lost");
    await others[0].leave();
    await others[2].enter();
    await others[1].leave();
    await page.waitForSelector("#map", { state: "attached", timeout: 20000 });
    ok(true, "and is led in when called");
});
