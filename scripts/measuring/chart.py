"""Draws the rates as bars, in the colours of the reader's light or dark page."""

from xml.sax.saxutils import escape

from words import DATABASES, PEERS, PGBENCH, about, latency, legend, rate

WIDTH = 880
MARGIN = 24
GUTTER = 32
COLUMN = (WIDTH - 2 * MARGIN - GUTTER) / 2
LABEL = 96
NUMBERS = 136
BAR = 16
STEP = 22

PANELS = [(database, connections) for database in DATABASES for connections in (64, 256)]
OPERATIONS = {"read": "Reads by id", "create": "Creates"}
ORDER = ["user-service", *PEERS, PGBENCH]

STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: #1f2328 }
  .page { fill: #ffffff; stroke: #d1d9e0 }
  .title { font-size: 17px; font-weight: 600 }
  .column { font-size: 14px; font-weight: 600 }
  .strong { font-weight: 600 }
  .quiet { fill: #59636e }
  .small { font-size: 11px }
  .rule { stroke: #d1d9e0 }
  .ours { fill: #0969da }
  .theirs { fill: #afb8c1 }
  .yardstick { fill: none; stroke: #afb8c1; stroke-dasharray: 3 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .page { fill: #0d1117; stroke: #3d444d }
    .quiet { fill: #9198a1 }
    .rule { stroke: #3d444d }
    .ours { fill: #4493f8 }
    .theirs { fill: #656c76 }
    .yardstick { stroke: #656c76 }
  }
"""


def draw(data):
    columns = {operation: [_bars(data, operation, *panel) for panel in PANELS] for operation in OPERATIONS}
    shapes = [_text(MARGIN, 40, "Requests a second", "title")]
    shapes.append(_text(WIDTH - MARGIN, 40, "longer is better", "quiet", "end"))
    for column, title in enumerate(OPERATIONS.values()):
        shapes.append(_text(_left(column), 68, title, "column"))
    top = 80
    for at, (database, connections) in enumerate(PANELS):
        panels = [column[at] for column in columns.values()]
        if not any(panels):
            continue
        shapes.append(_rule(top))
        shapes.append(_text(MARGIN, top + 20, f"{DATABASES[database]}, {connections} connections", "quiet strong"))
        for column, (operation, bars) in enumerate(zip(OPERATIONS, panels, strict=True)):
            most = _most(columns[operation])
            for row, (name, measured) in enumerate(bars.items()):
                shapes += _bar(_left(column), top + 30 + row * STEP, name, measured, most)
        top += 30 + max(map(len, panels)) * STEP + 10
    shapes.append(_rule(top))
    for entries in _legend(data):
        shapes += [_text(_left(column), top + 20, entry, "quiet small") for column, entry in enumerate(entries)]
        top += 18
    top += 6
    for line in about(data):
        top += 18
        shapes.append(_text(MARGIN, top + 2, line, "quiet small"))
    return _page(top + 22, shapes)


def _bars(data, operation, database, connections):
    """The servers of a panel, without /health: beside an answer that needs no database, all others would look alike."""
    servers = data["results"].get(f"load/{database}/{operation}/{connections}", {}).get("servers", {})
    return {name: servers[name] for name in ORDER if name in servers}


def _legend(data):
    """What the names of the bars mean, two on each line."""
    entries = [f"{name}: {text}" for name, text in legend(data).items() if name in ORDER]
    return [entries[at : at + 2] for at in range(0, len(entries), 2)]


def _most(panels):
    """The highest rate of a column, so that all of its bars have the same scale."""
    return max((measured["rate"] for bars in panels for measured in bars.values()), default=0)


def _left(column):
    return MARGIN + column * (COLUMN + GUTTER)


def _bar(left, top, name, measured, most):
    ours, yardstick = name == "user-service", name == PGBENCH
    width = max(2, (COLUMN - LABEL - NUMBERS) * measured["rate"] / most)
    kind = "ours" if ours else "yardstick" if yardstick else "theirs"
    inset = 0.5 if yardstick else 0  # a line is drawn on both sides of its edge
    start, end, base = left + LABEL, left + LABEL + width, top + BAR - 4
    rect = (
        f'<rect class="{kind}" x="{start + inset:.1f}" y="{top + inset}" width="{width - 2 * inset:.1f}" '
        f'height="{BAR - 2 * inset}" rx="2"/>'
    )
    strong = "strong" if ours else ""
    figure = (
        f'<text x="{end + 6:.1f}" y="{base}"><tspan class="{strong}">{rate(measured["rate"])}</tspan>'
        f'<tspan class="quiet small" dx="6">{_p99(measured)}</tspan></text>'
    )
    return [_text(start - 8, base, name, strong, "end"), rect, figure]


def _p99(measured):
    return "" if measured["p99_ms"] is None else f"p99 {latency(measured['p99_ms'])}"


def _rule(y):
    return f'<line class="rule" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y + 0.5}" y2="{y + 0.5}"/>'


def _text(x, y, text, kind, anchor="start"):
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _page(height, shapes):
    # Its own background, because a page may be light although its reader's system is dark.
    page = f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:g}" rx="8"/>'
    body = "\n".join(f"  {shape}" for shape in [page, *shapes])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" '
        f'height="{height:g}" role="img" aria-label="Requests a second of user-service and its peers">\n'
        f"  <style>{STYLE}  </style>\n{body}\n</svg>\n"
    )
