/*
 * A worker that searches for the nonce of a puzzle: SHA-256(TEXT + "." + NONCE)
 * has to begin with so many zero bits.  Send {text, difficulty, first, step}: it
 * tries first, first + step, ... and sends {tries} now and then and {nonce} in the
 * end.  The hash is written out here because crypto.subtle takes a promise for each
 * try, which costs many times the hash itself.
 */
"use strict";

/* Between two pieces of work the worker can be stopped at once; in one, browsers take seconds. */
const TRIES_AT_ONCE = 50000;

/* The first bits of the fractional parts of roots of primes, as FIPS 180-4 has them. */
function rootsOfPrimes(count, root) {
    const words = new Int32Array(count);
    for (let n = 2, found = 0; found < count; n += 1) {
        let d = 2;
        while (d * d <= n && n % d !== 0) d += 1;
        if (d * d > n) words[found++] = (root(n) % 1) * 2 ** 32;
    }
    return words;
}

const ROUND = rootsOfPrimes(64, Math.cbrt);
const INITIAL = rootsOfPrimes(8, Math.sqrt);
const w = new Int32Array(64);

/* Takes the 64 bytes from at on into state. */
function compress(state, bytes, at) {
    for (let i = 0; i < 16; i += 1, at += 4) w[i] = bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3];
    for (let i = 16; i < 64; i += 1) {
        const x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + ((x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3)
            + ((y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10) | 0;
    }
    let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
    for (let i = 0; i < 64; i += 1) {
        const t = h + ((e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7)) + (e & f ^ ~e & g) + ROUND[i] + w[i] | 0;
        const u = ((a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10)) + (a & b ^ a & c ^ b & c) | 0;
        h = g; g = f; f = e; e = d + t | 0; d = c; c = b; b = a; a = t + u | 0;
    }
    state[0] += a; state[1] += b; state[2] += c; state[3] += d; state[4] += e; state[5] += f; state[6] += g; state[7] += h;
}

/* The last blocks of a message of length bytes: rest, room for digits, padding. */
function lastBlocks(rest, digits, length) {
    const used = rest.length + digits;
    const blocks = new Uint8Array(used + 9 > 64 ? 128 : 64);
    blocks.set(rest);
    blocks[used] = 0x80;
    new DataView(blocks.buffer).setUint32(blocks.length - 4, length * 8);
    return blocks;
}

/* Tries so many nonces, which have to stay below 2^31; returns the first that fits, or null. */
function search({ text, difficulty, first, step }, tries) {
    const prefix = new TextEncoder().encode(`${text}.`);
    const whole = prefix.length - prefix.length % 64;
    const rest = prefix.subarray(whole);
    const before = INITIAL.slice();
    for (let at = 0; at < whole; at += 64) compress(before, prefix, at);
    const state = new Int32Array(8);
    let blocks, end, limit = 0;
    for (let nonce = first; tries > 0; nonce += step, tries -= 1) {
        if (nonce >= limit) {
            const digits = `${nonce}`.length;
            blocks = lastBlocks(rest, digits, prefix.length + digits);
            end = rest.length + digits;
            limit = 10 ** digits;
        }
        for (let at = end - 1, n = nonce; at >= rest.length; at -= 1, n = n / 10 | 0) blocks[at] = 48 + n % 10;
        state.set(before);
        compress(state, blocks, 0);
        if (blocks.length > 64) compress(state, blocks, 64);
        if (Math.clz32(state[0]) >= difficulty) return nonce;
    }
    return null;
}

function work(puzzle) {
    const next = puzzle.first + TRIES_AT_ONCE * puzzle.step;
    if (next > 2 ** 31) throw new Error("no nonce below 2^31");
    const nonce = search(puzzle, TRIES_AT_ONCE);
    if (nonce !== null) return postMessage({ nonce: `${nonce}` });
    postMessage({ tries: TRIES_AT_ONCE });
    setTimeout(work, 0, { ...puzzle, first: next });
}

onmessage = ({ data }) => work(data);
