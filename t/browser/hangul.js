/*
 * The seat page in Korean, on a small phone in the dark.
 */
"use strict";

const { is, ok, scenario, width, within } = require("./visit.js");
const { enter, held, message, rival, seat, stateOf } = require("./hall.js");

const PHONE = { locale: "ko-KR", viewport: { width: 320, height: 640 }, isMobile: true, hasTouch: true, colorScheme: "dark" };

scenario("hangul", async ({ host, url, open }) => {
    const page = await open(PHONE);
    await enter(page, url);
    is(await page.title(), "좌석 선택", "the seat page is Korean");
    is(await page.getAttribute(seat("A-1"), "aria-label"), "A-1, standard, 선택 가능", "so are the seats");
    is(await page.getAttribute("#map .row", "aria-label"), "A열", "and the rows");
    is(await page.textContent("#pools .places"), "20자리 남음", "and the standing places");
    ok((await width(page)) <= 320, "it fits a small phone");
    const side = await page.$eval(seat("A-1"), (button) => button.getBoundingClientRect().width);
    ok(side >= 30, "where seats are as large as a finger wants", side);
    const other = await rival(host);
    is(await other.hold("A-1"), 201, "somebody holds a seat");
    await within(async () => (await stateOf(page, "A-1")) === "held", "which turns grey");
    await page.tap("#seek");
    await within(async () => (await held(page)) !== "", "seats are found");
    ok(/선점했습니다/.test(await message(page)), "and told", await message(page));
    is(await page.textContent("#holds .extend"), "5분으로 연장", "the time can be extended");
    ok((await width(page)) <= 320, "with holds it fits too");
    await page.tap("#holds .release");
    await within(async () => (await held(page)) === "", "and released");
});
