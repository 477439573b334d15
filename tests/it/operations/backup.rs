//! A backup taken under load can be restored and served.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};
use rstest::rstest;
use tempfile::TempDir;

use crate::support::{App, CLIENTS, Database, Db, LiveStream, Program, at_once, email, file_of, run, until};

const ENOUGH: usize = 300;

fn backup(database: &Database, file: &Path) -> Program {
    database.program().args([Path::new("backup"), file])
}

fn postgres(name: &str) -> Command {
    let folder = run(Command::new(file_of("scripts/postgres")).arg("--programs")).succeeded().stdout;
    Command::new(Path::new(folder.trim()).join(name))
}

/// The backup command in docs/operations.md.
fn copying(db: Db, database: &Database, file: &Path) -> Command {
    match db {
        Db::Sqlite => backup(database, file).into_command(),
        Db::Postgres => {
            let mut dump = postgres("pg_dump");
            dump.arg("--format=custom").arg("--file").arg(file).arg(database.url());
            dump
        }
    }
}

fn restore(db: Db, file: &Path) -> Database {
    let database = db.fresh();
    match db {
        Db::Sqlite => {
            fs::copy(file, sqlite_file(&database)).expect("the copy is restored");
        }
        Db::Postgres => {
            let mut restore = postgres("pg_restore");
            restore.args(["--no-owner", "--exit-on-error", "--single-transaction", "--dbname"]);
            run(restore.arg(database.url()).arg(file)).succeeded();
        }
    }
    database
}

fn sqlite_file(database: &Database) -> PathBuf {
    database.url().trim_start_matches("sqlite://").into()
}

/// The copy has every change that was acknowledged before it began, nothing that never happened, and an event for each
/// change.
#[rstest]
#[tokio::test]
async fn a_copy_is_of_one_moment(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let (dir, acknowledged, done) = (TempDir::new().unwrap(), RefCell::new(Vec::new()), Cell::new(false));
    let file = dir.path().join("copy");
    let work = at_once(CLIENTS, async |client: usize| {
        for turn in 0.. {
            if done.get() {
                return;
            }
            let john = app.create("John", &format!("john{client}.{turn}@example.com")).await;
            acknowledged.borrow_mut().push(john);
        }
    });
    let copying = async {
        until("enough users are acknowledged", Duration::from_mins(1), async || acknowledged.borrow().len() >= ENOUGH)
            .await;
        let before = acknowledged.borrow().clone();
        let mut copying = copying(db, &app.database, &file).spawn().expect("the copy starts");
        let mut end = None;
        until("the copy is complete", Duration::from_mins(1), async || {
            end = copying.try_wait().expect("its status");
            end.is_some()
        })
        .await;
        assert!(end.is_some_and(|status| status.success()), "{end:?}");
        done.set(true);
        before
    };
    let (_, before) = futures::join!(work, copying);
    let all = app.by_email().await;

    let restored = App::on(restore(db, &file), &[]).await;
    let found = restored.by_email().await;
    for user in &before {
        assert_eq!(found.get(email(user)), Some(user), "an acknowledged user is lost");
    }
    assert!(found.len() < all.len(), "no user was created after the copy");
    assert!(found.iter().all(|(email, user)| all.get(email) == Some(user)), "the copy has a user that never existed");
    let mut stream = LiveStream::resume(&restored, 0).await;
    let told = stream.take(found.len()).await;
    assert!(told.iter().all(|told| found.contains_key(told.data["data"]["email"].as_str().unwrap())));
    restored.create("Late", "late@example.com").await;
    assert_eq!(stream.next().await.expect("an event").data["data"]["name"], "Late");
}

#[tokio::test]
async fn a_copy_is_for_its_owner_and_replaces_nothing() {
    let app = App::start(Db::Sqlite).await;
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("copy");
    backup(&app.database, &file).run().succeeded();
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let first = fs::read(&file).unwrap();
    app.create("John", "john@example.com").await;
    let refused = backup(&app.database, &file).run().exited(1);
    assert!(refused.stderr.contains("exists"), "{refused:?}");
    assert_eq!(fs::read(&file).unwrap(), first);
}

/// A file's name is taken literally, even if SQLite would read it as a URI.
#[test]
fn a_name_is_a_name() {
    let database = Db::Sqlite.fresh();
    database.program().args(["migrate"]).run().succeeded();
    for name in ["copy", "file:copy", ":memory:", "file:copy?mode=memory", "-- a copy'%\""] {
        database.program().args(["backup", "--", name]).run().succeeded();
        let mut copy = SqliteConnection::establish(database.dir().join(name).to_str().unwrap()).unwrap();
        copy.batch_execute("SELECT name_key FROM users").unwrap();
    }
    let no_text = Path::new(OsStr::from_bytes(b"no text \xff"));
    backup(&database, no_text).run().succeeded();
    assert_ne!(fs::metadata(database.dir().join(no_text)).unwrap().len(), 0);
}

/// An incomplete copy never has the name of the backup.
#[tokio::test]
async fn a_copy_that_is_cut_short_is_none() {
    let database = Db::Sqlite.fresh();
    database.program().args(["seed", "--count", "20000"]).run().succeeded();
    let dir = TempDir::new().unwrap();
    for number in 0..5 {
        let file = dir.path().join(format!("copy{number}"));
        let mut copying = backup(&database, &file).into_command().spawn().expect("the copy starts");
        until("the copy has begun", Duration::from_mins(1), async || !names(dir.path()).is_empty()).await;
        copying.kill().unwrap();
        copying.wait().unwrap();
        if file.exists() {
            let restored = restore(Db::Sqlite, &file);
            let count = restored.connect().facts("SELECT count(*) || '' AS fact FROM users");
            assert_eq!(count, ["20000"], "a copy with the backup's name is complete");
        }
        for name in names(dir.path()) {
            let path = dir.path().join(name);
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
    }
}

fn names(folder: &Path) -> BTreeSet<OsString> {
    fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect()
}

#[test]
fn without_a_copy_there_is_no_file() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("copy");
    let nothing = Db::Sqlite.fresh();
    let refused = backup(&nothing, &file).run().exited(1);
    assert!(refused.stderr.contains("there is no database"), "{refused:?}");
    assert!(!sqlite_file(&nothing).exists());
    fs::write(sqlite_file(&nothing), "no database ".repeat(1000)).unwrap();
    backup(&nothing, &file).run().exited(1);
    let refused = backup(&Db::Postgres.fresh(), &file).run().exited(1);
    assert!(refused.stderr.contains("pg_dump"), "{refused:?}");
    assert!(names(dir.path()).is_empty(), "{:?}", names(dir.path()));
}
