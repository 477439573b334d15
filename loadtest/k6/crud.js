// 75% reads of one user, 15% updates, 5% pages, 5% creates: k6 run loadtest/k6/crud.js

import exec from "k6/execution";

import { create, deleteUsers, makeUsers, page, read, update } from "./common.js";

export { options } from "./common.js";
export const setup = makeUsers;
export const teardown = deleteUsers;

export default function ({ run, ids }) {
  const n = Math.floor(Math.random() * ids.length);
  const choice = Math.random();
  if (choice < 0.75) read(ids[n]);
  else if (choice < 0.9) update(run, n, ids[n], exec.scenario.iterationInTest);
  else if (choice < 0.95) page();
  else create(run, `new-${exec.scenario.iterationInTest}`);
}
