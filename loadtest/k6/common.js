// What the scripts share. They need in the environment:
//   BASE_URL  the service, such as http://127.0.0.1:3000
//   TOKEN     with users:read and users:write: user-service token --subject k6 --scope 'users:read users:write'
// and may have:
//   RATE, DURATION, CONNECTIONS  an open loop at RATE requests a second (default 500, 30s, at most 200 connections)
//   USERS                        how many users are made first (default 50000)
//   P99                          the bound in ms that fails the run (default 1000)

import http from "k6/http";
import { check } from "k6";

export const BASE = __ENV.BASE_URL || "http://127.0.0.1:3000";
export const USERS = Number(__ENV.USERS || 50000);
const AUTHORIZATION = { Authorization: `Bearer ${__ENV.TOKEN}` };
const JSON_BODY = { ...AUTHORIZATION, "Content-Type": "application/json" };
const CONNECTIONS = Number(__ENV.CONNECTIONS || 200);

// Requests start at fixed times (an open loop). k6 counts a latency from when a request was sent: look at
// dropped_iterations, which are requests that were due while all connections were busy.
export const options = {
  scenarios: {
    load: {
      executor: "constant-arrival-rate",
      rate: Number(__ENV.RATE || 500),
      timeUnit: "1s",
      duration: __ENV.DURATION || "30s",
      preAllocatedVUs: CONNECTIONS,
      maxVUs: CONNECTIONS,
    },
  },
  thresholds: {
    checks: ["rate>0.999"],
    "http_req_duration{load:yes}": [`p(99)<${__ENV.P99 || 1000}`],
    dropped_iterations: ["count<1"],
  },
  setupTimeout: "10m",
  teardownTimeout: "10m",
};

// Makes the users of this run, 20 at once, and returns their ids. No others are changed.
export function makeUsers() {
  const run = `k6 ${Date.now().toString(36)}`;
  const ids = [];
  for (let from = 0; from < USERS; from += 20) {
    const batch = [];
    for (let n = from; n < Math.min(from + 20, USERS); n++) {
      batch.push(["POST", `${BASE}/api/v2/users`, body(run, n, n), { headers: JSON_BODY }]);
    }
    for (const answer of http.batch(batch)) {
      if (answer.status !== 201) throw new Error(`cannot make users: ${answer.status} ${answer.body}`);
      ids.push(answer.json("id"));
    }
  }
  return { run, ids };
}

// Deletes them, and those that the run has created: their names begin with the run's.
export function deleteUsers({ run }) {
  const list = `${BASE}/api/v2/users?page_size=100&name_prefix=${encodeURIComponent(run)}`;
  for (;;) {
    const { users } = http.get(list, { headers: AUTHORIZATION }).json();
    if (users.length === 0) return;
    http.batch(users.map(({ id }) => ["DELETE", `${BASE}/api/v2/users/${id}`, null, { headers: AUTHORIZATION }]));
  }
}

export const read = (id) => expect(200, http.get(`${BASE}/api/v2/users/${id}`, params("read", AUTHORIZATION)));
export const page = () => expect(200, http.get(`${BASE}/api/v2/users?page_size=20`, params("page", AUTHORIZATION)));
export const create = (run, n) => expect(201, http.post(`${BASE}/api/v2/users`, body(run, n, n), params("create", JSON_BODY)));
export const update = (run, n, id, word) => expect(200, http.put(`${BASE}/api/v2/users/${id}`, body(run, n, word), params("update", JSON_BODY)));

function body(run, n, word) {
  return JSON.stringify({ name: `${run} ${word}`, email: `${run.replace(" ", "-")}-${n}@example.com` });
}

// The name groups all ids in k6's results.
function params(name, headers) {
  return { headers, tags: { name, load: "yes" } };
}

function expect(status, answer) {
  check(answer, { [`${status}`]: ({ status: is }) => is === status });
}
