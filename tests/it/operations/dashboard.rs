//! `deploy/`: Prometheus checks the rules, the alerts and the dashboard, also against the real service.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use reqwest::Method;
use rstest::rstest;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::support::proto::ListUsersRequest;
use crate::support::{Answered, App, Db, Prometheus, at_once, file_of, promtool, user};

/// Long enough for some scrapes on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// The variables that Grafana fills in.
const VARIABLES: [(&str, &str); 6] = [
    ("$__rate_interval", "10s"),
    ("$__range", "1m"),
    ("$job", "user-service"),
    ("$instance", ".*"),
    ("$route", "/api/.*"),
    ("$max_wait", "1"),
];

/// Series that Prometheus adds itself.
const OWN: [&str; 2] = ["up", "ALERTS"];

fn read(path: &str) -> String {
    fs::read_to_string(file_of(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The values of a key, in the order of the file, also where it follows a dash.
fn values<'a>(yaml: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    yaml.lines().filter_map(move |line| line.trim_start().trim_start_matches("- ").strip_prefix(key)).map(str::trim)
}

fn tests() -> Vec<String> {
    let files = fs::read_dir(file_of("deploy/prometheus/tests")).unwrap();
    let names = files.map(|file| format!("tests/{}", file.unwrap().file_name().to_str().unwrap()));
    names.collect()
}

#[test]
fn the_configuration_and_the_rules_are_valid() {
    promtool(&["check", "config", "prometheus.yml", "compose.yml"], "").succeeded();
    promtool(&["check", "rules", "rules.yml", "alerts.yml"], "").succeeded();
}

#[test]
fn alerts_fire_and_stay_silent_when_they_should() {
    let tests = tests();
    let args: Vec<&str> = ["test", "rules"].into_iter().chain(tests.iter().map(String::as_str)).collect();
    promtool(&args, "").succeeded();
}

#[test]
fn each_alert_has_a_firing_and_a_silent_case() {
    let mut cases: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for file in tests() {
        let yaml = read(&format!("deploy/prometheus/{file}"));
        let alerts = values(&yaml, "alertname:");
        for (alert, expected) in alerts.zip(values(&yaml, "exp_alerts:")) {
            let case = if expected == "[]" { "silent" } else { "firing" };
            cases.entry(alert.to_owned()).or_default().insert(case);
        }
        assert_eq!(values(&yaml, "alertname:").count(), values(&yaml, "exp_alerts:").count(), "{file}");
    }
    let alerts = read("deploy/prometheus/alerts.yml");
    for alert in values(&alerts, "alert:") {
        let cases = cases.remove(alert).unwrap_or_default();
        assert_eq!(cases, BTreeSet::from(["firing", "silent"]), "{alert}");
    }
    assert!(cases.is_empty(), "no such alerts: {cases:?}");
}

#[test]
fn each_alert_leads_to_its_entry_in_the_runbook() {
    let (yaml, runbook) = (read("deploy/prometheus/alerts.yml"), read("docs/runbook.md"));
    let alerts: Vec<&str> = values(&yaml, "alert:").collect();
    let links: Vec<&str> = values(&yaml, "runbook_url:").collect();
    let wanted: Vec<String> = alerts.iter().map(|alert| format!("docs/runbook.md#{}", alert.to_lowercase())).collect();
    assert_eq!(links, wanted);
    let entries: BTreeSet<&str> = runbook.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(entries, BTreeSet::from_iter(alerts.iter().copied()));
    let severities: Vec<&str> = values(&yaml, "severity:").collect();
    assert_eq!(severities.len(), alerts.len());
    for (alert, severity) in alerts.iter().zip(severities) {
        assert!(runbook.contains(&format!("## {alert}\n\n`{severity}`. ")), "{alert} is a {severity}");
    }
}

#[rstest]
#[tokio::test]
async fn promtool_has_nothing_to_say_about_the_metrics(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    live(&app, 0, 0).await;
    let metrics = app.get("/metrics").answer().await.expect(200).text.clone();
    let output = promtool(&["check", "metrics"], &metrics).succeeded();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
}

/// The life of a user, and some client errors.
async fn live(app: &App, client: usize, turn: usize) {
    let email = format!("john{client}.{turn}@example.com");
    let john = app.create("John", &email).await;
    let path = format!("/api/v2/users/{}", john["id"]);
    app.get(&path).answer().await.expect(200);
    app.put(&path, &user("Johnny", &email)).answer().await.expect(200);
    app.get("/api/v2/users?page_size=5").answer().await.expect(200);
    app.get("/api/v1/users?page=2&limit=5").answer().await.expect(200);
    app.delete(&path).answer().await.expect(204);
    app.get(&path).answer().await.expect(404);
    app.get("/nowhere").answer().await.expect(404);
    app.anonymous(Method::GET, "/api/v2/users").answer().await.expect(401);
    app.grpc().list_users(ListUsersRequest::default()).await.unwrap();
}

/// Load that leaves processor time to others.
async fn load(app: &App, over: &Cell<bool>) {
    at_once(4, async |client: usize| {
        for turn in 0.. {
            live(app, client, turn).await;
            sleep(Duration::from_millis(50)).await;
            if over.get() {
                return;
            }
        }
    })
    .await;
}

#[rstest]
#[tokio::test]
async fn every_expression_finds_data_under_load(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let prometheus = Prometheus::scraping(app.address()).await;
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/user-service.json")).expect("JSON");
    let (panels, rules) = (expressions(&dashboard), rules(&prometheus).await);
    assert!(panels.len() > 50, "{panels:#?}");
    let over = Cell::new(false);
    let look = async {
        let selectors = panels.iter().chain(&rules.queries).flat_map(|query| selectors(query));
        find_all(&prometheus, panels.iter().cloned().chain(selectors).collect()).await;
        find_choices(&prometheus, &dashboard).await;
        // Nothing is wrong, so the alerts without a waiting time must not fire.
        let firing = prometheus.query(r#"ALERTS{alertstate="firing"}"#).await;
        assert!(firing.is_empty(), "{firing:#?}");
        over.set(true);
    };
    futures::join!(load(&app, &over), look);
    let metrics = app.metrics().await;
    let names = metrics.series().filter_map(|series| series.split(['{', ' ']).next());
    let known: BTreeSet<&str> = names.chain(rules.recorded.iter().map(String::as_str)).chain(OWN).collect();
    for expression in panels.iter().chain(&rules.queries) {
        for metric in metrics_in(expression) {
            assert!(known.contains(metric.as_str()), "there is no {metric}: {expression}");
        }
    }
}

/// Repeats the queries until each expression has had data.
async fn find_all(prometheus: &Prometheus, mut missing: BTreeSet<String>) {
    let deadline = Instant::now() + LIMIT;
    while !missing.is_empty() {
        assert!(Instant::now() < deadline, "no data within {LIMIT:?}: {missing:#?}");
        for expression in missing.clone() {
            if prometheus.has_data(&expression).await {
                missing.remove(&expression);
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Checks that the variables of the dashboard offer values.
async fn find_choices(prometheus: &Prometheus, dashboard: &Value) {
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let queries = variables.iter().filter(|variable| variable["type"] == "query");
    let mut found = BTreeSet::new();
    for variable in queries {
        let query = filled_in(variable["query"]["query"].as_str().expect("a query"));
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).expect("label_values");
        let (series, label) = inner.rsplit_once(", ").expect("series and a label");
        let choices = prometheus.get(&format!("label/{label}/values"), &[("match[]", series)]).await;
        assert!(choices.as_array().is_some_and(|choices| !choices.is_empty()), "{query}: {choices}");
        found.insert(variable["name"].as_str().expect("a name"));
    }
    assert_eq!(found, BTreeSet::from(["instance", "job", "route"]));
}

/// All expressions of the dashboard, at any depth.
fn expressions(json: &Value) -> Vec<String> {
    match json {
        Value::Array(items) => items.iter().flat_map(expressions).collect(),
        Value::Object(members) => {
            let own = members.get("expr").and_then(Value::as_str).map(filled_in);
            own.into_iter().chain(members.values().flat_map(expressions)).collect()
        }
        _ => Vec::new(),
    }
}

fn filled_in(expression: &str) -> String {
    let filled = VARIABLES.iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value));
    assert!(!filled.contains('$'), "an unknown variable: {filled}");
    filled
}

struct Rules {
    recorded: Vec<String>,
    queries: Vec<String>,
}

/// The rules as Prometheus has parsed them.
async fn rules(prometheus: &Prometheus) -> Rules {
    let groups = prometheus.get("rules", &[]).await;
    let groups = groups["groups"].as_array().expect("groups").iter();
    let all: Vec<&Value> = groups.flat_map(|group| group["rules"].as_array().expect("rules")).collect();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let recorded = all.iter().filter(|rule| rule["type"] == "recording").map(|rule| text(&rule["name"]));
    Rules { recorded: recorded.collect(), queries: all.iter().map(|rule| text(&rule["query"])).collect() }
}

/// The selectors of a rule or a panel. One with a misspelt label would never match, or show 0. Without matchers of a
/// status or code, because no failures occur here; and without recorded series and alerts.
fn selectors(query: &str) -> Vec<String> {
    let mut selectors = Vec::new();
    for (at, _) in query.match_indices('{') {
        let name = query[..at].rsplit(|c: char| !is_word(c)).next().unwrap_or_default();
        let inner = query[at + 1..].split('}').next().unwrap_or_default();
        let matchers = inner
            .split(',')
            .map(str::trim)
            .filter(|matcher| !matcher.starts_with("status") && !matcher.starts_with("code"));
        let matchers: Vec<&str> = matchers.collect();
        if !name.contains(':') && name != "ALERTS" {
            selectors.push(format!("{name}{{{}}}", matchers.join(",")));
        }
    }
    selectors
}

/// The metrics that an expression names: the words that are no function, keyword or label.
fn metrics_in(expression: &str) -> Vec<String> {
    const WORDS: [&str; 10] = ["and", "bool", "count", "group", "max", "min", "offset", "or", "sum", "unless"];
    const LABELS_FOLLOW: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
    let plain =
        [('"', '"'), ('{', '}'), ('[', ']')].into_iter().fold(expression.to_owned(), |text, pair| without(&text, pair));
    let (mut rest, mut metrics) = (plain.as_str(), Vec::new());
    while let Some(start) = rest.find(is_word) {
        let word = rest[start..].split(|c| !is_word(c)).next().unwrap_or_default();
        rest = rest[start + word.len()..].trim_start();
        let is_number = word.starts_with(|c: char| c.is_ascii_digit());
        if LABELS_FOLLOW.contains(&word) {
            rest = rest.split_once(')').expect("labels in parentheses").1;
        } else if !is_number && !rest.starts_with('(') && !WORDS.contains(&word) {
            metrics.push(word.to_owned());
        }
    }
    metrics
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':')
}

/// Removes the text between two delimiters, and the delimiters.
fn without(text: &str, (open, close): (char, char)) -> String {
    let mut is_inside = false;
    let is_outside = |c: &char| {
        let was_inside = is_inside;
        is_inside = if is_inside { *c != close } else { *c == open };
        !was_inside && !is_inside
    };
    text.chars().filter(is_outside).collect()
}
