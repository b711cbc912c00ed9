/*
 * A sale that opens with a draw, from a closed room to the seats: two browsers that are
 * there before all, and others that come meanwhile.  The room has one slot, so that at
 * least one browser waits and sees its place.
 */
"use strict";

const { execFileSync } = require("node:child_process");
const crypto = require("node:crypto");
const path = require("node:path");
const { figure, have, is, ok, scenario, visitors, width, within } = require("./visit.js");

const OTHERS = 7;
const TO_OPENING_MS = 60000;
const PHONE = { locale: "ko-KR", viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
const TEXTS = {
    en: { soon: "Not open yet", room: "The waiting room opens in", draw: "You are in the draw", drawn: /^You have drawn place ([\d,]+) of 9\.$/ },
    ko: { soon: "아직 열리지 않았습니다", room: "대기실이 열릴 때까지", draw: "추첨에 참여했습니다", drawn: /^추첨 결과 9명 중 ([\d,]+)번째입니다\.$/ },
};

const heading = (page, words, name, ms) => within(async () => (await page.textContent("#heading")) === words, name, ms);

async function closed({ page, words }) {
    await heading(page, words.soon, "before the presale the room is closed");
    is(await page.textContent("#opening-label"), words.room, "the waiting room's opening comes first");
    ok(/^00:\d\d$/.test(await page.textContent("#opening-time")), "with a countdown");
    is(await page.isVisible("#leave"), false, "there is no place yet");
}

/* Joins by itself at the presale, and sees that places will be drawn; returns what is told of it. */
async function entered({ page, words }) {
    await heading(page, words.draw, "at the presale it joins by itself", TO_OPENING_MS);
    const number = await figure(page, "number");
    ok(number > 0, "with a number", `${number}`);
    is(await page.isVisible("#standing"), false, "there is no position before the draw");
    ok(/^00:\d\d$/.test(await page.textContent("#opening-time")), "but a countdown to the opening");
    await page.click("#draw summary");
    await within(async () => /^[0-9a-f]{64}$/.test(await page.textContent("#draw-commitment")), "the key's fingerprint is shown");
    is(await page.isVisible("#draw-held"), false, "and no key");
    return { number, commitment: await page.textContent("#draw-commitment") };
}

const inside = async (page) => (await page.title()) === "Inside";

async function drawn({ page, words }, { number, commitment }) {
    const shown = (await page.textContent("#drawn")).match(words.drawn);
    ok(shown, "the drawn place, and of how many", await page.textContent("#drawn"));
    is(await figure(page, "number"), number, "the number is the one of before");
    is(await page.textContent("#draw-commitment"), commitment, "so is the fingerprint");
    const key = await page.textContent("#draw-key");
    is(crypto.createHash("sha256").update(Buffer.from(key, "hex")).digest("hex"), commitment, "it is the key's");
    const [program, ...args] = (await page.textContent("#draw-command")).split(" ");
    const out = execFileSync(path.join(__dirname, "../..", program), args, { encoding: "utf8" });
    ok(new RegExp(`: place ${shown[1]}$`, "m").test(out), "the command that is shown computes the same place", out);
    const { width: fits } = page.viewportSize();
    ok((await width(page)) <= fits, "all of it fits");
}

/* Who is inside leaves, until all have been. */
async function letThrough(all) {
    for (let left = [...all]; left.length > 0;) {
        const entered = await within(async () => {
            for (const one of left) if (await inside(one.page)) return one;
            return null;
        }, "the next is let through by itself");
        await entered.page.evaluate(() => fetch("/queue", { method: "DELETE" }));
        left = left.filter((one) => one !== entered);
    }
}

scenario("opening", async ({ host, url, open }) => {
    const all = [{ page: await open(), words: TEXTS.en }, { page: await open(PHONE), words: TEXTS.ko }];
    await have("schedule");
    await Promise.all(all.map(({ page }) => page.goto(url)));
    for (const one of all) await closed(one);
    for (const one of all) one.before = await entered(one);
    const others = await visitors(host, OTHERS);
    is(others.map(({ state }) => state).join(), Array(OTHERS).fill("prequeue").join(), "others are in the draw, too");

    const complete = async ({ page }) => (await inside(page)) || (await page.isVisible("#draw-held"));
    for (const one of all) await within(() => complete(one), "the draw is held: let through, or told the place and the key", TO_OPENING_MS);
    let waiting = 0;
    for (const one of all) {
        if (await inside(one.page)) continue;
        waiting += 1;
        await drawn(one, one.before);
    }
    ok(waiting >= 1, "not both can be first");
    await Promise.all(others.map((other) => other.leave()));
    await letThrough(all);
});
