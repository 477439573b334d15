//! Text that becomes HTML.

use std::fmt::Write as _;

use serde::Serialize;

use super::charts::Chart;

const TEMPLATE: &str = include_str!("report.html");
const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");
/// The one copy in the repository; the live page serves it, too.
const UPLOT: &str = include_str!("../../../src/http/pages/live/uplot/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("../../../src/http/pages/live/uplot/uPlot.min.css");
const UPLOT_LICENSE: &str = include_str!("../../../src/http/pages/live/uplot/LICENSE");

/// What a page shows: its title, what stands above the charts and below them, and the charts.
pub(super) struct Page {
    pub title: String,
    pub above: String,
    pub below: String,
    pub charts: Vec<Chart>,
}

#[derive(Serialize)]
struct Data<'a> {
    charts: &'a [Chart],
}

impl Page {
    pub(super) fn html(&self) -> String {
        let data = serde_json::to_string(&Data { charts: &self.charts }).unwrap_or_default();
        let sections = Vec::from_iter(self.charts.iter().enumerate().map(|(number, chart)| section(chart, number)));
        let parts: [(&str, &str); 10] = [
            ("title", &escape(&self.title)),
            ("style", STYLE),
            ("uplot-style", UPLOT_STYLE),
            ("uplot-license", UPLOT_LICENSE),
            ("above", &self.above),
            ("sections", &sections.concat()),
            ("below", &self.below),
            // Nothing in the data can end the element that holds it.
            ("data", &data.replace('<', "\\u003c")),
            ("uplot", UPLOT),
            ("script", SCRIPT),
        ];
        fill(TEMPLATE, &parts)
    }
}

/// Where the script draws a chart.
fn section(chart: &Chart, number: usize) -> String {
    let class = if chart.is_distribution { "chart distribution" } else { "chart" };
    let (title, note) = (escape(chart.title), escape(chart.note));
    format!(
        "<section class=\"{class}\" data-chart=\"{number}\"><h2>{title}</h2><p>{note}</p><ul></ul><div class=\"plot\" \
         role=\"img\" aria-label=\"Chart: {title}\"></div></section>"
    )
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A table; numbers are set to the right. The cells are text.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let mut html = "<div class=\"wide\"><table><thead><tr>".to_owned();
    for name in head {
        let _ = write!(html, "<th scope=\"col\">{}</th>", escape(name));
    }
    html.push_str("</tr></thead><tbody>");
    for row in rows {
        html.push_str("<tr>");
        for (number, cell) in row.iter().enumerate() {
            let is_number = cell.starts_with(|char: char| char.is_ascii_digit() || char == '–') && number > 0;
            let class = if is_number { " class=\"number\"" } else { "" };
            let _ = write!(html, "<td{class}>{}</td>", escape(cell));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>");
    html
}

/// A list of terms and what they are, as text.
pub(super) fn list(class: &str, entries: &[(&str, String)]) -> String {
    let mut html = format!("<dl class=\"{class}\">");
    for (term, text) in entries.iter().filter(|(_, text)| !text.is_empty()) {
        let _ = write!(html, "<div><dt>{}</dt><dd>{}</dd></div>", escape(term), escape(text));
    }
    html.push_str("</dl>");
    html
}

/// A part of the page below the charts. The body is HTML.
pub(super) fn part(title: &str, note: &str, body: &str) -> String {
    let note = if note.is_empty() { String::new() } else { format!("<p>{}</p>", escape(note)) };
    format!("<section class=\"part\"><h2>{}</h2>{note}{body}</section>", escape(title))
}

/// Puts each part in its place, and looks for no place in what it has put there.
fn fill(template: &str, parts: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len() + parts.iter().map(|(_, text)| text.len()).sum::<usize>());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        filled.extend(parts.iter().filter(|(known, _)| *known == name).map(|(_, text)| *text));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_not_filled_again() {
        assert_eq!(fill("a {{b}} {{c}} d", &[("b", "{{c}}"), ("c", "x")]), "a {{c}} x d");
    }

    #[test]
    fn text_stays_text() {
        let text = table(["a", "b"], &[["<b>".to_owned(), "1 & 2".to_owned()]]);
        assert!(text.contains("<td>&lt;b&gt;</td><td class=\"number\">1 &amp; 2</td>"), "{text}");
    }

    #[test]
    fn every_part_has_its_place() {
        let page = Page { title: "T<".to_owned(), above: "A".to_owned(), below: "B".to_owned(), charts: Vec::new() };
        let html = page.html();
        assert!(html.contains("<title>T&lt;</title>") && !html.contains("{{"), "a place is left");
        assert!(html.contains("uPlot") && html.contains("prefers-color-scheme"));
        for outside in ["src=\"http", "href=\"http", "@import", "url(http"] {
            assert!(!html.contains(outside), "{outside}");
        }
    }
}
