/*
 * Solves the puzzle that keeps robots out, in workers (proof.js), each of which
 * tries every so manieth nonce from a random one on: visitors behind one address get the same
 * puzzle, and each solution counts once.  A try succeeds or fails whatever was tried before,
 * so that nothing is lost when one puzzle is exchanged for a fresh one.
 */

import { after, cancel } from "./ticker.js";

const MOST_WORKERS = 4;
const HARDEST = 32;           /* zero bits that proof.js can look for */
const STARTS = 2 ** 30;       /* to begin at; proof.js can count to 2 ** 31 */
const GOOD_FOR_MS = 50000;    /* a challenge is refused after one to two minutes */

/*
 * Resolves to the nonce, or to null when none was found while the challenge was
 * good.  Rejects when this browser cannot search at all.  onTries is told how
 * many tries were made so far.
 */
export function solve(challenge, difficulty, onTries) {
    const step = Math.max(1, Math.min(MOST_WORKERS, navigator.hardwareConcurrency || 1));
    const workers = [];
    const start = Math.floor(Math.random() * STARTS);
    let tries = 0;
    let timer = 0;
    const searched = new Promise((resolve, reject) => {
        if (!(difficulty >= 0 && difficulty <= HARDEST)) throw new Error(`a difficulty of ${difficulty}`);
        timer = after(GOOD_FOR_MS, () => resolve(null));
        for (let first = 0; first < step; first += 1) {
            const worker = new Worker(new URL("proof.js", import.meta.url));
            workers.push(worker);
            worker.onerror = reject;
            worker.onmessage = ({ data }) => {
                if (data.nonce !== undefined) return resolve(data.nonce);
                tries += data.tries;
                onTries(tries);
            };
            worker.postMessage({ text: challenge, difficulty, first: start + first, step });
        }
    });
    return searched.finally(() => {
        cancel(timer);
        for (const worker of workers) worker.terminate();
    });
}

/* How many tries it takes on average. */
export const expectedTries = (difficulty) => 2 ** difficulty;
