/*
 * Two tabs of one visitor share a place, and poll more often than the server wants:
 * neither makes anything of it.
 */
"use strict";

const { figure, is, scenario, visitors, within } = require("./visit.js");
const { watch } = require("./scripted.js");

const TOGETHER_MS = 12000;

scenario("tabs", async ({ host, url, open }) => {
    const [first] = await visitors(host, 1);
    const page = await open();
    const tabs = [page, await page.context().newPage()];
    const told = [];
    for (const tab of tabs) {
        told.push(await watch(tab, "retrying"), await watch(tab, "note"));
        await tab.goto(url);
        await within(async () => (await figure(tab, "position")) === 1, "a tab shows the place");
    }
    is(await figure(tabs[1], "number"), await figure(tabs[0], "number"), "the same");
    const number = await figure(page, "number");
    await page.waitForTimeout(TOGETHER_MS);
    for (const words of told) is((await words()).join(), "", "nothing was said about a lost connection or place");
    for (const tab of tabs) is(await figure(tab, "number"), number, "the number stays");
    await first.leave();
    for (const tab of tabs) await within(async () => (await tab.title()) === "Inside", "both are let in");
});
