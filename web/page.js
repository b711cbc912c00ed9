/*
 * What the waiting page and the seat page share: texts, numbers, and requests
 * that always end.  Every text comes from the page's <template id="texts">, so
 * that the scripts know no language.
 */

const ANSWER_WITHIN_MS = 20000;
const FIRST_RETRY_MS = 2000;
const LAST_RETRY_MS = 30000;

const language = document.documentElement.lang;
const texts = document.getElementById("texts").content;

document.documentElement.classList.add("js");

export const page = document.body.dataset;

export const byId = (id) => document.getElementById(id);

export const number = (n) => n.toLocaleString(language);

const known = new Map();

/* The page's text of that name, with {name} replaced from values. */
export function text(name, values = {}) {
    if (!known.has(name)) known.set(name, texts.querySelector(`[data-text="${name}"]`).textContent);
    const found = known.get(name);
    return found.replace(/\{(\w+)\}/g, (whole, key) => {
        const value = values[key];
        return typeof value === "number" ? number(value) : value;
    });
}

/* Shows words in element, or hides it when there are none.  Unchanged words are left alone: screen readers would say them again. */
export function show(element, words) {
    if (element.textContent !== words) element.textContent = words;
    element.hidden = words === "";
}

/*
 * One request, with further headers if given; cache as fetch has it.  Always
 * resolves: status is 0 when no answer came in time, data is null when the answer
 * was not JSON, retryAfter is in milliseconds.
 */
export async function ask(method, url, body, headers = {}, cache = "no-store") {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), ANSWER_WITHIN_MS);
    try {
        const response = await fetch(url, {
            method,
            body: body === undefined ? undefined : JSON.stringify(body),
            headers: body === undefined
                ? { Accept: "application/json", ...headers }
                : { Accept: "application/json", "Content-Type": "application/json", ...headers },
            cache,
            credentials: "same-origin",
            redirect: "error",
            signal: abort.signal,
        });
        const retryAfter = (Number(response.headers.get("Retry-After")) || 0) * 1000;
        return { status: response.status, retryAfter, data: await json(response), headers: response.headers };
    } catch {
        return { status: 0, retryAfter: 0, data: null, headers: new Headers() };
    } finally {
        clearTimeout(timer);
    }
}

/* A cut-off answer must not pass for one without content, so that only a parse error becomes null. */
async function json(response) {
    const words = await response.text();
    try {
        return JSON.parse(words);
    } catch {
        return null;
    }
}

/* How long to wait after the given number of failures; spread, so that a crowd does not come back at once. */
export function backoff(failures, retryAfter = 0) {
    const ms = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 10));
    return Math.max(ms, retryAfter) * (0.75 + Math.random() / 2) + retryAfter / 4;
}

/* Storage is a convenience: a browser that refuses it only loses the comfort. */
export function remember(storage, key, value) {
    try {
        if (value === null) window[storage].removeItem(key);
        else window[storage].setItem(key, JSON.stringify(value));
    } catch {
        return;
    }
}

export function recall(storage, key) {
    try {
        return JSON.parse(window[storage].getItem(key));
    } catch {
        return null;
    }
}

/* Opens the page's confirmation; resolves to true when the visitor says yes. */
export function confirmed(dialog) {
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
        dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    });
}
