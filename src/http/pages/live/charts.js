// Draws the charts that the page describes: each section with `data-chart` names its lines and their unit.

import * as format from "./format.js";

/** Space for the labels of the vertical axis. */
const LABELS = 58;
/** Between two labels of it: 1, 2, 5, 10, 20, ... */
const STEPS = Array.from({ length: 27 }, (_, index) => [1, 2, 5][index % 3] * 10 ** Math.floor(index / 3));
const DASHES = [[], [7, 4], [2, 3]];

/** A chart shows points, and the values of the latest, or of the one that is pointed at, as text. */
export class Chart {
  #section;
  #lines;
  #points = [];
  #plot;
  #span = 60;

  constructor(section) {
    this.#section = section;
    this.#lines = Array.from(section.querySelectorAll("[data-line]"), (item, index) => {
      const value = document.createElement("b");
      value.textContent = format.NOTHING;
      item.append(" ", value);
      return { name: item.dataset.line, value, color: `--line-${index + 1}`, dash: DASHES[index] };
    });
    const box = section.querySelector(".plot");
    const size = () => ({ width: box.clientWidth, height: box.clientHeight });
    this.#plot = new uPlot({ ...size(), ...this.#options() }, this.#data(0), box);
    new ResizeObserver(() => this.#plot.setSize(size())).observe(box);
  }

  /** Shows these points as they are at `now`, and draws the last `span` seconds if that is wanted. */
  show(points, now, span, draw) {
    this.#points = points;
    this.#span = span;
    if (draw) this.#plot.setData(this.#data(now));
    this.#showValues();
    const isEmpty = !points.some((point) => this.#lines.some(({ name }) => point[name] != null));
    this.#section.querySelector(".plot").toggleAttribute("data-is-empty", isEmpty);
  }

  /** Draws again in the colours that hold now. */
  recolor() {
    this.#plot.redraw();
  }

  get #isStacked() {
    return "stacked" in this.#section.dataset;
  }

  /** Stacked, the last line is the highest, and drawn first: where lines are one, the lowest is seen. */
  get #drawn() {
    return this.#isStacked ? this.#lines.toReversed() : this.#lines;
  }

  /** Columns: each point's age, counted below zero, and its value on each line. */
  #data(now) {
    const values = this.#lines.map(({ name }) => this.#points.map((point) => point[name] ?? null));
    if (this.#isStacked) {
      for (let line = 1; line < values.length; line++) {
        values[line] = values[line].map((value, at) => (value === null ? null : value + values[line - 1][at]));
      }
      values.reverse();
    }
    return [this.#points.map(({ time }) => time - now), ...values];
  }

  #showValues() {
    const at = this.#plot.cursor.idx;
    const point = this.#points.at(at ?? -1) ?? {};
    for (const { name, value } of this.#lines) {
      const text = format[this.#section.dataset.unit](point[name]);
      if (value.textContent !== text) value.textContent = text;
    }
    const age = at == null ? 0 : Math.round(-this.#plot.data[0][at]);
    this.#section.querySelector("h2").dataset.age = age > 0 ? `${format.duration(age)} ago` : "";
  }

  #options() {
    const isLog = "log" in this.#section.dataset;
    const axis = { stroke: () => this.#color("--muted"), font: "11px system-ui, sans-serif", ticks: { show: false }, gap: 6 };
    const grid = { stroke: () => this.#color("--grid"), width: 1 };
    const rows = isLog ? { ...grid, filter: (_, at) => at.map((value) => (isPowerOfTen(value) ? value : null)) } : grid;
    return {
      padding: [8, 18, 0, 0],
      legend: { show: false },
      // All charts point at the same time.
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: "live" }, points: { size: 7 } },
      hooks: { setCursor: [() => this.#plot && this.#showValues()] },
      scales: {
        x: { time: false, range: () => [-this.#span, 0] },
        y: isLog ? { distr: 3, range: powersOfTen } : { range: fromZero },
      },
      axes: [
        { ...axis, grid, size: 22, splits: () => ages(this.#span), values: (_, at) => at.map(ageLabel) },
        { ...axis, ...(isLog ? {} : { incrs: STEPS }), grid: rows, size: LABELS, space: 28, values: (_, at) => at.map((value) => this.#label(value)) },
      ],
      series: [{}, ...this.#drawn.map((line) => this.#series(line))],
      bands: this.#isStacked ? this.#lines.slice(1).map((_, at) => ({ series: [at + 1, at + 2] })) : [],
    };
  }

  #series({ color: name, dash }) {
    const stroke = () => this.#color(name);
    return {
      stroke,
      width: 2,
      dash: this.#isStacked ? [] : dash,
      fill: this.#isStacked ? () => `${this.#color(name)}40` : undefined,
      // Only those that no line leads to.
      points: { show: () => false, filter: lonely, size: 4, fill: stroke },
    };
  }

  #color(name) {
    return getComputedStyle(this.#section).getPropertyValue(name).trim();
  }

  #label(value) {
    // uPlot wants no label between the powers of ten.
    return value === null ? "" : format.onAxis[this.#section.dataset.unit](value);
  }
}

/** Four or five steps up to now. */
function ages(span) {
  const step = span / (span > 120 ? 5 : 4);
  return Array.from({ length: span / step + 1 }, (_, index) => index * step - span);
}

function ageLabel(age) {
  return age === 0 ? "now" : age % 60 === 0 ? `−${-age / 60} min` : `−${-age} s`;
}

function fromZero(_plot, _low, high) {
  return [0, Math.max(high * 1.1, 4)];
}

function isPowerOfTen(value) {
  return Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9;
}

function powersOfTen(_plot, low, high) {
  if (!(low > 0)) return [0.0001, 0.1];
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  return [10 ** first, 10 ** Math.max(last, first + 1)];
}

function lonely(plot, series) {
  const values = plot.data[series];
  return Array.from(values.keys()).filter((at) => values[at] != null && values[at - 1] == null && values[at + 1] == null);
}
