/*
 * The puzzle against robots: solved in workers while the page stays alive,
 * sent with the next POST, and solved anew when the proof is refused.
 */
"use strict";

const { figure, is, ok, scenario, within } = require("./visit.js");
const { problem, scripted, waiting, zeroBits } = require("./scripted.js");

const NO_TOKEN = problem(401, "no_token");
const puzzle = (challenge, difficulty) => problem(403, "proof_required", { challenge, difficulty });
const proofOf = (asked) => asked.headers["x-ticket-proof"];

async function solved(page, url, difficulty) {
    const asked = await scripted(page, [NO_TOKEN, puzzle("first-challenge", difficulty), puzzle("second-challenge", difficulty), [201, waiting()[1]], waiting()]);
    const began = Date.now();
    await page.goto(url);
    await within(async () => (await figure(page, "position")) === 5, `${difficulty} zero bits are found`, 120000);
    process.stdout.write(`# two puzzles of ${difficulty} bits: ${Date.now() - began} ms with loading\n`);
    is(asked.slice(0, 4).map(({ method }) => method).join(" "), "GET POST POST POST", "the page joins with the proof");
    is(proofOf(asked[1]), undefined, "which it does not have at first");
    for (const [i, challenge] of [[2, "first-challenge"], [3, "second-challenge"]]) {
        const proof = proofOf(asked[i]) || "";
        ok(new RegExp(`^${challenge}\\.\\d+$`).test(proof), `the proof of the ${challenge}`, proof);
        ok(zeroBits(proof) >= difficulty, "it is right");
    }
    await within(async () => asked.length > 5, "afterwards the page polls");
    is(proofOf(asked[4]), undefined, "without a proof");
    await within(async () => page.workers().length === 1, "only the timer's worker is left");
}

/* One that is not to be solved today. */
async function alive(page, url) {
    await scripted(page, [NO_TOKEN, puzzle("hard", 31)]);
    await page.goto(url);
    await within(async () => /small puzzle that keeps robots out/.test(await page.textContent("#lead")), "the visitor is told");
    const tries = async () => Number((await page.textContent("#puzzle-tries")).match(/far: ([\d,]+)/)[1].replaceAll(",", ""));
    await within(async () => (await tries()) > 0, "tries are counted");
    const before = await tries();
    await within(async () => (await tries()) > before, "and go on");
    ok(/About 2,147,483,648 are expected/.test(await page.textContent("#puzzle-tries")), "so many are expected");
    const cores = await page.evaluate(() => navigator.hardwareConcurrency);
    is(page.workers().filter((worker) => /proof\.js$/.test(worker.url())).length, Math.min(4, cores), "in as many workers as there are processors, at most four");
    is(await page.isVisible("#leave") || await page.isVisible("#standing"), false, "there is no place yet");
    is(await page.textContent("#spoken"), await page.textContent("#lead"), "said aloud once, without the numbers");
}

scenario("puzzle", async ({ url, open }) => {
    await alive(await open(), url);
    await solved(await open(), url, 18);
});
