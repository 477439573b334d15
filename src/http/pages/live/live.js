// Asks /metrics once a second for as long as somebody looks, and shows what came.

import { Chart } from "./charts.js";
import * as format from "./format.js";
import { History, stateOf } from "./history.js";
import { read } from "./metrics.js";
import { save } from "./report.js";

const EVERY = 1000;
const PATIENCE = 3000;
/** Milliseconds between two pictures for those who want less motion; the numbers go on. */
const CALM = 5000;

const history = new History();
const charts = Array.from(document.querySelectorAll("[data-chart]"), (section) => new Chart(section));
const lessMotion = matchMedia("(prefers-reduced-motion: reduce)");
const pause = document.querySelector("#pause");
const span = document.querySelector("#span");
let isPaused = false;
let isRunning = false;
let lastDrawn = -Infinity;
let lastLooked = 0;
let lastReached = null;

/** Seconds of a clock that never goes back. */
const now = () => performance.now() / 1000;
const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Until nobody looks. The next question waits for the answer to the last. */
async function run() {
  if (isRunning) return;
  isRunning = true;
  while (!document.hidden && !isPaused) {
    const second = sleep(EVERY);
    await look();
    await second;
  }
  isRunning = false;
}

async function look() {
  const answer = await scrape().catch(() => null);
  if (isPaused) return;
  lastLooked = now();
  if (answer) {
    lastReached = lastLooked;
    history.add(answer.snapshot);
    showNumbers(answer.snapshot, answer.serverTime);
    showState(...stateOf(history, answer.snapshot));
  } else {
    history.gap(lastLooked);
    showNumbers({}, null);
    const since = lastReached === null ? "" : `for ${format.duration(lastLooked - lastReached)}; `;
    showState("bad", "Not reachable", `${since}asking again every second`);
  }
  showCharts();
}

async function scrape() {
  // Relative, so that it holds behind a proxy that adds a path of its own.
  const response = await fetch("metrics", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  if (!response.ok) throw new Error(`/metrics answered ${response.status}`);
  const time = now();
  const serverTime = Date.parse(response.headers.get("date")) || Date.now();
  return { snapshot: read(await response.text(), time), serverTime: serverTime / 1000 };
}

function showState(state, title, detail) {
  const box = document.querySelector("#state");
  box.dataset.state = state;
  setText(box.querySelector("b"), title);
  setText(box.querySelector("span"), detail);
}

function showNumbers(snapshot, serverTime) {
  const { total, p50, p99 } = history.points.at(-1) ?? {};
  const { inFlight, connections, maxConnections, memory, startTime, version, database } = snapshot;
  const texts = {
    total: format.rate(total),
    p50: format.seconds(p50),
    p99: format.seconds(p99),
    inFlight: format.count(inFlight),
    connections: connections == null ? format.NOTHING : `${format.count(connections)} of ${format.count(maxConnections)}`,
    cpu: format.cores(startTime == null ? null : history.cores),
    memory: format.memory(memory),
    uptime: startTime == null ? format.NOTHING : format.duration(Math.max(0, serverTime - startTime)),
  };
  // What it was stays known while it cannot be reached.
  if (version) Object.assign(texts, { version, database });
  for (const [name, text] of Object.entries(texts)) setText(document.querySelector(`[data-value=${name}]`), text);
}

function showCharts() {
  const draw = !lessMotion.matches || performance.now() - lastDrawn >= CALM;
  if (draw) lastDrawn = performance.now();
  for (const chart of charts) chart.show(history.points, lastLooked, Number(span.value), draw);
}

/** Leaves alone what has not changed: nothing is read out, or laid out, twice. */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

pause.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.textContent = isPaused ? "Go on" : "Pause";
  if (isPaused) showState("waiting", "Paused", "the numbers are those of the moment of the pause");
  run();
});
span.addEventListener("change", () => {
  lastDrawn = -Infinity;
  showCharts();
});
document.querySelector("#save").addEventListener("click", () => {
  const value = (name) => document.querySelector(`[data-value=${name}]`).textContent;
  const title = `user-service ${value("version")} on ${value("database")}, ${new Date().toLocaleString("en-GB")}`;
  // The service may be gone; then the browser may still have the page's files.
  save(history.points, lastLooked, title).catch(() => showState("bad", "Not saved", "the page's own files cannot be read"));
});
document.addEventListener("visibilitychange", run);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.recolor()));
run();
