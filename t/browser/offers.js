/*
 * Seats that are found for the visitor, standing places, and every refusal in
 * words that say what to do.
 */
"use strict";

const { is, ok, scenario, within } = require("./visit.js");
const { deafen, enter, held, HOLDS, message, rival, seat, stateOf, withoutStream } = require("./hall.js");

const says = (page, pattern, name) => within(async () => pattern.test(await message(page)), name);

async function releaseAll(page) {
    while ((await held(page)) !== "") {
        const before = await held(page);
        await page.click("#holds .release");
        await within(async () => (await held(page)) !== before, "released");
    }
}

async function find(page) {
    is(await page.$$eval("#tier-list .name", (all) => all.map(({ textContent }) => textContent).join()), "gold,standard", "the categories of seats");
    await page.selectOption("#quantity", "2");
    await page.uncheck('#tier-list input[value="gold"]');
    await page.click("#seek");
    await within(async () => /^Back-1-\d+, Back-1-\d+$/.test(await held(page)), "two seats together, of the category wanted");
    const [a, b] = (await held(page)).split(", ").map((name) => Number(name.split("-")[2]));
    is(Math.abs(a - b), 1, "side by side");
    await says(page, /^Found and held for you: Back/, "and told");
    await within(async () => (await stateOf(page, `Back-1-${a}`)) === "mine", "and marked in the hall");
    await releaseAll(page);
}

async function noBlock(page, other) {
    is(await other.hold("Front-1-2"), 201, "the middle of the front row is taken");
    await page.check('#tier-list input[value="gold"]');
    await page.uncheck('#tier-list input[value="standard"]');
    await page.click("#seek");
    await says(page, /no 2 free seats side by side/, "no block is told of");
    is(await page.textContent("#offer-fewer"), "Look for 1", "fewer are offered");
    await page.click("#offer-apart");
    await within(async () => (await held(page)) === "Front-1-1, Front-1-3", "and apart, which is taken up");
    is(await page.isVisible("#offers"), false, "the offers go");
    await releaseAll(page);
    await page.uncheck('#tier-list input[value="gold"]');
    await page.click("#seek");
    await says(page, /at least one category/, "no category at all");
    await page.check('#tier-list input[value="gold"]');
    await page.check('#tier-list input[value="standard"]');
}

async function conflict(page, other) {
    await page.click(seat("Back-2-1"));
    await page.click(seat("Back-2-2"));
    is(await other.hold("Back-2-2"), 201, "somebody is quicker");
    await page.click("#hold");
    await says(page, /quicker: Back-2-2\. Nothing is held yet/, "the seat that is gone is named");
    is(await stateOf(page, "Back-2-2"), "held", "and drawn so");
    is(await page.textContent("#chosen"), "Back-2-1", "the other stays chosen");
    await page.click(seat("Back-2-1"));
}

async function pool(page, other) {
    await page.selectOption("#pools select", "3");
    is(await other.wish({ pools: [{ pool: "floor", quantity: 2 }] }), 201, "two of three standing places go");
    await page.click("#pools button");
    await says(page, /^floor: only 1 left/, "how many are left is told");
    is(await page.$$eval("#pools option", (all) => all.length), 1, "and no more are offered");
    await page.click("#pools button");
    await within(async () => (await held(page)) === "1 × floor", "that one is held");
    await releaseAll(page);
}

/* Another tab of the same visitor. */
async function limit(page) {
    const status = await page.evaluate(async (url) => (await fetch(url, { method: "POST",
        headers: { "Content-Type": "application/json", "Idempotency-Key": "another-tab" }, body: '{"seats":["Back-1-1","Back-1-2"]}' })).status, HOLDS);
    is(status, 201, "two are held elsewhere");
    await page.click(seat("Back-1-5"));
    await page.click(seat("Back-1-6"));
    await page.click("#hold");
    await says(page, /up to 3 in all\. Release/, "the limit for a person is told");
    await within(async () => (await held(page)) === "Back-1-1, Back-1-2", "and what one has");
    await page.click(seat("Back-1-5"));
    await page.click(seat("Back-1-7"));
    await page.click(seat("Back-1-8"));
    await says(page, /up to 3 in all\.$/, "no more can be chosen");
    ok((await page.textContent("#chosen")).split(",").length <= 2, "than may be held");
}

scenario("offers", async ({ host, url, open }) => {
    const page = await open();
    const other = await rival(host);
    await withoutStream(page);
    await enter(page, url);
    await within(async () => (await page.textContent("#pools .places")) === "3 left", "all places are there");
    await deafen(page);
    await find(page);
    await noBlock(page, other);
    await conflict(page, other);
    await pool(page, await rival(host));
    await limit(page);
});
