/*
 * Korean by Accept-Language, on a small phone in the dark.
 */
"use strict";

const { figure, is, ok, scenario, visitors, width, within } = require("./visit.js");

const PHONE = { locale: "ko-KR", viewport: { width: 320, height: 640 }, isMobile: true, hasTouch: true, colorScheme: "dark" };

scenario("korean", async ({ host, url, open }) => {
    const others = await visitors(host, 2);
    const page = await open(PHONE);
    await page.goto(url);
    is(await page.getAttribute("html", "lang"), "ko", "the page is Korean");
    is(await page.textContent("#heading"), "순서를 기다리고 있습니다", "so is its heading");
    await within(async () => (await page.title()) === "대기 순서 1번째", "and the title");
    await within(async () => (await figure(page, "ahead")) === 0, "nobody is ahead");
    ok((await width(page)) <= 320, "the waiting page fits a small phone");
    is(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), "rgb(19, 21, 24)", "dark when asked for");

    await others[0].leave();
    await within(async () => (await page.title()) === "좌석 선택", "the seat page is Korean");
});
