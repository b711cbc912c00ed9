/*
 * A timer in a worker of its own: browsers slow the timers of a hidden tab to
 * one a minute, but not those of its workers, and most people wait in a hidden
 * tab.  Send {id, ms}; id comes back after ms milliseconds.
 */
"use strict";

onmessage = ({ data }) => setTimeout(() => postMessage(data.id), data.ms);
