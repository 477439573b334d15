// The last five minutes as a page of their own: one file, which needs neither this service nor a network.

/** What the report is made of, beside the numbers. */
const STYLES = ["live/uplot.css", "live/live.css"];
const SCRIPTS = { uplot: "live/uplot.js", format: "live/format.js", charts: "live/charts.js" };

/** Has the browser download a report of these points, as they are at `now`. */
export async function save(points, now, title) {
  const text = async (path) => (await fetch(path)).text();
  const styles = await Promise.all(STYLES.map(text));
  const scripts = Object.fromEntries(await Promise.all(Object.entries(SCRIPTS).map(async ([name, path]) => [name, await text(path)])));
  const page = report({ title, body: bodyOf(document), styles, scripts, points, now });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([page], { type: "text/html" }));
  link.download = `user-service-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.html`;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** What the page shows now, without what only works within it. */
function bodyOf(page) {
  const main = page.querySelector("main").cloneNode(true);
  // The charts put these there, and do so again.
  main.querySelectorAll(".plot > *, [data-line] > b").forEach((element) => element.remove());
  return main.outerHTML;
}

/** The report as HTML. Its scripts are modules, which import each other as data: a file has no other files beside it. */
export function report({ title, body, styles, scripts, points, now }) {
  const format = moduleUrl(scripts.format);
  const charts = moduleUrl(scripts.charts.replaceAll('"./format.js"', JSON.stringify(format)));
  const data = JSON.stringify({ points, now }).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escape(title)}</title>
${styles.map((style) => `<style>${style}</style>`).join("\n")}
</head>
<body>
<header><div class="name"><h1>${escape(title)}</h1><p class="about">The last five minutes, saved from the live page</p></div></header>
${body}
<script>${scripts.uplot}</script>
<script type="module">
import { Chart } from ${JSON.stringify(charts)};
const { points, now } = ${data};
const charts = Array.from(document.querySelectorAll("[data-chart]"), (section) => new Chart(section));
charts.forEach((chart) => chart.show(points, now, 300, true));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach((chart) => chart.recolor()));
</script>
</body>
</html>
`;
}

function moduleUrl(text) {
  return `data:text/javascript;charset=utf-8,${encodeURIComponent(text)}`;
}

function escape(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
