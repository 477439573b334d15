//! A report in words.

use std::fmt::Write as _;

use crate::check::{Fault, Report, Verdict};
use crate::history::History;
use crate::window::{DeadEnd, Part, Window, WindowCall};

/// After how many letters a line is cut off that names a call in passing.
const LONGEST: usize = 200;

/// How many dead ends are told.
const TOLD: usize = 6;

impl Report {
    /// The report in words. `history` must be the one that it is about.
    #[must_use]
    pub fn text(&self, history: &History) -> String {
        let mut text = format!(
            "{}: {} calls in {} partitions, the largest of {} calls; {} configurations\n",
            match self.verdict() {
                Verdict::Linearizable => "linearizable",
                Verdict::Violated => "NOT linearizable",
                Verdict::Undecided => "not decided",
            },
            self.calls,
            self.partitions,
            self.largest,
            self.states
        );
        for finding in &self.findings {
            let _ = writeln!(text, "{:?}: {}", finding.anomaly, finding.message);
            for call in &finding.places {
                let _ = writeln!(text, "    {}", line(history, *call));
            }
        }
        for fault in &self.faults {
            text.push_str(&fault.text(history));
        }
        for calls in &self.undecided {
            let first = calls.first().map(|call| line(history, *call)).unwrap_or_default();
            let _ = writeln!(text, "not decided: a partition of {} calls that begins with {first}", calls.len());
        }
        text
    }
}

impl Fault {
    /// The fault in words: its window, and what each order contradicts.
    #[must_use]
    pub fn text(&self, history: &History) -> String {
        let (all, few) = (self.calls.len(), self.window.calls.len());
        let mut text = format!(
            "No order explains a partition of {all} calls. The longest prefix explains {} of them; {few} calls show the fault:\n",
            self.explained
        );
        for call in &self.window.calls {
            let _ = writeln!(text, "  {} {}", call.part.sign(), call.line(history));
        }
        text.push_str(&self.window.orders(history));
        text
    }
}

impl Part {
    fn sign(self) -> &'static str {
        match self {
            Part::Given => "given:  ",
            Part::Explained => "        ",
            Part::Contradicted => "   >>>  ",
            Part::Unknown => "unknown:",
        }
    }
}

impl WindowCall {
    /// The call in one line, with what is left of its answer in the window.
    #[must_use]
    pub fn line(&self, history: &History) -> String {
        let Some(call) = history.calls.get(self.call) else { return String::new() };
        let answer = self.answer.clone().unwrap_or_else(|| call.outcome.to_string());
        let end = call.end.map_or_else(String::new, milliseconds);
        format!(
            "#{} client {} {}–{end} ms: {} → {answer}",
            self.call,
            call.client,
            milliseconds(call.start),
            call.operation
        )
    }
}

impl Window {
    /// What each order contradicts, a line for each.
    #[must_use]
    pub fn orders(&self, history: &History) -> String {
        let mut text = String::new();
        for dead_end in self.dead_ends.iter().take(TOLD) {
            let _ = writeln!(text, "  {}", dead_end.order());
            for (call, contradiction) in &dead_end.contradictions {
                let call = history.calls.get(*call).map_or_else(String::new, |found| format!("#{call} {found}"));
                let _ = writeln!(text, "      not {call}: {contradiction}");
            }
        }
        if self.dead_ends.len() > TOLD {
            text.push_str("  and others that go no farther\n");
        }
        if self.calls.iter().any(|call| call.part == Part::Unknown) {
            text.push_str("  No effect of an unknown write helps, at whatever moment.\n");
        }
        text
    }
}

impl DeadEnd {
    fn order(&self) -> String {
        let calls = Vec::from_iter(self.order.iter().map(|call| format!("#{call}")));
        if calls.is_empty() { "At the beginning:".to_owned() } else { format!("After {}:", calls.join(" ")) }
    }
}

/// A call in one line that is not long.
fn line(history: &History, at: usize) -> String {
    let line = WindowCall { call: at, part: Part::Explained, answer: None }.line(history);
    let short = Vec::from_iter(line.char_indices().skip(LONGEST).map(|(place, _)| place));
    short.first().map_or(line.clone(), |place| format!("{}…", line.get(..*place).unwrap_or(&line)))
}

/// Nanoseconds as milliseconds, with three decimals or as many as it has.
pub(crate) fn milliseconds(time: u64) -> String {
    let (whole, micros, nanos) = (time / 1_000_000, time / 1_000 % 1_000, time % 1_000);
    if nanos == 0 { format!("{whole}.{micros:03}") } else { format!("{whole}.{micros:03}{nanos:03}") }
}
