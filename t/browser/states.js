/*
 * What can be the matter while one waits: nobody let in, sold out, the end of the
 * sale, and all of it in Korean on a small phone, at twice the size too.
 */
"use strict";

const { is, ok, scenario, width, within } = require("./visit.js");
const { addressOf, drawing, prequeue, problem, scripted, waiting } = require("./scripted.js");

const PHONE = { locale: "ko-KR", viewport: { width: 320, height: 640 }, isMobile: true, hasTouch: true, colorScheme: "dark" };

async function notes(page, url) {
    let answer = waiting({ paused: true });
    await scripted(page, [() => answer]);
    await page.goto(url);
    await within(async () => /Nobody is being let in/.test(await page.textContent("#note")), "paused");
    answer = waiting({ sold_out: true });
    await within(async () => /sold out/.test(await page.textContent("#note")), "sold out");
    answer = waiting({ closes_in_ms: 3660000 });
    await within(async () => !(await page.isVisible("#note")), "neither");
    is(await page.isVisible("#closes"), false, "the end is far");
    answer = waiting({ closes_in_ms: 1500000 });
    await within(async () => (await page.textContent("#closes")) === "The sale ends in 25 minutes.", "the end is near");
    answer = waiting({ closes_in_ms: 5000 });
    await within(async () => /^The sale ends in [1-5] seconds?\.$/.test(await page.textContent("#closes")), "nearer");
    answer = waiting({ closes_in_ms: 60000 });
    await within(async () => (await page.textContent("#closes")) === "The sale ends in 60 seconds.", "put off");
    answer = waiting();
    await within(async () => !(await page.isVisible("#closes")), "no longer to be told");
}

/* Every state fits, and says what it says in Korean. */
async function korean(page, url) {
    let answer = prequeue(123 * 86400000);
    await scripted(page, [() => answer]);
    const fits = async (heading) => {
        await within(async () => (await page.textContent("#heading")) === heading, heading);
        ok((await width(page)) <= 320, "fits a small phone");
        const foreign = await page.evaluate(() => document.body.innerText.replace(/SHA-256|https?:\S+/g, "").match(/[a-z]{2,}/gi));
        is(foreign, null, "in Korean words only");
    };
    await page.goto(addressOf(url, { lang: "ko" }));
    await fits("아직 판매가 시작되지 않았습니다");
    ok(/^123일 \d:\d\d:\d\d 남음$|^122일 23:59:\d\d 남음$/.test(await page.title()), "with days in the title", await page.title());
    answer = drawing(60000);
    await fits("추첨에 참여했습니다");
    await page.click("#draw summary");
    await fits("추첨에 참여했습니다");
    answer = waiting({ state: "closed" });
    await fits("판매가 마감되었습니다");
    answer = waiting({ place: 1234567, position: 1234567, closes_in_ms: 1000000, paused: true });
    await fits("순서를 기다리고 있습니다");
    answer = problem(403, "proof_required", { challenge: "x", difficulty: 40 });
    await fits("문제를 풀지 못했습니다");
}

/* Twice the size is half the width. */
async function enlarged(page, url) {
    await scripted(page, [drawing(93784000)]);
    await page.goto(url);
    await page.evaluate(() => (document.documentElement.style.fontSize = "200%"));
    await within(async () => page.isVisible("#opening"), "with letters twice as large");
    ok((await width(page)) <= 640, "nothing is cut off");
    await page.emulateMedia({ reducedMotion: "reduce" });
    const moving = await page.evaluate(() => document.getAnimations().length);
    is(moving, 0, "nothing moves for who wants that");
}

scenario("states", async ({ url, open }) => {
    await notes(await open(), url);
    await korean(await open(PHONE), url);
    await enlarged(await open({ viewport: { width: 640, height: 800 } }), url);
});
