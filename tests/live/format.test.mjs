// How the live page formats numbers.

import assert from "node:assert/strict";
import { test } from "node:test";

import * as format from "../../src/http/pages/live/format.js";

test("numbers have a unit and no more digits than they need", () => {
  assert.equal(format.rate(0), "0/s");
  assert.equal(format.rate(0.25), "0.3/s");
  assert.equal(format.rate(12345.6), "12,346/s");
  assert.equal(format.seconds(0.000321), "0.32 ms");
  assert.equal(format.seconds(0.0123), "12.3 ms");
  assert.equal(format.seconds(2.5), "2.50 s");
  assert.equal(format.count(7), "7");
  assert.equal(format.count(7.25), "7.3");
  assert.equal(format.memory(23 * 2 ** 20), "23.0 MiB");
  assert.equal(format.onAxis.seconds(0.0001), "0.1 ms");
});

test("a duration shows its two largest units", () => {
  assert.equal(format.duration(0.4), "0 s");
  assert.equal(format.duration(59), "59 s");
  assert.equal(format.duration(61), "1 min 1 s");
  assert.equal(format.duration(7260), "2 h 1 min");
  assert.equal(format.duration(90000), "1 d 1 h");
});

test("an unknown value is a dash", () => {
  for (const show of [format.rate, format.seconds, format.count, format.memory, format.cores, format.duration]) {
    assert.deepEqual([show(undefined), show(null), show(NaN)], [format.NOTHING, format.NOTHING, format.NOTHING]);
  }
});
