//! `docs/metrics.md` lists exactly the metrics of `/metrics`.

use std::collections::{BTreeMap, BTreeSet};

use rstest::rstest;

use crate::support::{Answered, App, Db};

const TABLE: &str = include_str!("../../../docs/metrics.md");

/// A metric's type and the names of its labels.
type Families = BTreeMap<String, (String, BTreeSet<String>)>;

fn documented() -> Families {
    let rows = TABLE.lines().filter(|line| line.starts_with("| `"));
    let family = |row: &str| {
        let cells = Vec::from_iter(row.split('|').map(str::trim));
        let labels = cells[3].split(',').map(|label| label.trim().trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (cells[1].trim_matches('`').to_owned(), (cells[2].to_owned(), labels))
    };
    rows.map(family).collect()
}

fn told(text: &str) -> Families {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let labels = |name: &str, kind: &str| {
        let sample = if kind == "histogram" { format!("{name}_count") } else { name.to_owned() };
        let series = text.lines().filter_map(|line| line.strip_prefix(&sample)?.strip_prefix('{')?.split_once("} "));
        series.flat_map(|(labels, _)| label_names(labels)).collect()
    };
    types.map(|(name, kind)| (name.to_owned(), (kind.to_owned(), labels(name, kind)))).collect()
}

fn label_names(labels: &str) -> Vec<String> {
    labels.split("\",").filter_map(|label| label.split_once('=')).map(|(name, _)| name.to_owned()).collect()
}

#[rstest]
#[tokio::test]
async fn every_metric_is_documented_and_none_else(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let text = app.get("/metrics").answer().await.expect(200).text.clone();
    assert_eq!(told(&text), documented());
}

#[tokio::test]
async fn each_has_a_help_text() {
    let app = App::start(Db::Sqlite).await;
    let text = app.get("/metrics").answer().await.expect(200).text.clone();
    for name in told(&text).keys() {
        let help = text.lines().find_map(|line| line.strip_prefix(&format!("# HELP {name} ")));
        assert!(help.is_some_and(|help| help.ends_with('.') || name.starts_with("process_")), "{name}: {help:?}");
    }
}
