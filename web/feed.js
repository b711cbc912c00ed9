/*
 * How the seats are, as it changes: a whole picture from …/seats, and after it
 * what the stream tells.  Without the stream the picture is asked for again
 * and again; with it, once in a while, for the session and for what was missed.
 * A tab that is hidden for long lets go of the stream and asks nothing.
 */

import { ask, backoff } from "./page.js";

const COMPACT = "application/vnd.ticket.seats+json";
const POLL_MS = 10000;       /* spread from half of it to one and a half */
const CHECK_MS = 60000;
const OPEN_WITHIN_MS = 1500;
const STREAM_AGAIN_MS = 30000;
const STREAM_AGAIN_MOST_MS = 600000;
const HIDDEN_MS = 60000;
const KEPT = 500;            /* events that may have to be told once more */

const spread = (ms) => ms * (0.5 + Math.random());

/* Ids of a stream are MS-SEQUENCE. */
function after(id, other) {
    const [ms, sequence] = id.split("-").map(Number);
    const [otherMs, otherSequence] = other.split("-").map(Number);
    return other === "" || ms > otherMs || (ms === otherMs && sequence > otherSequence);
}

/* Two bits a seat, the first in the lowest of the first byte. */
function unpack(base64, count) {
    const bytes = atob(base64);
    return Uint8Array.from({ length: count }, (_, no) => (bytes.charCodeAt(no >> 2) >> ((no & 3) * 2)) & 3);
}

export class Feed {
    #url;
    #count;                  /* of seats */
    #on;                     /* whole(states, pools), part(seats, pools), failed(answer) → false: no more, good() */
    #etag = "";
    #events = [];            /* the last ones of the stream: {id, seats, pools} */
    #upTo = "";              /* the event that the picture knows */
    #dirty = true;           /* events came since the picture: its ETag says nothing */
    #source = null;
    #live = false;
    #streamFailures = 0;
    #failures = 0;
    #looking = false;
    #once = false;           /* look again when this look is over */
    #timer = 0;
    #streamTimer = 0;
    #hiddenTimer = 0;
    #asleep = false;
    #ended = false;

    constructor(url, count, on) {
        this.#url = url;
        this.#count = count;
        this.#on = on;
        document.addEventListener("visibilitychange", () => this.#onVisibility());
        this.#listen();
        this.#later(this.#source ? OPEN_WITHIN_MS : 0);
        this.#onVisibility();
    }

    end() {
        this.#ended = true;
        this.#stop();
    }

    #stop() {
        clearTimeout(this.#timer);
        clearTimeout(this.#streamTimer);
        if (this.#source) this.#source.close();
        this.#source = null;
        this.#live = false;
    }

    #later(ms) {
        clearTimeout(this.#timer);
        if (!this.#ended && !this.#asleep) this.#timer = setTimeout(() => this.look(), ms);
    }

    /* Fetches the picture, now. */
    async look() {
        if (this.#looking) return void (this.#once = true);
        this.#looking = true;
        const headers = { Accept: COMPACT };
        if (this.#etag && !this.#dirty) headers["If-None-Match"] = this.#etag;
        const answer = await ask("GET", this.#url, undefined, headers);
        this.#looking = false;
        if (this.#ended) return;
        if (answer.status === 200 && answer.data) this.#take(answer);
        else if (answer.status !== 304) return this.#failed(answer);
        this.#failures = 0;
        this.#on.good();
        this.#later(this.#once ? 0 : this.#live ? spread(CHECK_MS) : spread(POLL_MS));
        this.#once = false;
    }

    #failed(answer) {
        this.#failures += 1;
        this.#once = false;
        if (this.#on.failed(answer)) this.#later(backoff(this.#failures, answer.retryAfter));
        else this.end();
    }

    /* What the stream told meanwhile is told again: seats are told as they are, so that does no harm. */
    #take({ data, headers }) {
        this.#etag = headers.get("ETag") || "";
        this.#upTo = data.event;
        this.#events = this.#events.filter(({ id }) => after(id, data.event));
        this.#dirty = this.#events.length > 0;
        this.#on.whole(unpack(data.states, this.#count), data.pools);
        for (const { seats, pools } of this.#events) this.#on.part(seats, pools);
    }

    #listen() {
        if (!window.EventSource || this.#source || this.#ended) return;
        const source = new EventSource(`${this.#url}/stream`);
        let heard = false;
        this.#source = source;
        source.addEventListener("open", () => {
            this.#live = true;
            this.#streamFailures = 0;
            if (!heard) this.look();     /* else it goes on where it was */
        });
        source.addEventListener("seats", ({ data, lastEventId }) => {
            const { seats = [], pools = [] } = JSON.parse(data);
            heard = true;
            if (!after(lastEventId, this.#upTo)) return;
            this.#dirty = true;
            this.#events.push({ id: lastEventId, seats, pools });
            if (this.#events.length > KEPT) this.#events.shift();
            this.#on.part(seats, pools);
        });
        source.addEventListener("reset", () => {
            heard = true;
            this.#dirty = true;
            this.look();
        });
        source.addEventListener("error", () => this.#lost(source));
    }

    /* The browser tries again by itself unless the server has refused. */
    #lost(source) {
        if (source !== this.#source) return;
        if (this.#live || source.readyState === EventSource.CLOSED) this.#later(this.#live ? spread(1000) : 0);
        this.#live = false;
        if (source.readyState !== EventSource.CLOSED) return;
        this.#source = null;
        this.#streamFailures += 1;
        clearTimeout(this.#streamTimer);
        this.#streamTimer = setTimeout(() => this.#listen(), spread(Math.min(STREAM_AGAIN_MOST_MS, STREAM_AGAIN_MS * 2 ** (this.#streamFailures - 1))));
    }

    #onVisibility() {
        clearTimeout(this.#hiddenTimer);
        if (document.visibilityState === "hidden") {
            this.#hiddenTimer = setTimeout(() => {
                this.#asleep = true;
                this.#stop();
            }, HIDDEN_MS);
        } else if (this.#asleep && !this.#ended) {
            this.#asleep = false;
            this.#dirty = true;
            this.#listen();
            this.look();
        }
    }
}
