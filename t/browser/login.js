/*
 * One who is logged in has one place, in however many browsers.
 */
"use strict";

const { figure, is, scenario, visitors, within } = require("./visit.js");

async function loggedIn(open, url, login) {
    const page = await open();
    await page.context().addCookies([{ name: "login", value: login, url }]);
    await page.goto(url);
    await within(async () => (await figure(page, "position")) > 0, `${login} is in line`);
    return { page, number: await figure(page, "number") };
}

scenario("login", async ({ host, url, open }) => {
    const [first] = await visitors(host, 1);
    const home = await loggedIn(open, url, "anna");
    const other = await loggedIn(open, url, "ben");
    const phone = await loggedIn(open, url, "anna");
    is(phone.number, home.number, "another browser shows the same number");
    is(other.number, home.number + 1, "another login has another");
    is(await figure(phone.page, "position"), 1, "and the same place");
    await first.leave();
    for (const { page } of [home, phone]) await within(async () => (await page.title()) === "Inside", "both are let in");
    is(await other.page.title() === "Inside", false, "as one");
});
