/*
 * Where everything stands: turns the geometry of a map into places on a plane,
 * in pixels.  Coordinates of a map may be those of the whole hall or of each
 * section alone; sections that would lie on each other are put one below the
 * other.
 */

const LABEL = 36;            /* for the name of a row, beside it */
const MARGIN = 14;
const STAGE = 44;

/* Nearly the least: a few that stand closer do not count. */
const low = (all) => all.sort((a, b) => a - b)[Math.floor(all.length / 10)] ?? 0;

/* Seats are drawn as squares, so this is what keeps them off each other. */
const distance = (a, b) => Math.max(Math.abs(a.x - b.x), Math.abs(a.y - b.y));

/* The names of a row's seats begin with the name of the row: "A" of "A-1". */
function nameOf(row, section, seats) {
    const begin = seats[0].name.slice(0, seats[0].name.lastIndexOf("-") + 1);
    if (begin === "" || !seats.every(({ name }) => name.startsWith(begin))) return `${row}`;
    const name = begin.slice(0, -1);
    return name.startsWith(`${section}-`) ? name.slice(section.length + 1) : name;
}

function readRow({ row, first, seats }, section) {
    const read = seats.map(([name, pos, tier, x, y], i) => ({
        no: first + i, name, tier, x, y, pos, label: name.slice(name.lastIndexOf("-") + 1).slice(-3),
    }));
    return { name: nameOf(row, section, read), section, seats: read };
}

/* A map without coordinates has a straight hall. */
function straighten(sections) {
    for (const { rows } of sections) {
        rows.forEach((row, i) => row.seats.forEach((seat) => Object.assign(seat, { x: seat.pos, y: i })));
    }
}

/* How far neighbours are apart, in the units of the map; 0 when its coordinates are of no use. */
function unitOf(sections) {
    const seats = [], rows = [];
    for (const section of sections) {
        section.rows.forEach((row, i) => {
            row.seats.forEach((seat, j) => {
                const before = row.seats[j - 1];
                if (before) seats.push(distance(seat, before) / Math.max(1, seat.pos - before.pos));
            });
            if (i > 0) rows.push(distance(row.seats[0], section.rows[i - 1].seats[0]));
        });
    }
    const [along, across] = [low(seats), low(rows)];
    if (seats.length === 0 || rows.length === 0) return along || across;
    return Math.min(along, across) * 4 < Math.max(along, across) ? 0 : Math.min(along, across);
}

function box(seats) {
    const all = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
    for (const { x, y } of seats) {
        all.left = Math.min(all.left, x);
        all.right = Math.max(all.right, x);
        all.top = Math.min(all.top, y);
        all.bottom = Math.max(all.bottom, y);
    }
    return all;
}

/* Whether seats of different sections stand in the same places. */
function overlap(sections, unit) {
    const taken = new Map();
    let n = 0, all = 0;
    for (const section of sections) {
        for (const { x, y } of section.rows.flatMap(({ seats }) => seats)) {
            const cell = `${Math.round(x / unit)} ${Math.round(y / unit)}`;
            if ((taken.get(cell) ?? section) !== section) n += 1;
            taken.set(cell, section);
            all += 1;
        }
    }
    return n * 50 > all;
}

function move(section, dx, dy) {
    for (const seat of section.rows.flatMap(({ seats }) => seats)) {
        seat.x += dx;
        seat.y += dy;
    }
    section.focal = [section.focal[0] + dx, section.focal[1] + dy];
    section.box = box(section.rows.flatMap(({ seats }) => seats));
}

/* One below the other, with their middles in a line. */
function stack(sections, unit) {
    let top = 0;
    for (const section of sections) {
        move(section, -(section.box.left + section.box.right) / 2, top - section.box.top);
        top = section.box.bottom + 3 * unit;
    }
}

/* Whether the stage is above the seats, below them, or among them (null). */
function stageAbove(sections, all) {
    const y = sections[0].focal[1];
    if (y <= all.top + (all.bottom - all.top) / 4) return true;
    return y >= all.bottom - (all.bottom - all.top) / 4 ? false : null;
}

/*
 * {width, height, pitch, label, seats, rows, best, sections, stage}, or null
 * without seats.  Seats by number, each {no, name, label, tier, x, y, row}, with
 * its upper left corner; rows in order, each {name, section, seats, straight,
 * left, top, right, bottom}, straight where its name may move to the edge, with
 * nothing else beside it; the best seat by the map's focal points; the middle of
 * each section's upper edge, if there are several; the stage's, or null.
 */
export function plan(map, pitch) {
    const sections = map.sections.filter(({ rows }) => rows.length > 0).map((section) => ({
        name: section.name, focal: section.focal, rows: section.rows.map((row) => readRow(row, section.name)),
    }));
    if (sections.length === 0) return null;
    let unit = unitOf(sections);
    if (unit === 0) {
        straighten(sections);
        unit = 1;
    }
    for (const section of sections) move(section, 0, 0);
    const stacked = overlap(sections, unit);
    if (stacked) stack(sections, unit);
    return onPixels(sections, pitch, pitch / unit, stacked || sections.length === 1);
}

function onPixels(sections, pitch, scale, alone) {
    const rows = sections.flatMap((section) => section.rows);
    const seats = rows.flatMap((row) => row.seats);
    const all = box(seats);
    const above = stageAbove(sections, all);
    const titles = sections.length > 1 ? pitch : 0;
    const x = (at) => Math.round((at - all.left) * scale) + LABEL + MARGIN;
    const y = (at) => Math.round((at - all.top) * scale) + MARGIN + titles + (above === true ? STAGE : 0);
    const middle = (section) => x((section.box.left + section.box.right) / 2) + pitch / 2;
    const named = sections.map((section) => ({ name: section.name, x: middle(section), y: y(section.box.top) }));

    for (const seat of seats) [seat.x, seat.y] = [x(seat.x), y(seat.y)];
    rows.forEach((row, i) => {
        Object.assign(row, box(row.seats));
        row.straight = alone && row.top === row.bottom;
        for (const seat of row.seats) seat.row = i;
    });
    const on = box(seats);
    const focal = new Map(sections.map((section) => [section.name, [x(section.focal[0]), y(section.focal[1])]]));
    const off = (seat) => {
        const [bestX, bestY] = focal.get(rows[seat.row].section);
        return 2 * Math.abs(seat.x - bestX) + Math.abs(seat.y - bestY);     /* rather far back than aside */
    };
    const best = seats.reduce((nearest, seat) => off(seat) < off(nearest) ? seat : nearest);
    const height = on.bottom + pitch + MARGIN + (above === false ? STAGE : 0);
    const stage = above === null ? null : { x: (on.left + on.right + pitch) / 2, y: above ? MARGIN : height - STAGE + 8 };
    return { width: on.right + pitch + MARGIN, height, pitch, rows, best, stage, sections: titles ? named : [],
        label: LABEL, seats: seats.sort((a, b) => a.no - b.no) };
}
