/*
 * Answers get lost on the way back: the same key is sent again, so that there is
 * one hold and one extension, and the visitor notices no more than a delay.
 */
"use strict";

const http = require("node:http");
const { is, ok, scenario, within } = require("./visit.js");
const { watch } = require("./scripted.js");
const { counted, enter, held, left, message, seat } = require("./hall.js");

/* Carries a request of the page to nginx, and waits for the answer. */
async function deliver(request) {
    const { host, port, pathname } = new URL(request.url());
    const headers = { ...(await request.allHeaders()), host };
    const body = request.postData() ?? "";
    for (const name of Object.keys(headers)) if (name.startsWith(":")) delete headers[name];
    headers["content-length"] = Buffer.byteLength(body);
    return new Promise((resolve, reject) => {
        const sent = http.request({ host: "127.0.0.1", port, method: request.method(), path: pathname, headers, agent: false },
            (response) => response.resume().on("end", resolve));
        sent.on("error", reject).end(body);
    });
}

/* The first answer to such a request is lost after the worker has given it; the keys of all are kept. */
async function lose(page, pattern, times = 1) {
    const keys = [];
    await page.route(pattern, async (route) => {
        if (route.request().method() !== "POST") return route.continue();
        keys.push(route.request().headers()["idempotency-key"]);
        if (keys.length > times) return route.continue();
        await deliver(route.request());
        return route.abort("connectionreset");
    });
    return keys;
}

scenario("lost", async ({ url, open }) => {
    const page = await open();
    const said = await watch(page, "message");
    await enter(page, url);
    const keys = await lose(page, "**/performances/1/holds", 2);
    await page.click(seat("A-1"));
    await page.click(seat("A-2"));
    await page.click("#hold");
    await within(async () => /connection was lost/.test(await message(page)), "the visitor is told of the connection");
    is(await page.isDisabled("#hold"), true, "and cannot ask twice");
    await within(async () => (await held(page)) === "A-1, A-2", "the hold is there in the end");
    is(keys.length, 3, "asked three times");
    is(new Set(keys).size, 1, "with one key");
    is(await counted(page), 1, "one hold was made");
    ok((await left(page)) < 60, "which began with the first");

    await page.click(seat("B-1"));
    await page.click("#hold");
    await within(async () => (await held(page)) === "A-1, A-2; B-1", "a second hold");
    is(new Set(keys).size, 2, "has a key of its own");

    const extensions = await lose(page, "**/extend");
    const before = await left(page);
    await within(async () => (await left(page)) < before, "the time runs");
    await page.click("#holds li:first-child .extend");
    await within(async () => /left from now on/.test(await message(page)), "an extension whose answer was lost");
    is(extensions.length, 2, "is asked for again");
    is(new Set(extensions).size, 1, "with its key");
    is(await page.isVisible("#holds li:first-child .extend"), false, "and counts once");

    await page.route("**/performances/1/holds", (route) => route.request().method() === "POST"
        ? route.fulfill({ status: 409, contentType: "application/problem+json", headers: { "Retry-After": "1" }, body: '{"code":"in_progress"}' })
        : route.fallback(), { times: 1 });
    await page.click(seat("C-1"));
    await page.click("#hold");
    await within(async () => (await held(page)).endsWith("C-1"), "what is in progress is waited for");
    is(await counted(page), 3, "and made once");
    is((await said()).filter((words) => /quicker/.test(words)).join(), "", "one's own seats are never said to be somebody else's");
});
