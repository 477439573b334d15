use std::fs;
use std::path::PathBuf;

use serde_json::json;
use user_service_checker::Event;

use crate::arguments::Arguments;
use crate::client::Record;
use crate::origin;
use crate::point::Point;
use crate::trial::Bench;

/// What a failed trial leaves, beside its calls and files.
#[derive(Default)]
pub struct Evidence {
    /// What the processes have logged.
    pub log: String,
    /// What the checker says.
    pub text: String,
    /// What the checker draws.
    pub page: String,
    /// The events in the log.
    pub events: Vec<Event>,
}

impl Evidence {
    /// Writes everything into a folder, and says how to repeat the trial.
    pub fn keep(&self, point: &Point, seed: u64, bench: &Bench, record: &Record, complaints: &[String]) {
        let folder = folder(point);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("the folder of evidence");
        let lines = |lines: Vec<String>| lines.join("\n") + "\n";
        let calls = record.calls.borrow();
        let calls = calls.iter().map(|call| serde_json::to_string(call).expect("a call is JSON"));
        let events = self.events.iter().map(|event| {
            let mut line = json!(event);
            line["reader"] = json!("log");
            line["channel"] = json!("sse");
            line.to_string()
        });
        let files = [
            ("complaints.txt", lines(complaints.to_vec())),
            ("history.jsonl", lines(calls.collect())),
            ("events.jsonl", lines(events.collect())),
            ("checker.txt", self.text.clone()),
            ("checker.html", self.page.clone()),
            ("service.log", self.log.clone()),
            ("strace.log", bench.strace.text()),
        ];
        for (name, content) in files {
            fs::write(folder.join(name), content).expect("evidence is kept");
        }
        origin::copy(&bench.left(), &folder.join("users.db"));
        let shown = complaints.iter().take(5).map(|what| what.chars().take(400).collect::<String>());
        eprintln!(
            "{point} FAILED, see {}:\n  {}\n  again: scripts/prove-crash-points --seed {seed} --only {point}",
            folder.display(),
            Vec::from_iter(shown).join("\n  ")
        );
    }
}

fn folder(point: &Point) -> PathBuf {
    Arguments::folder().join(point.to_string().replace('/', "-"))
}
