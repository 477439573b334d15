// Reads of one user by id, at random: k6 run loadtest/k6/read.js

import { deleteUsers, makeUsers, read } from "./common.js";

export { options } from "./common.js";
export const setup = makeUsers;
export const teardown = deleteUsers;

export default function ({ ids }) {
  read(ids[Math.floor(Math.random() * ids.length)]);
}
