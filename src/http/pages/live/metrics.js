// Reads the text of /metrics and does the sums. Nothing is drawn here, so that it can be tested by itself.

/** What this page and orchestrators ask for. It is not counted, so that the page does not measure itself. */
const OWN_ROUTES = new Set(["/", "/live/{file}", "/metrics", "/health", "/livez", "/ready", "/readyz"]);

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPES = { "\\n": "\n", '\\"': '"', "\\\\": "\\" };

/** The samples of a text in Prometheus' format: for each name, a list of labels and values. */
export function parse(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const found = SAMPLE.exec(line);
    if (!found) continue;
    const [, name, labels, value] = found;
    if (!samples.has(name)) samples.set(name, []);
    samples.get(name).push({ labels: parseLabels(labels ?? ""), value: parseValue(value) });
  }
  return samples;
}

function parseLabels(text) {
  const unescape = (value) => value.replace(/\\./g, (pair) => ESCAPES[pair] ?? pair);
  return Object.fromEntries(Array.from(text.matchAll(LABEL), ([, name, value]) => [name, unescape(value)]));
}

function parseValue(text) {
  return Number(text.replace("Inf", "Infinity"));
}

/** What the page needs of one answer of /metrics, which came at `time`, in seconds of any clock that never goes back. */
export function read(text, time) {
  const samples = parse(text);
  const list = (name) => samples.get(name) ?? [];
  const one = (name, label, value) => list(name).find(({ labels }) => labels[label] === value)?.value ?? null;
  const counters = new Map();
  const count = (key, value) => counters.set(key, (counters.get(key) ?? 0) + value);
  const eachCounted = (name, put) =>
    list(name).filter(({ labels }) => !OWN_ROUTES.has(labels.route)).forEach(({ labels, value }) => put(labels, value));

  eachCounted("http_requests_total", ({ status }, value) => count(`status ${status}`, value));
  eachCounted("http_request_duration_seconds_bucket", ({ le }, value) => count(`le ${parseValue(le)}`, value));
  eachCounted("db_batch_size_messages_count", ({ lane }, value) => count(`batches ${lane}`, value));
  eachCounted("db_batch_size_messages_sum", ({ lane }, value) => count(`messages ${lane}`, value));
  eachCounted("process_cpu_seconds_total", (_, value) => count("cpu", value));
  const inFlight = one("http_requests_in_flight");
  const build = list("user_service_build_info")[0]?.labels ?? {};
  return {
    time,
    counters,
    startTime: one("process_start_time_seconds"),
    version: build.version ?? null,
    database: build.database ?? null,
    up: one("db_up"),
    memory: one("process_resident_memory_bytes"),
    // Without the one that asks.
    inFlight: inFlight === null ? null : Math.max(0, inFlight - 1),
    connections: one("db_pool_connections", "state", "in_use"),
    maxConnections: one("db_pool_max_connections"),
    waitingLookups: one("db_messages_waiting", "lane", "lookups"),
    waitingPages: one("db_messages_waiting", "lane", "pages"),
    waitingWrites: one("db_messages_waiting", "lane", "writes"),
  };
}

/** What each counter has gained between two snapshots; null when the service was started anew between them. */
export function gains(before, after) {
  if (before.startTime !== after.startTime) return null;
  const gained = new Map();
  for (const [key, value] of after.counters) {
    gained.set(key, value - (before.counters.get(key) ?? 0));
  }
  return Array.from(gained.values()).some((gain) => gain < 0) ? null : gained;
}

/** The point of the charts for a snapshot; its rates count since `before`, and its quantiles since `earlier`. */
export function point(earlier, before, now) {
  const gained = gains(before, now);
  const seconds = now.time - before.time;
  const rate = (wanted) => sum(gained, wanted) / seconds;
  const status = (first) => rate((key) => key.startsWith(`status ${first}`));
  const buckets = bucketList(gains(earlier, now));
  const mean = (lane) => {
    const batches = gained.get(`batches ${lane}`);
    return batches ? gained.get(`messages ${lane}`) / batches : null;
  };
  const { time, waitingLookups, waitingPages, waitingWrites } = now;
  return {
    time,
    total: status(""),
    succeeded: status("2") + status("3"),
    clientErrors: status("4"),
    serverErrors: status("5"),
    overloaded: status("503"),
    limited: status("429"),
    unknown: status("504"),
    failed: rate((key) => /^status 5(?!03|04)/.test(key)),
    p50: quantile(0.5, buckets),
    p99: quantile(0.99, buckets),
    batchLookups: mean("lookups"),
    batchPages: mean("pages"),
    batchWrites: mean("writes"),
    waitingLookups,
    waitingPages,
    waitingWrites,
  };
}

function sum(gained, wanted) {
  let all = 0;
  for (const [key, gain] of gained) {
    if (wanted(key)) all += gain;
  }
  return all;
}

function bucketList(gained) {
  const bounds = Array.from(gained).filter(([key]) => key.startsWith("le "));
  return bounds.map(([key, count]) => [Number(key.slice(3)), count]).sort(([one], [other]) => one - other);
}

/**
 * The value that so great a share of a histogram does not exceed, as Prometheus estimates it: evenly spread within a
 * bucket. The buckets are pairs of upper bound and cumulative count, in order, +Inf last. Null when all are empty.
 */
export function quantile(share, buckets) {
  const rank = share * (buckets.at(-1)?.[1] ?? 0);
  let [lower, below] = [0, 0];
  for (const [upper, count] of buckets) {
    if (count >= rank && count > below) {
      return upper === Infinity ? lower : lower + ((upper - lower) * (rank - below)) / (count - below);
    }
    [lower, below] = [upper, count];
  }
  return null;
}
