// The report that the live page saves.

import assert from "node:assert/strict";
import { test } from "node:test";

import { report } from "../../src/http/pages/live/report.js";

const parts = {
  title: "user-service <1> & more",
  body: "<main>tiles</main>",
  styles: ["a { color: red }"],
  scripts: {
    uplot: "var uPlot = 1;",
    format: "export const NOTHING = '–';",
    charts: 'import * as format from "./format.js";\nexport class Chart { show(points, now) { globalThis.shown.push([format.NOTHING, points, now]); } }',
  },
  points: [{ time: 1, total: 2 }, { time: 2, note: "</script>" }],
  now: 3,
};

test("a report holds all that it needs", () => {
  const page = report(parts);
  assert.ok(page.includes("<title>user-service &lt;1> &amp; more</title>"));
  for (const part of [parts.body, "<style>a { color: red }</style>", "<script>var uPlot = 1;</script>"]) assert.ok(page.includes(part), part);
  // Nothing is loaded from elsewhere.
  assert.ok(!/(?:src|href)=/.test(page));
  // Data does not end the script that holds it.
  assert.equal(page.split("</script>").length, 3);
});

test("its script draws the points", async () => {
  const script = /<script type="module">([^]*?)<\/script>/.exec(report(parts))[1];
  globalThis.shown = [];
  globalThis.document = { querySelectorAll: () => [{}] };
  globalThis.matchMedia = () => ({ addEventListener() {} });
  await import(`data:text/javascript,${encodeURIComponent(script)}`);
  assert.deepEqual(globalThis.shown, [["–", parts.points, 3]]);
});
