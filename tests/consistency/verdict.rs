use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::spawn_blocking;
use user_service_checker::events::{Change, Reader};
use user_service_checker::{Bounds, History, Outcome, Protocol, Verdict as Checked, check, compare, page};

use crate::arguments::Arguments;
use crate::flaws::flaws;
use crate::world::World;

/// What a round has left.
pub struct Evidence {
    pub label: String,
    pub history: History,
    /// That of plain connections to the same cluster; without any it is empty.
    pub control: History,
    pub readers: Vec<Reader>,
    /// Answers that the service must never give.
    pub objections: Vec<String>,
}

/// What a round came to.
pub struct Verdict {
    pub calls: usize,
    /// Those that an operator made by SQL.
    pub by_sql: usize,
    /// Writes with an unknown outcome.
    pub unknown: usize,
    pub refused: usize,
    pub is_convicted: bool,
    pub is_control_convicted: bool,
    /// How long the checker took.
    pub check: Duration,
}

/// Judges a round: the history, what the readers were told, and what the database holds. Keeps the evidence of a violation.
/// `ids` are those of all users of earlier rounds.
pub async fn judge(world: &World, evidence: Evidence, ids: &mut HashSet<u64>, keep: bool) -> Verdict {
    let mut complaints = Vec::from_iter(evidence.objections.iter().map(|what| format!("ImpossibleAnswer: {what}")));
    complaints.extend(reused(&evidence.readers, ids));
    complaints.extend(world.beside(flaws).await.iter().map(|flaw| format!("DatabaseFlaw: {flaw}")));
    let log = world.log();
    let judged = spawn_blocking(move || {
        let began = Instant::now();
        let report = check(&evidence.history, &Bounds::default());
        let told = compare(&evidence.history, &evidence.readers);
        let control = check(&evidence.control, &Bounds::default());
        let took = began.elapsed();
        complaints.extend(told.iter().map(|finding| format!("{:?}: {}", finding.anomaly, finding.message)));
        let is_convicted = report.verdict() != Checked::Linearizable || !complaints.is_empty();
        let is_control_convicted = control.verdict() == Checked::Violated;
        if is_control_convicted || keep {
            evidence.keep_control(&control.text(&evidence.control), &page(&evidence.control, &control));
        }
        if is_convicted || keep {
            let mut text = report.text(&evidence.history);
            for complaint in &complaints {
                writeln!(text, "{complaint}").expect("a string");
            }
            evidence.keep(&text, &page(&evidence.history, &report), &log);
            if is_convicted {
                let cut = |line: &str| line.chars().take(300).collect::<String>();
                let shown = Vec::from_iter(text.lines().take(40).map(cut));
                eprintln!(
                    "{} is convicted{}, see {}:\n{}",
                    evidence.label,
                    if is_control_convicted { " like its control" } else { "" },
                    Arguments::folder().display(),
                    shown.join("\n")
                );
            }
        }
        let calls = &evidence.history.calls;
        let count = |outcome: &Outcome| calls.iter().filter(|call| call.outcome == *outcome).count();
        let unknown = calls.iter().filter(|call| call.outcome == Outcome::Unknown && !call.operation.is_read()).count();
        Verdict {
            calls: calls.len(),
            by_sql: calls.iter().filter(|call| call.protocol == Protocol::Sql).count(),
            unknown,
            refused: count(&Outcome::Refused),
            is_convicted,
            is_control_convicted,
            check: took,
        }
    });
    judged.await.expect("the checker comes to an end")
}

/// The users of a round whose ids were used before.
fn reused(readers: &[Reader], ids: &mut HashSet<u64>) -> Vec<String> {
    let created = readers.iter().flat_map(|reader| &reader.events).filter(|event| event.change == Change::Created);
    let round = HashSet::<u64>::from_iter(created.map(|event| event.id));
    let twice =
        Vec::from_iter(ids.intersection(&round).map(|id| format!("IdReused: {id} was used in an earlier round")));
    ids.extend(round);
    twice
}

impl Evidence {
    fn keep_control(&self, text: &str, page: &str) {
        self.write("control.history.jsonl", &lines_of(&self.control));
        self.write("control.txt", text);
        self.write("control.html", page);
    }

    fn keep(&self, text: &str, page: &str, log: &str) {
        let events = self.readers.iter().flat_map(|reader| {
            reader.events.iter().map(move |event| {
                let mut line = json!(event);
                line["reader"] = json!(reader.name);
                line["channel"] = json!(reader.channel);
                line.to_string()
            })
        });
        self.write("history.jsonl", &lines_of(&self.history));
        self.write("events.jsonl", &(Vec::from_iter(events).join("\n") + "\n"));
        self.write("txt", text);
        self.write("html", page);
        self.write("log", log);
    }

    fn write(&self, kind: &str, content: &str) {
        fs::create_dir_all(Arguments::folder()).expect("the folder of evidence");
        fs::write(Arguments::folder().join(format!("{}.{kind}", self.label)), content).expect("evidence is kept");
    }
}

fn lines_of(history: &History) -> String {
    history.calls.iter().map(|call| serde_json::to_string(call).expect("a call is JSON") + "\n").collect()
}
