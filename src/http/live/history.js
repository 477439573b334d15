// The last five minutes, as points of the charts.

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

  /** Adds a snapshot; a gap where the service was started anew, or nobody has looked for long. */
  add(snapshot) {
    const last = this.#snapshots.at(-1);
    if (last && (snapshot.time - last.time > LONGEST_STEP || !gains(last, snapshot))) {
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

  /** Whether nothing was asked for within the last few seconds; null when that is not known. */
  get isIdle() {
    const [first, last] = [this.#ago(RECENT), this.#snapshots.at(-1)];
    return first === last ? null : point(first, first, last).total === 0;
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
