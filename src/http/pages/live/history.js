// The last five minutes, as points of the charts, and what they say of the service's state.

import * as format from "./format.js";
import { gains, point } from "./metrics.js";

/** Seconds that are kept. */
const SPAN = 300;
/** Seconds that quantiles look back: enough requests for a p99 that does not jump, few enough to move at once. */
const RECENT = 5;
/** Seconds that the processor's time is averaged over: it is counted in whole seconds. */
const LONG = 20;
/** After so many seconds without a snapshot nothing can be said of the time between. */
const LONGEST_STEP = 10;
/** However often it is added to. */
const MOST_POINTS = 2 * SPAN;
const MOST_SNAPSHOTS = 2 * LONG;

/** Bounded: snapshots of the last seconds, and points of the last few minutes. */
export class History {
  points = [];
  #snapshots = [];
  /** When an answer came that cannot be of the process that gave the one before. */
  #mixed = -Infinity;

  /** Adds a snapshot; a gap where the service was started anew, or nobody has looked for long. */
  add(snapshot) {
    const last = this.#snapshots.at(-1);
    if (last && (snapshot.time - last.time > LONGEST_STEP || !gains(last, snapshot))) {
      if (isOfAnother(last, snapshot)) this.#mixed = snapshot.time;
      this.gap(last.time);
      this.#snapshots = [];
    }
    this.#snapshots.push(snapshot);
    while (this.#snapshots[0].time < snapshot.time - LONG || this.#snapshots.length > MOST_SNAPSHOTS) this.#snapshots.shift();
    if (this.#snapshots.length > 1) this.#push(point(this.#ago(RECENT), this.#snapshots.at(-2), snapshot));
  }

  /** Nothing is known of this time. */
  gap(time) {
    this.#push({ time });
  }

  /** The last few seconds as one point, which does not flicker; null when nothing is known of them. */
  get recent() {
    const [first, last] = [this.#ago(RECENT), this.#snapshots.at(-1)];
    return first === last ? null : point(first, first, last);
  }

  /** Whether several replicas answer, now one and now another. */
  get isMixed() {
    return this.#snapshots.at(-1)?.time - this.#mixed < LONGEST_STEP;
  }

  /** How many cores were kept busy, lately; null when that is not known. */
  get cores() {
    const [first, last] = [this.#snapshots[0], this.#snapshots.at(-1)];
    return first === last ? null : gains(first, last).get("cpu") / (last.time - first.time);
  }

  /** The snapshot of so many seconds before the last one, or the oldest. */
  #ago(seconds) {
    const newest = this.#snapshots.at(-1)?.time;
    return this.#snapshots.findLast(({ time }) => time <= newest - seconds) ?? this.#snapshots[0];
  }

  #push(newest) {
    this.points.push(newest);
    while (this.points.length > MOST_POINTS || this.points[0].time < newest.time - SPAN) this.points.shift();
  }
}

/** A process that was started anew has started later. None goes back in time, and none of the same start counts less. */
function isOfAnother(before, after) {
  return after.startTime !== null && (after.startTime < before.startTime || (after.startTime === before.startTime && !gains(before, after)));
}

/** How the service is, after its latest snapshot: a state for the eye, a title, and what it means. */
export function stateOf(history, { up, inFlight, waitingLookups, waitingPages, waitingWrites }) {
  if (history.isMixed) return ["waiting", "Several replicas", "behind one address, which answer in turn: open one directly"];
  if (up === 0) return ["bad", "Not ready", "the database does not answer, or its schema is not up to date"];
  const { recent } = history;
  if (recent === null) return ["waiting", "No data yet", "waiting for the second numbers, to see what changes"];
  const { total, failed, unknown, overloaded, limited } = recent;
  if (failed + unknown > 0) return ["bad", "Failing", rates([failed, "failed"], [unknown, "504"])];
  if (overloaded + limited > 0) return ["warning", "Refusing", rates([overloaded, "503"], [limited, "429"])];
  if (total > 0) return ["good", "Serving", "ready; requests are coming in"];
  const isBusy = inFlight + waitingLookups + waitingPages + waitingWrites > 0;
  return isBusy ? ["good", "Serving", "ready; requests are waiting for their answer"] : ["idle", "Idle", "ready; no requests at the moment"];
}

/** Those that are not zero. */
function rates(...all) {
  const some = all.filter(([rate]) => rate > 0);
  return `${some.map(([rate, what]) => `${what} ${format.rate(rate)}`).join(", ")}, of late`;
}
