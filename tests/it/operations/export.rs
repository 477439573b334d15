//! The command `export`: a file that is whole, or none.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flate2::read::GzDecoder;
use rstest::rstest;

use crate::support::{Answered, App, Database, Db, EXPORT, Output, seeded, users_of};

fn export(database: &Database, args: &[&str]) -> Output {
    database.program().args(["export"]).args(args).run()
}

/// What the folder holds of an export that was begun.
fn unfinished(database: &Database) -> usize {
    let entries = fs::read_dir(database.dir()).unwrap().map(|entry| entry.unwrap().file_name());
    entries.filter(|name| name.to_string_lossy().contains("export-")).count()
}

fn unpacked(file: &Path) -> String {
    let mut text = String::new();
    GzDecoder::new(fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    text
}

#[rstest]
#[tokio::test]
async fn files_hold_what_the_service_exports(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, 2345, &[]).await;
    app.create("=1+1", "ada@example.com").await;
    let ndjson = app.get(EXPORT).answer().await.text;
    let csv = app.get(EXPORT).header("accept", "text/csv").answer().await.text;
    let file = |name: &str| app.database.dir().join(name);
    let text = |name: &str| fs::read_to_string(file(name)).unwrap();
    let done = export(&app.database, &["users.ndjson"]).succeeded();
    assert!(done.stdout.starts_with("exported 2346 users in "), "{done:?}");
    assert_eq!(fs::metadata(file("users.ndjson")).unwrap().permissions().mode() & 0o777, 0o600);
    export(&app.database, &["users.csv"]).succeeded();
    export(&app.database, &["users.dat", "--format", "csv"]).succeeded();
    assert!(text("users.ndjson") == ndjson && text("users.csv") == csv && text("users.dat") == csv);
    export(&app.database, &["users.csv.gz"]).succeeded();
    export(&app.database, &["packed", "--format", "ndjson", "--gzip"]).succeeded();
    assert!(unpacked(&file("users.csv.gz")) == csv && unpacked(&file("packed")) == ndjson);
    assert!(export(&app.database, &["-"]).succeeded().stdout == ndjson);
    assert!(export(&app.database, &["-", "--format", "csv"]).succeeded().stdout == csv);
    assert_eq!(unfinished(&app.database), 0);
}

#[rstest]
#[tokio::test]
async fn an_empty_database_has_an_export(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let exported = export(&app.database, &["-"]).succeeded().stdout;
    assert!(users_of(&exported).is_empty());
}

#[tokio::test]
async fn a_file_that_is_there_stays() {
    let app = App::start(Db::Sqlite).await;
    fs::write(app.database.dir().join("users.csv"), "mine").unwrap();
    let refused = export(&app.database, &["users.csv"]).exited(1);
    refused.line_about("users.csv");
    assert_eq!(fs::read_to_string(app.database.dir().join("users.csv")).unwrap(), "mine");
}

#[test]
fn an_export_that_fails_leaves_no_file() {
    let database = Db::Sqlite.fresh();
    export(&database, &["users.csv"]).exited(1).line_about("there is no database");
    assert!(!database.file().exists());
    database.connect().run("CREATE TABLE others (id INTEGER)");
    export(&database, &["users.csv"]).exited(1).line_about("no such table");
    assert!(!database.dir().join("users.csv").exists());
    assert_eq!(unfinished(&database), 0);
}

#[test]
fn the_form_has_to_be_known() {
    let database = Db::Sqlite.fresh();
    database.program().args(["migrate"]).run().succeeded();
    export(&database, &["users.json"]).exited(1).line_about("--format");
    export(&database, &["users.json", "--format", "json"]).exited(2).line_about("must be ndjson or csv");
    export(&database, &["missing/users.csv"]).exited(1).line_about("missing/users.csv");
}

/// The snapshot is of one moment: nothing that is written meanwhile is in it, as a reader that waits shows.
#[rstest]
#[tokio::test]
async fn it_is_of_one_moment(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, 20_000, &[]).await;
    let mut command = app.database.program().args(["export", "-"]).into_command();
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut begun = vec![0; 1000];
    stdout.read_exact(&mut begun).unwrap();
    app.create("Late", "late@example.com").await;
    app.delete("/api/v2/users/20000").answer().await.expect(204);
    let mut text = String::from_utf8(begun).unwrap();
    stdout.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    let users = users_of(&text);
    assert_eq!((users.len(), &users[19_999]["id"]), (20_000, &serde_json::json!(20_000)));
}
