/*
 * What is on offer besides choosing by hand: seats found for the visitor, and
 * standing places; and the countdown to a sale that has not opened.
 */

import { Countdown, clock, duration } from "./countdown.js";
import { byId, show, text } from "./page.js";

const TIERS = 6;
const LONGEST_MS = 2147483647;     /* of a timer */

/* 1 to most; what the visitor has chosen comes back when there is enough again. */
function options(select, most) {
    select.replaceChildren(...Array.from({ length: Math.max(1, most) }, (_, i) => new Option(`${i + 1}`, i + 1)));
    select.value = Math.max(1, Math.min(Number(select.dataset.wanted), most));
    select.onchange = () => (select.dataset.wanted = select.value);
}

const clone = (id) => byId(id).content.firstElementChild.cloneNode(true);

/* "Find me seats": onFind is called with {quantity, together} and the tiers if not all are wanted. */
export class Finder {
    #tiers;
    #onFind;

    constructor(tiers, onFind) {
        this.#tiers = tiers;
        this.#onFind = onFind;
        byId("tiers").hidden = tiers.length < 2;
        byId("tier-list").append(...tiers.map(({ name, no }) => this.#buildTier(name, no)));
        byId("find").addEventListener("submit", (event) => {
            event.preventDefault();
            this.find();
        });
        byId("find").addEventListener("input", () => this.hideOffers());
        byId("offer-fewer").addEventListener("click", () => {
            byId("quantity").value = Number(byId("quantity").value) - 1;
            this.find();
        });
        byId("offer-apart").addEventListener("click", () => {
            byId("together").checked = false;
            this.find();
        });
    }

    #buildTier(name, no) {
        const label = clone("tier-line");
        label.querySelector("input").value = name;
        label.querySelector(".key").dataset.tier = no % TIERS;
        label.querySelector(".name").textContent = name;
        return label;
    }

    limit(most) {
        options(byId("quantity"), most);
    }

    find() {
        const wanted = [...byId("tier-list").querySelectorAll("input:checked")].map(({ value }) => value);
        const best = { quantity: Number(byId("quantity").value), together: byId("together").checked };
        this.hideOffers();
        if (wanted.length === 0 && this.#tiers.length > 1) return this.#onFind(null);
        if (wanted.length < this.#tiers.length) best.tiers = wanted;
        return this.#onFind(best);
    }

    /* No such block: what may be had instead. */
    offer({ quantity, together }) {
        byId("offer-fewer").hidden = quantity < 2;
        byId("offer-apart").hidden = !together || quantity < 2;
        byId("offers").hidden = quantity < 2;
        byId("offer-fewer").textContent = text("offer-fewer", { quantity: quantity - 1 });
    }

    hideOffers() {
        byId("offers").hidden = true;
    }
}

/* Standing places; onTake is called with (name, quantity). */
export class Pools {
    #pools;                  /* [{pool, capacity, line, left}] */
    #most = 1;

    constructor(pools, onTake) {
        this.#pools = pools.map(({ pool, capacity }) => ({ pool, capacity, left: capacity, line: clone("pool-line") }));
        for (const { pool, line } of this.#pools) {
            line.dataset.pool = pool;
            line.querySelector(".name").textContent = pool;
            line.querySelector("select").setAttribute("aria-label", text("how-many", { pool }));
            line.addEventListener("submit", (event) => {
                event.preventDefault();
                onTake(pool, Number(line.querySelector("select").value));
            });
        }
        byId("pools").append(...this.#pools.map(({ line }) => line));
        byId("standing").hidden = pools.length === 0;
    }

    limit(most) {
        this.#most = most;
        for (const pool of this.#pools) this.#paint(pool);
    }

    /* Numbers of places left, by number of the pool. */
    set(no, left) {
        if (!this.#pools[no]) return;
        this.#pools[no].left = left;
        this.#paint(this.#pools[no]);
    }

    setByName(name, left) {
        this.set(this.#pools.findIndex(({ pool }) => pool === name), left);
    }

    #paint({ left, line }) {
        const most = Math.min(left, this.#most);
        show(line.querySelector(".places"), left > 0 ? text("places-left", { left }) : text("places-none"));
        if (line.dataset.most === `${most}`) return;
        line.dataset.most = most;
        options(line.querySelector("select"), most);
        line.querySelector("select").disabled = most < 1;
    }
}

/* Whether places are on sale; onChange is called when that changes by the time. */
export class Sale {
    #countdown = new Countdown((seconds) => this.#onSecond(seconds));
    #closing = 0;
    #onChange;
    open = true;

    constructor(onChange) {
        this.#onChange = onChange;
    }

    /* A performance as the worker tells it, and the worker's time, cut to seconds. */
    set({ sale_opens_at: opens, sale_closes_at: closes }, now) {
        const opensIn = opens === null ? 0 : Date.parse(opens) - now;
        const closesIn = closes === null ? Infinity : Date.parse(closes) - now;
        clearTimeout(this.#closing);
        this.open = opensIn <= 0 && closesIn > 0;
        if (closesIn > 0 && closesIn < LONGEST_MS) this.#closing = setTimeout(() => this.#end(), closesIn);
        if (closesIn > 0 && opensIn > 0) return this.#countdown.set(opensIn);
        this.#countdown.stop();
        return show(byId("sale"), closesIn > 0 ? "" : text("sale-over"));
    }

    #end() {
        this.open = false;
        this.#countdown.stop();
        show(byId("sale"), text("sale-over"));
        this.#onChange();
    }

    #onSecond(seconds) {
        const { days, time } = clock(seconds);
        const words = seconds > 0 ? text("sale-opens", { time: `${days} ${time}`.trim() }) : "";
        byId("sale").setAttribute("aria-label", seconds > 0 ? text("sale-opens", { time: duration(seconds) }) : "");
        show(byId("sale"), words);
        if (seconds > 0) return;
        this.open = true;
        this.#onChange();
    }
}
