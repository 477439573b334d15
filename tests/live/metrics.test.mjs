// How the live page reads /metrics and computes rates.

import assert from "node:assert/strict";
import { test } from "node:test";

import { gains, parse, point, quantile, read } from "../../src/http/pages/live/metrics.js";

/** The text of /metrics. `statuses` counts the requests of one route. */
function text({ statuses = {}, buckets = {}, batches = 0, messages = 0, start = 1000 } = {}) {
  const route = 'method="GET",route="/api/v2/users"';
  return [
    "# HELP http_requests_total HTTP requests answered.",
    "# TYPE http_requests_total counter",
    ...Object.entries(statuses).map(([status, count]) => `http_requests_total{${route},status="${status}"} ${count}`),
    'http_requests_total{method="GET",route="/metrics",status="200"} 999',
    'http_requests_total{method="GET",route="/ready",status="503"} 999',
    ...Object.entries(buckets).map(([le, count]) => `http_request_duration_seconds_bucket{${route},status="200",le="${le}"} ${count}`),
    'http_request_duration_seconds_bucket{method="GET",route="/metrics",status="200",le="+Inf"} 999',
    `db_batch_size_messages_count{lane="writes"} ${batches}`,
    `db_batch_size_messages_sum{lane="writes"} ${messages}`,
    'db_messages_waiting{lane="lookups"} 7',
    'db_pool_connections{state="idle"} 4',
    'db_pool_connections{state="in_use"} 1',
    "db_pool_max_connections 5",
    "db_up 1",
    "http_requests_in_flight 3",
    "process_cpu_seconds_total 3",
    `process_start_time_seconds ${start}`,
    'user_service_build_info{version="1.2.3",commit="abc",database="sqlite"} 1',
    "",
  ].join("\n");
}

test("labels, escapes, comments, times and special values are read", () => {
  const samples = parse(
    ["# TYPE a counter", 'a{x="}, 1 \\"quoted\\" \\\\",y="two\\nlines"} 1.5e3 1700000000', "b +Inf", "c NaN", "", "!"].join("\n"),
  );
  assert.deepEqual(samples.get("a"), [{ labels: { x: '}, 1 "quoted" \\', y: "two\nlines" }, value: 1500 }]);
  assert.equal(samples.get("b")[0].value, Infinity);
  assert.ok(Number.isNaN(samples.get("c")[0].value));
  assert.equal(samples.size, 3);
});

test("a snapshot holds what the page shows, and null for missing metrics", () => {
  const snapshot = read(text(), 5);
  const { time, up, inFlight, connections, maxConnections, waitingLookups, version, database, startTime } = snapshot;
  assert.deepEqual({ time, up, inFlight, connections, maxConnections, waitingLookups, version, database, startTime }, {
    time: 5, up: 1, inFlight: 2, connections: 1, maxConnections: 5, waitingLookups: 7, version: "1.2.3", database: "sqlite", startTime: 1000,
  });
  const empty = read("", 0);
  for (const [name, value] of Object.entries(empty)) {
    if (!["time", "counters"].includes(name)) assert.equal(value, null, name);
  }
});

test("rates are differences over time, without the page's own requests", () => {
  const before = read(text({ statuses: { 200: 10, 404: 5 } }), 10);
  const after = read(text({ statuses: { 200: 30, 201: 10, 404: 6, 429: 2, 500: 4, 503: 6, 504: 8 } }), 12);
  const { total, succeeded, clientErrors, serverErrors, limited, overloaded, unknown, failed } = point(before, before, after);
  assert.deepEqual({ total, succeeded, clientErrors, serverErrors, limited, overloaded, unknown, failed }, {
    total: 25.5, succeeded: 15, clientErrors: 1.5, serverErrors: 9, limited: 1, overloaded: 3, unknown: 4, failed: 2,
  });
});

test("a batch's size is messages divided by batches, and unknown without batches", () => {
  const before = read(text({ batches: 1, messages: 1 }), 1);
  assert.equal(point(before, before, read(text({ batches: 5, messages: 41 }), 2)).batchWrites, 10);
  assert.equal(point(before, before, read(text({ batches: 1, messages: 1 }), 2)).batchWrites, null);
  assert.equal(point(before, before, read(text({ batches: 1, messages: 1 }), 2)).batchPages, null);
});

test("quantiles cover the requests between two snapshots", () => {
  const before = read(text({ buckets: { 0.001: 1000, 0.01: 1000, "+Inf": 1000 } }), 1);
  const after = read(text({ buckets: { 0.001: 1000, 0.01: 1100, "+Inf": 1100 } }), 2);
  const { p50, p99 } = point(before, before, after);
  assert.ok(Math.abs(p50 - 0.0055) < 1e-12, p50);
  assert.ok(Math.abs(p99 - 0.00991) < 1e-12, p99);
});

test("a later start time or a falling counter shows a restart", () => {
  const before = read(text({ statuses: { 200: 10 } }), 1);
  assert.equal(gains(before, read(text({ statuses: { 200: 11 }, start: 2000 }), 2)), null);
  assert.equal(gains(before, read(text({ statuses: { 200: 9 } }), 2)), null);
  assert.equal(gains(before, read(text({ statuses: { 200: 10, 404: 3 } }), 2)).get("status 404"), 3);
});

test("a quantile lies within its bucket", () => {
  const buckets = [[1, 10], [2, 30], [4, 40], [Infinity, 40]];
  assert.equal(quantile(0.25, buckets), 1);
  assert.equal(quantile(0.5, buckets), 1.5);
  assert.equal(quantile(0.875, buckets), 3);
  assert.equal(quantile(1, buckets), 4);
  assert.equal(quantile(0, buckets), 0);
});

test("a quantile is unknown without requests, and the last bound when all were slower", () => {
  assert.equal(quantile(0.5, []), null);
  assert.equal(quantile(0.5, [[1, 0], [Infinity, 0]]), null);
  assert.equal(quantile(0.99, [[1, 0], [5, 0], [Infinity, 7]]), 5);
});
