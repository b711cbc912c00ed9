/*
 * Without JavaScript: the state is in the page, the page reloads by itself, and
 * a reload lets the visitor in once they are called.
 */
"use strict";

const { figure, is, ok, scenario, visitors, within } = require("./visit.js");

scenario("plain", async ({ host, url, open }) => {
    const others = await visitors(host, 3);
    const page = await open({ javaScriptEnabled: false });
    await page.goto(url);
    await within(async () => (await figure(page, "position")) === 2, "the position is in the page");
    await within(async () => (await page.title()) === "No. 2 in line", "and in the title");
    await within(async () => /: 2$/.test((await page.textContent(".plain-only:not(.opens)")).trim()), "and how many are in line");
    is(await page.isVisible("#leave"), false, "what needs JavaScript is not shown");
    const number = await figure(page, "number");

    await others[0].leave();
    await others[2].enter();
    await within(async () => (await figure(page, "position")) === 1, "the page reloads by itself, and the position falls");
    is(await figure(page, "number"), number, "the number stays");
    await others[1].leave();
    await within(async () => (await page.title()) === "Choose your seats", "a reload lets the visitor in");
    is(page.url(), url, "at the address that was asked for");
    ok(/JavaScript/.test(await page.textContent(".seats")), "and tells that seats need JavaScript");

    const other = await open({ javaScriptEnabled: false });
    is((await other.goto(`${url}plain`)).status(), 200, "the way without the puzzle");
    ok((await figure(other, "number")) > number, "gives a number");
    await within(async () => other.url() === url, "and leads back, where waiting is not limited");
    await within(async () => (await figure(other, "position")) === 1, "with the place kept");
    is((await (await open({ javaScriptEnabled: false })).goto(`${url}plain`)).status(), 503, "the next visitor is too many");
});
