/*
 * A hall of 8,000 seats in four sections: only what is in view has buttons, the
 * keyboard reaches everything, and the overview leads anywhere.
 */
"use strict";

const { is, ok, scenario, width, within } = require("./visit.js");
const { enter, rival, seat, stateOf } = require("./hall.js");

const buttons = (page) => page.$$eval("#map .seat", (all) => all.length);

scenario("large", async ({ host, url, open }) => {
    const page = await open();
    await enter(page, url);
    is(await page.$$eval("#map .row", (all) => all.length), 160, "every row has its place");
    ok((await buttons(page)) < 4000, "not every seat is drawn", await buttons(page));
    is(await page.$eval("#map .row", (row) => row.getAttribute("role")), "group", "rows are groups");
    is(await page.isVisible("#overview"), true, "there is an overview");

    await page.click(seat("North-1-25"));
    await page.keyboard.press("PageDown");
    is(await page.evaluate(() => document.activeElement.dataset.seat), "East-1-25", "a page key leads to the next section");
    await page.keyboard.press("End");
    for (const key of ["PageDown", "PageDown", "ArrowDown"]) await page.keyboard.press(key);
    is(await page.evaluate(() => document.activeElement.dataset.seat), "West-2-50", "and on to the last");
    ok(/^West-2-50, West, free$/.test(await page.evaluate(() => document.activeElement.getAttribute("aria-label"))), "with its category");
    is(await page.$$eval('#map [tabindex="0"]', (all) => all.length), 1, "the hall stays one tab stop");
    await within(async () => (await buttons(page)) < 4000, "what is left behind is taken away");

    const other = await rival(host);
    is(await other.hold("West-3-50", "North-1-1"), 201, "somebody holds seats here and there");
    await within(async () => (await stateOf(page, "West-3-50")) === "held", "what is in view turns grey");
    const box = await page.locator("#picture").boundingBox();
    await page.mouse.click(box.x + 2, box.y + 2);
    await page.waitForSelector(seat("North-1-1"));
    is(await stateOf(page, "North-1-1"), "held", "what was out of view is right when it comes back");
    is(await page.$eval("#hall", (hall) => hall.scrollTop), 0, "the overview leads there");
    await page.setViewportSize({ width: 320, height: 640 });
    ok((await width(page)) <= 320, "on a small phone only the hall scrolls sideways");
});
