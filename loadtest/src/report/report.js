// Draws the charts that the page's data describes. All charts over time have one axis, and point at the same moment.

const { charts } = JSON.parse(document.getElementById("data").textContent);
const LABELS = 58;
const FORMATS = {
  milliseconds: (value) => `${digits(value)} ms`,
  rate: (value) => `${digits(value)}/s`,
  count: digits,
  percent: (value) => `${value.toFixed(1)}%`,
  mebibytes: (value) => `${value.toFixed(0)} MiB`,
  cores: (value) => value.toFixed(2),
};
const end = Math.max(1, ...charts.filter((chart) => !chart.is_distribution).flatMap(({ at }) => at));

for (const section of document.querySelectorAll("[data-chart]")) draw(section, charts[section.dataset.chart]);

function draw(section, chart) {
  const items = chart.lines.map((line) => legendItem(section, line));
  const format = FORMATS[chart.unit];
  const show = (index) => {
    chart.lines.forEach(({ values }, line) => {
      const value = index == null ? null : values[index];
      items[line].textContent = value == null ? "" : format(value);
    });
    section.querySelector("h2 small").textContent = index == null ? "" : chart.is_distribution ? share(chart.at[index]) : clock(chart.at[index]);
  };
  section.querySelector("h2").append(document.createElement("small"));
  const box = section.querySelector(".plot");
  const size = () => ({ width: box.clientWidth, height: box.clientHeight });
  const data = [chart.at, ...chart.lines.map(({ values }) => (chart.is_log ? values.map(positive) : values))];
  const plot = new uPlot({ ...size(), ...options(section, chart, format, show) }, data, box);
  new ResizeObserver(() => plot.setSize(size())).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot.redraw());
}

function legendItem(section, { name, color, is_dashed }) {
  const item = document.createElement("li");
  item.style.setProperty("--color", `var(--line-${color})`);
  item.classList.toggle("dashed", is_dashed);
  const value = document.createElement("b");
  item.append(`${name} `, value);
  section.querySelector("ul").append(item);
  return value;
}

function options(section, chart, format, show) {
  const color = (name) => getComputedStyle(section).getPropertyValue(name).trim();
  const axis = { stroke: () => color("--muted"), font: "11px system-ui, sans-serif", ticks: { show: false }, gap: 6 };
  const grid = { stroke: () => color("--grid"), width: 1 };
  const wholeTens = { ...grid, filter: (_, at) => at.map((value) => (isPowerOfTen(value) ? value : null)) };
  const ends = chart.is_distribution ? chart.at[chart.at.length - 1] || 1 : end;
  return {
    padding: [8, 24, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 }, ...(chart.is_distribution ? {} : { sync: { key: "time" } }) },
    hooks: { setCursor: [(plot) => show(plot.cursor.idx)] },
    scales: {
      x: { time: false, range: () => [0, ends] },
      y: chart.is_log ? { distr: 3, range: powersOfTen } : { range: (_plot, _low, high) => [0, Math.max((high ?? 0) * 1.1, chart.unit === "percent" ? 100 : 1)] },
    },
    axes: [
      { ...axis, grid, size: 22, ...(chart.is_distribution ? { splits: () => whole(ends), values: (_, at) => at.map(share) } : { values: (_, at) => at.map(clock) }) },
      { ...axis, grid: chart.is_log ? wholeTens : grid, size: LABELS, space: 28, values: (_, at) => at.map((value) => (value == null ? "" : short(value, format))) },
    ],
    series: [{}, ...chart.lines.map((line) => series(line, color))],
  };
}

function series({ color: number, is_dashed, values }, color) {
  const stroke = () => color(`--line-${number}`);
  const isLonely = (at) => values[at] != null && values[at - 1] == null && values[at + 1] == null;
  return {
    stroke,
    width: 1.75,
    dash: is_dashed ? [6, 4] : [],
    // Only those that no line leads to.
    points: { show: () => false, filter: () => Array.from(values.keys()).filter(isLonely), size: 4, fill: stroke },
  };
}

// A logarithmic axis has no place for zero.
function positive(value) {
  return value > 0 ? value : null;
}

function whole(ends) {
  return Array.from({ length: Math.floor(ends) + 1 }, (_, nines) => nines);
}

// 0 is 0%, 1 is 90%, 2 is 99%, 3 is 99.9%, ...
function share(nines) {
  const beyond = 100 * 10 ** -nines;
  return nines === 0 ? "0%" : `${(100 - beyond).toFixed(Math.max(0, Math.ceil(nines) - 2))}%`;
}

function clock(seconds) {
  const rounded = Math.round(seconds * 10) / 10;
  if (end < 120) return `${rounded} s`;
  const minutes = Math.floor(rounded / 60);
  return `${minutes}:${String(Math.round(rounded % 60)).padStart(2, "0")}`;
}

function digits(value) {
  if (value >= 1000) return Math.round(value).toLocaleString("en");
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(value >= 1 || value === 0 ? 2 : 3);
}

function short(value, format) {
  if (value === 0) return "0";
  if (value >= 10000) return `${+(value / 1000).toFixed(1)}k`;
  return value >= 1 && Number.isInteger(value) ? format(value).replace(/\.0+(?=\D|$)/, "") : `${+value.toPrecision(3)}${format(1).replace(/^[\d.]+/, "")}`;
}

function isPowerOfTen(value) {
  return Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;
}

function powersOfTen(_plot, low, high) {
  if (!(low > 0)) return [0.1, 10];
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  return [10 ** first, 10 ** Math.max(last, first + 1)];
}
