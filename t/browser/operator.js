/*
 * What an operator does while pages are open: each says what is true, and none loses
 * a place but by a reset.
 */
"use strict";

const { figure, have, is, ok, pause, scenario, Visitor, visitors, width, within } = require("./visit.js");

const PHONE = { locale: "ko-KR", viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
const TEXTS = {
    en: { line: "You are in line", closed: "The sale is closed", kept: /Your place is kept/, paused: /Nobody is being let in/,
        sold: /sold out/, lost: /Your earlier place could not be continued/ },
    ko: { line: "순서를 기다리고 있습니다", closed: "판매가 마감되었습니다", kept: /순서는 그대로 유지됩니다/, paused: /입장이 잠시 멈춰/,
        sold: /매진/, lost: /이전 순서를 이어 갈 수 없어/ },
};

class Operator extends Visitor {
    async tell(method, body, name) {
        is((await this.ask(method, "/room/admin/operator", body)).status, 200, `the operator: ${name}`);
    }

    set(settings) {
        return this.tell("PATCH", settings, JSON.stringify(settings));
    }

    command(command, more = {}) {
        return this.tell("POST", { command, ...more }, command);
    }
}

/* Of every page, which seldom asks while the room is closed. */
async function all(pages, condition, name) {
    for (const one of pages) await within(() => condition(one), name, 60000);
}

const noteIs = (pattern) => async ({ page, words }) => words[pattern].test(await page.textContent("#note")) && page.isVisible("#note");
const noNote = async ({ page }) => !(await page.isVisible("#note"));
const headingIs = (name) => async ({ page, words }) => (await page.textContent("#heading")) === words[name];

async function numbers(pages) {
    const own = [];
    for (const { page } of pages) own.push(await figure(page, "number"));
    return own.join();
}

async function settings(pages, operator) {
    const before = await numbers(pages);
    await operator.set({ paused: true });
    await all(pages, noteIs("paused"), "paused: the page says so");
    await operator.set({ paused: false });
    await all(pages, noNote, "resumed: it says nothing any more");

    await operator.set({ mode: "reject" });
    await all(pages, headingIs("closed"), "reject: closed");
    for (const { page, words } of pages) ok(words.kept.test(await page.textContent("#lead")), "with the place kept");
    is(await numbers(pages), before, "and the number on show");
    await operator.set({ mode: "fifo" });
    await all(pages, headingIs("line"), "fifo: in line again");

    await have("soldout");
    await all(pages, noteIs("sold"), "no seats are left: the page says so");
    await have("restock");
    await all(pages, noNote, "some are: it says nothing any more");
    is(await numbers(pages), before, "the number is the one of before");
    for (const { page } of pages) ok((await width(page)) <= page.viewportSize().width, "it all fits");
}

/* The places are lost, which the page says together with what else is the matter. */
async function reset(pages, operator) {
    await operator.set({ paused: true });
    await operator.command("reset");
    await all(pages, noteIs("lost"), "reset: the page joins anew, and says so");
    await all(pages, noteIs("paused"), "and that nobody is let in");
    is((await numbers(pages)).split(",").sort().join(), "1,2", "numbers begin anew");
    await operator.set({ paused: false });
}

/* A visitor inside, who is sent away: the next request meets the waiting page. */
async function revoked(pages, url, operator) {
    const [inside, waiting] = await within(async () => {
        const titles = [];
        for (const { page } of pages) titles.push(await page.title());
        const at = titles.indexOf("Inside");
        return at >= 0 && [pages[at], pages[1 - at]];
    }, "the first is let in");
    await pause(1000);
    is(await inside.page.reload().then(() => inside.page.title()), "Inside", "and stays in");
    await operator.command("revoke", { number: 1 });
    await inside.page.goto(url);
    await within(() => headingIs("line")(inside), "revoked: the next request meets the waiting page");
    await within(async () => (await waiting.page.title()) === "Inside", "and the next is let in");
    await within(async () => (await figure(inside.page, "number")) === 3, "who was sent away has a new number");
}

scenario("operator", async ({ host, url, open }) => {
    const operator = new Operator(host);
    await visitors(host, 1);
    const pages = [{ page: await open(), words: TEXTS.en }, { page: await open(PHONE), words: TEXTS.ko }];
    for (const { page } of pages) await page.goto(url);
    await all(pages, async ({ page }) => (await figure(page, "position")) > 0, "in line");
    await settings(pages, operator);
    await reset(pages, operator);
    await revoked(pages, url, operator);
});
