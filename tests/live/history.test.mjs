// What the live page remembers.

import assert from "node:assert/strict";
import { test } from "node:test";

import { History } from "../../src/http/live/history.js";

function snapshot(time, requests, startTime = 1) {
  return { time, startTime, counters: new Map([["status 200", requests]]) };
}

const totals = (history) => history.points.map(({ total }) => total ?? null);

test("the first snapshot tells no rate, the second does", () => {
  const history = new History();
  history.add(snapshot(1, 1000));
  assert.deepEqual(history.points, []);
  assert.equal(history.isIdle, null);
  history.add(snapshot(2, 1010));
  assert.deepEqual(totals(history), [10]);
  assert.equal(history.isIdle, false);
});

test("it is idle after some seconds without a request", () => {
  const history = new History();
  for (const [time, requests] of [[1, 0], [2, 5], [3, 5], [4, 5], [5, 5], [6, 5]]) history.add(snapshot(time, requests));
  assert.equal(history.isIdle, false, "there was one within the last five");
  history.add(snapshot(7, 5));
  assert.equal(history.isIdle, true);
});

test("a restart is a gap, not a fall", () => {
  const history = new History();
  [snapshot(1, 100), snapshot(2, 110), snapshot(3, 4, 2), snapshot(4, 9, 2)].forEach((one) => history.add(one));
  assert.deepEqual(totals(history), [10, null, 5]);
});

test("a long pause is a gap, a failed answer too", () => {
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

test("it forgets what is older than five minutes, however often it is added to", () => {
  const history = new History();
  for (let time = 0; time < 2000; time++) history.add(snapshot(time, 3 * time));
  assert.equal(history.points.length, 301);
  assert.equal(history.points[0].time, 1999 - 300);
  for (let time = 2000; time < 2100; time += 0.01) history.add(snapshot(time, 1e6 * time));
  assert.equal(history.points.length, 600);
});
