/*
 * Before the sale one looks around; it opens by itself, and it ends.
 */
"use strict";

const { have, is, ok, scenario, within } = require("./visit.js");
const { enter, held, message, seat } = require("./hall.js");

scenario("soon", async ({ url, open }) => {
    const page = await open();
    await enter(page, url);
    ok(/opens in .*\d:\d\d/.test(await page.textContent("#sale")), "a countdown to the sale", await page.textContent("#sale"));
    await page.click(seat("A-1"));
    is(await page.isDisabled("#hold"), true, "nothing can be held before");
    is(await page.isDisabled("#seek"), true, "nor found");
    await have("open");
    await have("stop");
    await have("start");
    await page.reload();
    await page.waitForSelector(seat("A-1"));
    await page.click(seat("A-1"));
    await within(async () => (await page.textContent("#sale")) === "", "the sale opens");
    await within(async () => !(await page.isDisabled("#hold")), "without a request");
    await page.click("#hold");
    await within(async () => (await held(page)) === "A-1", "and seats can be held");
    await have("close");
    await have("stop");
    await have("start");
    await page.click(seat("A-2"));
    await page.click("#hold");
    await within(async () => /Nothing can be held at this time/.test(await message(page)), "after its end a hold is refused", 60000);
    await within(async () => (await page.textContent("#sale")) === "The sale is over.", "and the page says why");
});
