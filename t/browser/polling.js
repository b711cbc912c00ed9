/*
 * Without a stream the page asks again and again, and cheaply.
 */
"use strict";

const { is, ok, scenario, within } = require("./visit.js");
const { enter, rival, seat, stateOf, withoutStream } = require("./hall.js");

scenario("polling", async ({ host, url, open }) => {
    const page = await open();
    const other = await rival(host);
    const streams = await withoutStream(page);
    const statuses = [];
    page.on("response", (response) => {
        if (response.url().endsWith("/seats")) statuses.push(response.status());
    });
    await enter(page, url);
    is(streams.count, 1, "a stream was asked for");
    is(statuses.join(), "200", "and then the picture");
    await within(async () => statuses.includes(304), "what has not changed is not sent again", 40000);
    is(await stateOf(page, "A-1"), "free", "and stays as it was");
    is(await other.hold("A-1"), 201, "a seat is held");
    await within(async () => (await stateOf(page, "A-1")) === "held", "which the page learns by asking", 40000);
    ok(statuses.length < 12, "it does not ask in a hurry", statuses.join());
    is(await page.isVisible("#retrying"), false, "nothing is wrong with that");
    await page.click(seat("A-2"));
    await page.click("#hold");
    await within(async () => (await stateOf(page, "A-2")) === "mine", "and holding works");

    let maps = 0;
    await page.route("**/map/*", (route) => (maps += 1) > 1 ? route.fallback()
        : route.fulfill({ status: 404, contentType: "application/problem+json", body: '{"code":"no_such_map"}' }));
    let shows = 0;
    page.on("request", (request) => (shows += request.url().endsWith("/v1/performances/1")));
    await page.reload();
    await page.waitForSelector(seat("A-1"));
    is(`${maps} ${shows}`, "2 2", "where the map is is asked for anew when it has gone");
    await page.route("**/v1/performances/1", (route) => route.fulfill({ status: 404, contentType: "application/problem+json",
        body: '{"code":"no_such_performance"}' }));
    await page.reload();
    await within(async () => /no such performance/.test(await page.textContent("#message")), "a performance that is no more is told of");
    is(await page.isVisible("#retrying"), false, "and asked for no more");
});
