/*
 * What the browser scenarios share.  A scenario is run by t/browser.t with the
 * address of an nginx, speaks to it on stdout, one line each, and listens on
 * stdin:
 *
 *     ok NAME, not ok NAME    the outcome of a check
 *     # TEXT                  why it failed
 *     do COMMAND              something only the test can do; "done" comes back
 *
 * Each scenario has a host name, and so a room instance and a line, of its own.
 */
"use strict";

const http = require("node:http");
const readline = require("node:readline");
const { chromium } = require("playwright-core");

const WITHIN_MS = 20000;
const ARGUMENTS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"];

const port = Number(process.argv[2]);
const say = (line) => process.stdout.write(`${line}\n`);

function ok(truth, name, why = "") {
    say(`${truth ? "ok" : "not ok"} ${name}`);
    if (!truth && why !== "") for (const line of String(why).split("\n")) say(`# ${line}`);
}

function is(got, expected, name) {
    ok(got === expected, name, `got ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/* Asks until it holds; returns what it returned, or fails the check. */
async function within(condition, name, ms = WITHIN_MS) {
    const end = Date.now() + ms;
    let last;
    while (Date.now() < end) {
        last = await condition().catch((error) => void (last = error));
        if (last) {
            ok(true, name);
            return last;
        }
        await pause(50);
    }
    ok(false, name, `not within ${ms} ms`);
    throw new Error(name);
}

const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function have(command) {
    say(`do ${command}`);
    const { value } = await answers.next();
    if (value !== "done") throw new Error(`${command}: ${value}`);
}

/* A visitor without a browser: keeps cookies, sends one request at a time. */
class Visitor {
    constructor(host) {
        this.host = host;
        this.cookies = new Map();
    }

    ask(method, path, body, more = {}) {
        const headers = { Host: `${this.host}:${port}`, Accept: "application/json", ...more };
        if (this.cookies.size > 0) headers.Cookie = [...this.cookies].map((pair) => pair.join("=")).join("; ");
        if (body !== undefined) headers["Content-Type"] = "application/json";
        return new Promise((resolve, reject) => {
            const request = http.request({ host: "127.0.0.1", port, method, path, headers, agent: false }, (response) => {
                let text = "";
                response.on("data", (bytes) => (text += bytes));
                response.on("end", () => {
                    this.keep(response.headers["set-cookie"] || []);
                    resolve({ status: response.statusCode, data: text ? JSON.parse(text) : null });
                });
            });
            request.on("error", reject);
            request.end(body === undefined ? undefined : JSON.stringify(body));
        });
    }

    keep(lines) {
        for (const line of lines) {
            const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
            if (/;\s*max-age=0/i.test(line)) this.cookies.delete(name);
            else this.cookies.set(name, value);
        }
    }

    async join() {
        this.state = (await this.ask("POST", "/queue")).data.state;
        return this.state;
    }

    /* Claims until admitted. */
    async enter(ms = WITHIN_MS) {
        const end = Date.now() + ms;
        while ((await this.join()) !== "admitted") {
            if (Date.now() > end) throw new Error("a visitor was not admitted");
            await pause(100);
        }
    }

    async leave() {
        await this.ask("DELETE", "/queue");
    }
}

/* So many visitors, who joined one after the other. */
async function visitors(host, count) {
    const all = Array.from({ length: count }, () => new Visitor(host));
    for (const visitor of all) await visitor.join();
    return all;
}

/*
 * Runs a scenario with a browser, and checks after it that no page had a script error
 * or something its Content-Security-Policy refused.
 */
async function scenario(name, body) {
    const host = `${name}.localhost`;
    const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ARGUMENTS });
    const faults = [];
    const open = async (options = {}) => {
        const context = await browser.newContext({ locale: "en-US", ...options });
        const page = await context.newPage();
        page.on("pageerror", (error) => faults.push(`${error}`));
        page.on("console", (message) => {
            if (/Content Security Policy/i.test(message.text())) faults.push(message.text());
        });
        return page;
    };
    try {
        await body({ host, url: `http://${host}:${port}/`, open });
        is(faults.join("; "), "", "no script error, nothing against the security policy");
    } catch (error) {
        ok(false, "the scenario came to its end", error.stack);
        process.exitCode = 1;
    } finally {
        await browser.close();
        process.stdin.destroy();
    }
}

/* The text of an element as a number; NaN while there is none. */
const figure = async (page, id) => Number((await page.textContent(`#${id}`)).replace(/[^0-9]/g, "") || NaN);

/* How wide the page is, in CSS pixels. */
const width = (page) => page.evaluate(() => document.documentElement.scrollWidth);

module.exports = { figure, have, is, ok, pause, scenario, Visitor, visitors, width, within };
