/*
 * Puzzles that are not solved: exchanged for fresh ones before they are too old,
 * given up in the end or where a browser cannot, and tried again by hand.
 */
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { figure, is, ok, scenario, within } = require("./visit.js");
const { addressOf, problem, scripted, waiting } = require("./scripted.js");

const NO_TOKEN = problem(401, "no_token");
const FAILED = "The puzzle could not be solved";

/* Puzzles are too old after a moment instead of a minute. */
const hurry = (page) => page.route("**/puzzle.js", (route) => {
    const script = fs.readFileSync(path.join(__dirname, "../../web/puzzle.js"), "utf8");
    return route.fulfill({ contentType: "application/javascript", body: script.replace(/(GOOD_FOR_MS = )\d+/, "$1700") });
});

async function stale(page, url) {
    let fresh = 0;
    await hurry(page);
    const asked = await scripted(page, [NO_TOKEN, () => problem(403, "proof_required", { challenge: `no-${fresh += 1}`, difficulty: 31 })]);
    await page.goto(addressOf(url, { plain_url: "/plain" }));
    await within(async () => fresh > 1, "a puzzle that is too old is exchanged");
    is(asked[2].headers["x-ticket-proof"], undefined, "without a proof");
    await within(async () => (await page.textContent("#heading")) === FAILED, "it does not go on for ever", 60000);
    const total = fresh;
    is(await page.getAttribute("#plain-link", "href"), "/plain", "there is another way");
    await within(async () => page.workers().length === 1, "nothing is computed any more");
    await page.waitForTimeout(2000);
    is(fresh, total, "and nothing asked");
    ok(total > 3 && total < 10, "after some", `${total}`);
}

/* Works where solving does not; a click tries again. */
async function unable(page, url) {
    await page.addInitScript(() => {
        const Real = window.Worker;
        window.Worker = class {
            constructor(address) {
                if (/proof/.test(address)) throw new Error("no workers");
                return new Real(address);
            }
        };
    });
    let answer = problem(403, "proof_required", { challenge: "x", difficulty: 8 });
    await scripted(page, [NO_TOKEN, () => answer]);
    await page.goto(url);
    await within(async () => (await page.textContent("#heading")) === FAILED, "a browser without workers");
    is(await page.isVisible("#plain"), false, "there is no other way here");
    answer = waiting();
    await page.click("#retry");
    await within(async () => (await figure(page, "position")) === 5, "it can be tried again");
}

async function absurd(page, url) {
    await scripted(page, [NO_TOKEN, problem(403, "proof_required", { challenge: "x", difficulty: 200 })]);
    await page.goto(url);
    await within(async () => (await page.textContent("#heading")) === FAILED, "a puzzle that nobody can solve is not begun");
}

scenario("unsolved", async ({ url, open }) => {
    await stale(await open(), url);
    await unable(await open(), url);
    await absurd(await open(), url);
});
