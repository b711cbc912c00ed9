/*
 * The hash of the puzzle's worker, without a browser: known digests, and that
 * searches find the first nonce whose hash, as OpenSSL computes it, has the zero bits.
 */
"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");
const { zeroBits } = require("./scripted.js");

/* FIPS 180-2, appendix B, and the empty message. */
const DIGESTS = {
    "": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
};

const worker = vm.createContext({ TextEncoder, postMessage() {} });
vm.runInContext(fs.readFileSync(path.join(__dirname, "../../web/proof.js"), "utf8"), worker);
worker.digest = vm.runInContext(`(message) => {
    const bytes = new TextEncoder().encode(message);
    const blocks = lastBlocks(bytes, 0, bytes.length);
    const state = INITIAL.slice();
    for (let at = 0; at < blocks.length; at += 64) compress(state, blocks, at);
    return [...state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}`, worker);

for (const [message, digest] of Object.entries(DIGESTS)) assert.strictEqual(worker.digest(message), digest, message);

/* All lengths around the ends of blocks; the first hit shows that no nonce was skipped or misjudged. */
for (let length = 0; length < 140; length += 1) {
    const text = "x".repeat(length);
    const found = worker.search({ text, difficulty: 7, first: 0, step: 1 }, 1e6);
    let first = 0;
    while (zeroBits(`${text}.${first}`) < 7) first += 1;
    assert.strictEqual(found, first, `a text of ${length} bytes`);
}

/* Strides share the work without a gap. */
const text = "shared";
const alone = worker.search({ text, difficulty: 10, first: 0, step: 1 }, 1e6);
const shared = [0, 1, 2].map((first) => worker.search({ text, difficulty: 10, first, step: 3 }, 1e6));
assert.ok(shared.every((nonce, first) => nonce % 3 === first));
assert.strictEqual(Math.min(...shared), alone);

assert.strictEqual(worker.search({ text, difficulty: 10, first: 0, step: 1 }, alone), null, "no more tries than asked for");

const TRIES = 300000;
const began = performance.now();
assert.strictEqual(worker.search({ text: "speed", difficulty: 32, first: 0, step: 1 }, TRIES), null);
process.stdout.write(`# ${Math.round(TRIES / (performance.now() - began))} tries a millisecond, in one thread\n`);
