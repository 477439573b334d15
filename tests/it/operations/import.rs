//! The command `import`.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use rstest::rstest;

use crate::support::{Answered, Database, Db, EXPORT, Output, Server, seeded, until};

fn import(database: &Database, args: &[&str]) -> Output {
    database.program().args(["import"]).args(args).run()
}

/// Name and email of everyone, in the order of the emails.
async fn everyone(database: &Database) -> Vec<(String, String)> {
    let server = Server::listening(database.program());
    server.ready().await;
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let everyone = server.everyone().await;
    let mut everyone = Vec::from_iter(everyone.iter().map(|user| (text(&user["name"]), text(&user["email"]))));
    everyone.sort();
    everyone
}

#[rstest]
#[tokio::test]
async fn exported_files_go_in_again(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values("users.ndjson", "users.csv", "users.ndjson.gz", "users.csv.gz")] name: &str,
) {
    let app = seeded(db, 1234, &[]).await;
    app.create("=1+1", "ada@example.com").await;
    app.database.program().args(["export", name]).run().succeeded();
    let other = db.fresh();
    fs::copy(app.database.dir().join(name), other.dir().join(name)).unwrap();
    let done = import(&other, &[name]).succeeded();
    let counts = ": 1235 created, 0 updated, 0 skipped, 0 failed\n";
    assert!(done.stdout.starts_with("imported 1235 records in ") && done.stdout.ends_with(counts), "{done:?}");
    let again = import(&other, &[name, "--on-conflict", "update"]).succeeded();
    assert!(again.stdout.contains(": 0 created, 0 updated, 1235 skipped"), "{again:?}");
    assert!(everyone(&other).await == everyone(&app.database).await);
}

#[tokio::test]
async fn records_that_fail_are_named() {
    let database = Db::Sqlite.fresh();
    let file = "name,email\nAda,ada@example.com\n,ada@example.org\nBob,ADA@example.com\n";
    fs::write(database.dir().join("users.txt"), file).unwrap();
    let failed = import(&database, &["users.txt", "--format", "csv"]).exited(1);
    failed.line_about("line 3: /name must not be empty (invalid_user)");
    failed.line_about("line 4: /email another user has this email (email_taken)");
    failed.line_about("2 records have failed");
    assert!(failed.stdout.contains("1 created, 0 updated, 0 skipped, 2 failed"), "{failed:?}");
    import(&database, &["users.txt"]).exited(1).line_about("--format");
    import(&database, &["missing.csv"]).exited(1).line_about("missing.csv");
    import(&database, &["users.txt", "--format", "csv", "--on-conflict", "merge"]).exited(2).line_about("skip");
    fs::write(database.dir().join("cut.csv"), "id,name,email,version,created_at,updated_at\n").unwrap();
    import(&database, &["cut.csv"]).exited(1).line_about("the file is an export whose end is missing");
    // What was begun so is a conflict for another file of this name.
    import(&database, &["cut.csv", "--on-conflict", "skip"]).exited(1).line_about("with another on_conflict");
    import(&database, &["cut.csv", "--on-conflict", "skip", "--restart"]).exited(1).line_about("whose end is missing");
    assert_eq!(everyone(&database).await, [("Ada".to_owned(), "ada@example.com".to_owned())]);
}

#[tokio::test]
async fn stdin_is_a_file() {
    let app = seeded(Db::Sqlite, 700, &[]).await;
    let export = app.get(EXPORT).answer().await.text;
    let other = Db::Sqlite.fresh();
    let mut command = other.program().args(["import", "-"]).into_command();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(export.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && String::from_utf8(output.stdout).unwrap().contains("700 created"));
}

/// Killed ten times at any moment, it ends as one that was left alone, events included.
#[rstest]
#[tokio::test]
async fn a_killed_import_goes_on(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    const MANY: usize = 12_000;
    let database = db.fresh();
    let user = |n: usize| format!("{{\"name\":\"User {n}\",\"email\":\"user{n}@example.com\"}}\n");
    fs::write(database.dir().join("users.ndjson"), (0..MANY).map(user).collect::<String>()).unwrap();
    database.program().args(["migrate"]).run().succeeded();
    let count = |table: &str| {
        let sql = format!("SELECT CAST(count(*) AS TEXT) AS fact FROM {table}");
        database.connect().facts(&sql)[0].parse::<usize>().unwrap()
    };
    for kill in 1..=10 {
        let mut child = database.program().args(["import", "users.ndjson"]).into_command().spawn().unwrap();
        let enough = kill * MANY / 12;
        let is_far = async || count("users") > enough || child.try_wait().unwrap().is_some();
        until("the import advances", Duration::from_secs(30), is_far).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let done = import(&database, &["users.ndjson"]).succeeded();
    assert!(done.stdout.starts_with(&format!("imported {MANY} records")), "{done:?}");
    assert!(done.stdout.contains(&format!(": {MANY} created, 0 updated, 0 skipped, 0 failed")), "{done:?}");
    assert_eq!((count("users"), count("events"), count("imports")), (MANY, MANY, 0));
    let mut expected = Vec::from_iter((0..MANY).map(|n| (format!("User {n}"), format!("user{n}@example.com"))));
    expected.sort();
    assert!(everyone(&database).await == expected);
}
