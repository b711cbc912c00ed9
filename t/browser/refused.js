/*
 * A place that cannot be continued, and a browser that keeps no cookies.
 */
"use strict";

const { figure, is, ok, pause, scenario, visitors, within } = require("./visit.js");

/* Alters the token, keeping the cookie's attributes. */
async function spoil(context) {
    const [cookie] = (await context.cookies()).filter(({ name }) => name.startsWith("ticket-queue-"));
    await context.addCookies([{ ...cookie, value: cookie.value.replace(/^.{8}/, "AAAAAAAA") }]);
}

function countRequests(page) {
    const asked = [];
    page.on("request", (request) => {
        if (request.url().endsWith("/queue")) asked.push(request.method());
    });
    return asked;
}

async function placeLost(page, url) {
    await page.goto(url);
    await within(async () => (await figure(page, "ahead")) === 1, "in line behind one");
    const number = await figure(page, "number");
    await spoil(page.context());
    await within(() => page.isVisible("#note"), "a refused token is told of");
    ok(/new place/.test(await page.textContent("#note")), "as the loss of the place");
    ok((await figure(page, "number")) > number, "the page has joined anew");
    ok((await figure(page, "position")) > 1, "and waits");
}

async function cookiesOff(page, url) {
    const asked = countRequests(page);
    await page.addInitScript(() => Object.defineProperty(navigator, "cookieEnabled", { get: () => false }));
    await page.goto(url);
    await within(() => page.isVisible("#note"), "without cookies the page says so");
    ok(/allow cookies/.test(await page.textContent("#note")), "and what to do");
    await pause(3000);
    is(asked.join(" "), "", "and takes no places");
}

/* Cookies look allowed, but do not come back. */
async function cookiesLost(page, url) {
    const asked = countRequests(page);
    await page.route("**/queue", async (route) => {
        await page.context().clearCookies();
        await route.continue({ headers: { ...route.request().headers(), cookie: "" } });
    });
    await page.goto(url);
    await within(() => page.isVisible("#note"), "cookies that do not stay are told of");
    await pause(3000);
    is(asked.join(" "), "GET POST GET", "after one try");
}

scenario("refused", async ({ host, url, open }) => {
    await visitors(host, 3);
    await placeLost(await open(), url);
    await cookiesOff(await open(), url);
    await cookiesLost(await open(), url);
});
