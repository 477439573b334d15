//! A page that shows each fault: lanes of clients, bars of calls, the guilty ones marked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::check::{Fault, Report};
use crate::history::{Call, History};
use crate::text::milliseconds;
use crate::window::{Part, WindowCall};

/// The distance of two moments, whatever the time between them: all calls can be read, and what overlaps is seen.
const MOMENT: usize = 120;
/// What a letter takes.
const LETTER: usize = 7;
const ROW: usize = 42;
const LEFT: usize = 110;
const TOP: usize = 40;

const STYLE: &str = "
body { font: 14px sans-serif; margin: 2em; }
pre { white-space: pre-wrap; }
svg text { font: 12px monospace; }
svg .scale { fill: #666; }
svg .scale-line { stroke: #ddd; }
svg .lane { stroke: #bbb; }
svg rect { fill: #9bc; stroke: #579; }
svg .given rect { fill: #ddd; stroke: #999; }
svg .contradicted rect { fill: #e55; stroke: #900; stroke-width: 2; }
svg .contradicted text { fill: #900; font-weight: bold; }
svg .unknown rect { fill: #fd8; stroke: #b80; stroke-dasharray: 5 3; }
";

/// Draws a report as a page of HTML that needs no other files. `history` must be the one that it is about.
#[must_use]
pub fn page(history: &History, report: &Report) -> String {
    let mut html = String::from("<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>History</title>\n");
    let _ = writeln!(html, "<style>{STYLE}</style>");
    let heading = report.text(history);
    let _ = writeln!(html, "<h1>{}</h1>", escaped(heading.lines().next().unwrap_or_default()));
    for finding in &report.findings {
        let _ = writeln!(html, "<p><b>{:?}</b>: {}</p>", finding.anomaly, escaped(&finding.message));
    }
    for fault in &report.faults {
        html.push_str(&Drawing::new(history, fault).svg());
        let _ = writeln!(html, "<pre>{}</pre>", escaped(&fault.text(history)));
    }
    html.push_str(
        "<p>Red: an answer that no order explains. Blue: explained. Grey: taken as given, what led to it is left out. Yellow: \
         the outcome is unknown, and the call may take effect at any later moment. Moments stand in their order, at equal \
         distances.</p>\n</html>\n",
    );
    html
}

struct Drawing<'history> {
    bars: Vec<Bar<'history>>,
    /// Each moment at which a call starts or ends, and its x.
    moments: BTreeMap<u64, usize>,
    width: usize,
}

struct Bar<'history> {
    call: &'history Call,
    shown: &'history WindowCall,
    line: String,
    label: [String; 2],
    left: usize,
    right: usize,
    /// Which row of its client's lane.
    row: usize,
}

impl<'history> Drawing<'history> {
    fn new(history: &'history History, fault: &'history Fault) -> Self {
        let shown = || fault.window.calls.iter().filter_map(|shown| Some((shown, history.calls.get(shown.call)?)));
        let times = shown().flat_map(|(shown, call)| [Some(call.start), end(shown, call)]).flatten();
        let mut moments: BTreeMap<u64, usize> = times.map(|time| (time, 0)).collect();
        for (place, x) in moments.values_mut().zip((0..).map(|at| LEFT + MOMENT / 2 + at * MOMENT)) {
            *place = x;
        }
        let last = LEFT + (moments.len() + 1) * MOMENT;
        let x = |time: u64| moments.get(&time).copied().unwrap_or(last);
        let bars = shown().map(|(shown, call)| {
            let answer = shown.answer.clone().unwrap_or_else(|| call.outcome.to_string());
            Bar {
                call,
                shown,
                line: shown.line(history),
                label: [format!("#{} {}", shown.call, call.operation), format!("→ {answer}")],
                left: x(call.start),
                right: end(shown, call).map_or(last, x),
                row: 0,
            }
        });
        let mut bars = Vec::from_iter(bars);
        place(&mut bars);
        let width = bars.iter().map(Bar::reach).max().unwrap_or(last).max(last) + MOMENT / 2;
        Drawing { bars, moments, width }
    }

    fn svg(&self) -> String {
        let mut lanes: BTreeMap<u32, usize> = BTreeMap::new();
        for bar in &self.bars {
            let rows = lanes.entry(bar.call.client).or_default();
            *rows = bar.row.max(*rows);
        }
        let mut top = TOP;
        let mut tops = BTreeMap::new();
        for (client, rows) in lanes {
            tops.insert(client, top);
            top += (rows + 1) * ROW + 14;
        }
        let mut svg = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{top}\">\n", self.width);
        for (time, x) in &self.moments {
            let _ = writeln!(svg, "<line class=\"scale-line\" x1=\"{x}\" x2=\"{x}\" y1=\"20\" y2=\"{top}\"/>");
            let _ = writeln!(svg, "<text class=\"scale\" x=\"{x}\" y=\"14\">{} ms</text>", milliseconds(*time));
        }
        for (client, y) in &tops {
            let _ = writeln!(svg, "<line class=\"lane\" x1=\"0\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/>", self.width);
            let _ = writeln!(svg, "<text x=\"4\" y=\"{}\">client {client}</text>", y + 18);
        }
        for bar in &self.bars {
            let top = tops.get(&bar.call.client).map_or(0, |top| top + bar.row * ROW + 6);
            svg.push_str(&bar.svg(top));
        }
        svg.push_str("</svg>\n");
        svg
    }
}

impl Bar<'_> {
    /// Where its label ends.
    fn reach(&self) -> usize {
        let letters = self.label.iter().map(|line| line.chars().count()).max().unwrap_or_default();
        self.right.max(self.left + letters * LETTER + 10)
    }

    fn svg(&self, top: usize) -> String {
        let class = match self.shown.part {
            Part::Given => "given",
            Part::Explained => "explained",
            Part::Contradicted => "contradicted",
            Part::Unknown => "unknown",
        };
        let [operation, answer] = self.label.each_ref().map(|text| escaped(text));
        format!(
            "<g class=\"{class}\"><title>{}</title><rect x=\"{}\" y=\"{top}\" width=\"{}\" height=\"8\" rx=\"3\"/>\
             <text x=\"{}\" y=\"{}\">{operation}</text><text x=\"{}\" y=\"{}\">{answer}</text></g>\n",
            escaped(&self.line),
            self.left,
            (self.right - self.left).max(4),
            self.left,
            top + 20,
            self.left,
            top + 34,
        )
    }
}

/// When the window knows the call to have ended.
fn end(shown: &WindowCall, call: &Call) -> Option<u64> {
    call.end.filter(|_| shown.part != Part::Unknown)
}

/// Gives each bar the first row of its lane where neither bar nor label covers another.
fn place(bars: &mut [Bar<'_>]) {
    let mut rows: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for bar in bars {
        let rows = rows.entry(bar.call.client).or_default();
        bar.row = rows.iter().position(|reach| *reach < bar.left).unwrap_or(rows.len());
        match rows.get_mut(bar.row) {
            Some(reach) => *reach = bar.reach(),
            None => rows.push(bar.reach()),
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
