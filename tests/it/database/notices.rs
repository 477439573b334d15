//! Notices that PostgreSQL sends to a new connection.

use std::time::Duration;

use rstest::rstest;
use serde_json::Value;

use crate::support::{App, Database, Db, until};

/// A database that warns each new connection: its collation may have changed since its indexes were built.
fn warning() -> Database {
    let database = Db::Postgres.fresh();
    let age = "UPDATE pg_database SET datcollversion = '1' WHERE datname = current_database()";
    database.connect().run(age);
    database
}

/// libpq would print a notice to stderr as it is, but each line must be a JSON object, or start with its time.
#[rstest]
#[case("json")]
#[case("text")]
#[tokio::test]
async fn notices_are_lines_of_the_log(#[case] format: &str) {
    let app = App::on(warning(), &[("LOG_FORMAT", format)]).await;
    let log = || app.log();
    until("the log has the notice", Duration::from_secs(10), async || log().contains("collation version mismatch"))
        .await;
    app.database.break_connections();
    app.ready().await;
    app.create("John", "john@example.com").await;
    for line in log().lines() {
        let is_one = match format {
            "json" => serde_json::from_str::<Value>(line).is_ok_and(|line| line["level"].is_string()),
            _ => line.starts_with('['),
        };
        assert!(is_one, "{line}");
    }
    assert_eq!(log().matches("collation version mismatch").count(), 1, "the notice is logged once: {}", log());
}

#[test]
fn a_command_tells_them_too() {
    let output = warning().program().args(["migrate"]).env("LOG_FORMAT", "json").run().succeeded();
    assert!(output.line_about("collation version mismatch").starts_with('{'), "{output:?}");
}
