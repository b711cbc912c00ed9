/*
 * A room with the puzzle: the page solves it and has a number; without JavaScript
 * there is a way of its own, which the page names.
 */
"use strict";

const { figure, is, ok, scenario, within } = require("./visit.js");
const { watch } = require("./scripted.js");

const PLAIN = { javaScriptEnabled: false };
const WAY = "noscript a[href='/plain']";

async function solved(page, url) {
    const response = await page.goto(url);
    ok(/ data-state=""/.test(await response.text()), "the gate gives no number without a proof");
    await within(async () => (await page.title()) === "Inside", "the puzzle is solved and the first visitor is let in");
}

async function next(page, url) {
    const headings = await watch(page, "heading");
    await page.goto(url);
    await within(async () => (await figure(page, "number")) > 1, "the next one has a number");
    ok((await headings()).includes("One moment"), "after the puzzle");
    await within(async () => (await figure(page, "position")) === 1, "and is first in line");
    await within(async () => page.workers().length === 1, "nothing is computed any more");
    is(await page.isVisible("#retrying"), false, "nothing failed");
}

async function plain(page, url) {
    await page.goto(url);
    ok(Number.isNaN(await figure(page, "number")), "without JavaScript there is no number here");
    ok(/keeps robots out/.test(await page.innerText("main")), "but the reason");
    await page.click(WAY);
    is(page.url(), `${url}plain`, "and a link to where there is one");
    const number = await figure(page, "number");
    ok(number > 0, "a number", `${number}`);
    await within(async () => page.url() === url, "the page leads back");
    await within(async () => (await figure(page, "position")) === 2, "and shows the position");
    is(await figure(page, "number"), number, "of that number");
    is(await page.isVisible(WAY), false, "the puzzle is not spoken of any more");
}

scenario("proof", async ({ url, open }) => {
    await solved(await open(), url);
    await next(await open(), url);
    await plain(await open(PLAIN), url);
    is((await (await open(PLAIN)).goto(`${url}plain`)).status(), 503, "the next without JavaScript is too many");
});
