// The history that the live page keeps.

import assert from "node:assert/strict";
import { test } from "node:test";

import { History, stateOf } from "../../src/http/pages/live/history.js";

function snapshot(time, requests, startTime = 1) {
  return { time, startTime, counters: new Map([["status 200", requests]]) };
}

const totals = (history) => history.points.map(({ total }) => total ?? null);

test("a rate needs two snapshots", () => {
  const history = new History();
  history.add(snapshot(1, 1000));
  assert.deepEqual(history.points, []);
  assert.equal(history.recent, null);
  history.add(snapshot(2, 1010));
  assert.deepEqual(totals(history), [10]);
  assert.equal(history.recent.total, 10);
});

/** The state after these snapshots. */
function titleAfter(...snapshots) {
  const history = new History();
  snapshots.forEach((one) => history.add(one));
  return stateOf(history, snapshots.at(-1))[1];
}

/** A snapshot with these numbers of answers by status. */
function answers(time, statuses, more = {}) {
  const counters = new Map(Object.entries(statuses).map(([status, count]) => [`status ${status}`, count]));
  return { time, startTime: 1, up: 1, inFlight: 0, waitingLookups: 0, waitingPages: 0, waitingWrites: 0, counters, ...more };
}

test("the state shows what the service does now", () => {
  const before = answers(1, { 200: 10, 429: 5, 500: 5, 503: 5, 504: 5 });
  const after = (statuses, more) => titleAfter(before, answers(2, { 200: 10, 429: 5, 500: 5, 503: 5, 504: 5, ...statuses }, more));
  assert.equal(titleAfter(before), "No data yet");
  assert.equal(after({}), "Idle", "earlier answers do not count");
  assert.equal(after({ 200: 11 }), "Serving");
  assert.equal(after({ 404: 1 }), "Serving", "a client's own mistake");
  assert.equal(after({ 200: 99, 503: 6 }), "Refusing");
  assert.equal(after({ 200: 99, 429: 6 }), "Refusing");
  assert.equal(after({ 200: 99, 500: 6, 503: 50 }), "Failing");
  assert.equal(after({ 200: 99, 504: 6 }), "Failing");
  assert.equal(after({ 200: 99, 503: 6 }, { up: 0 }), "Not ready");
});

test("the state shows the rate of each refusal", () => {
  const history = new History();
  const [before, after] = [answers(1, {}), answers(2, { 429: 2, 503: 30 })];
  [before, after].forEach((one) => history.add(one));
  assert.deepEqual(stateOf(history, after), ["warning", "Refusing", "503 30.0/s, 429 2.0/s, of late"]);
});

test("a refusal is forgotten after some seconds", () => {
  const snapshots = Array.from({ length: 8 }, (_, time) => answers(time, { 503: time === 0 ? 0 : 1 }));
  assert.equal(titleAfter(...snapshots.slice(0, 6)), "Refusing");
  assert.equal(titleAfter(...snapshots), "Idle");
});

test("the service is not idle while anything is in flight or waits", () => {
  for (const name of ["inFlight", "waitingLookups", "waitingPages", "waitingWrites"]) {
    assert.equal(titleAfter(answers(1, {}), answers(2, {}, { [name]: 1 })), "Serving", name);
  }
});

test("alternating replicas differ from one that restarts", () => {
  const one = (time) => answers(time, { 200: 100 + time });
  const other = (time) => answers(time, { 200: 5 }, { startTime: 2 });
  assert.equal(titleAfter(one(1), other(2)), "No data yet", "it may have restarted");
  assert.equal(titleAfter(one(1), other(2), one(3)), "Several replicas");
  assert.equal(titleAfter(one(1), other(2), one(3), other(4)), "Several replicas");
  assert.equal(titleAfter(one(1), answers(2, { 200: 5 })), "Several replicas", "both started at the same time");
  const alone = Array.from({ length: 11 }, (_, index) => one(4 + index));
  assert.equal(titleAfter(one(1), other(2), one(3), ...alone), "Serving");
});

test("the service is idle after some seconds without a request", () => {
  const history = new History();
  for (const [time, requests] of [[1, 0], [2, 5], [3, 5], [4, 5], [5, 5], [6, 5]]) history.add(snapshot(time, requests));
  assert.notEqual(history.recent.total, 0, "a request came within the last five seconds");
  history.add(snapshot(7, 5));
  assert.equal(history.recent.total, 0);
});

test("a restart is a gap, not a drop", () => {
  const history = new History();
  [snapshot(1, 100), snapshot(2, 110), snapshot(3, 4, 2), snapshot(4, 9, 2)].forEach((one) => history.add(one));
  assert.deepEqual(totals(history), [10, null, 5]);
});

test("a long pause is a gap, and so is a failed answer", () => {
  const history = new History();
  [snapshot(1, 0), snapshot(2, 7), snapshot(60, 7000), snapshot(61, 7007)].forEach((one) => history.add(one));
  history.gap(62);
  history.add(snapshot(63, 7021));
  assert.deepEqual(totals(history), [7, null, 7, null, 7]);
});

test("busy cores are averaged over twenty seconds", () => {
  const history = new History();
  assert.equal(history.cores, null);
  for (let time = 0; time <= 100; time++) {
    history.add({ ...snapshot(time, 0), counters: new Map([["cpu", Math.floor(time < 90 ? 0 : (time - 90) / 2)]]) });
  }
  assert.equal(history.cores, 5 / 20);
});

test("the history drops points older than five minutes, and has a maximum", () => {
  const history = new History();
  for (let time = 0; time < 2000; time++) history.add(snapshot(time, 3 * time));
  assert.equal(history.points.length, 301);
  assert.equal(history.points[0].time, 1999 - 300);
  for (let time = 2000; time < 2100; time += 0.01) history.add(snapshot(time, 1e6 * time));
  assert.equal(history.points.length, 600);
});
