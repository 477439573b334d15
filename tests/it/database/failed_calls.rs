//! System calls on SQLite's files fail once, and not again.

use diesel_migrations::{FileBasedMigrations, MigrationHarness as _};
use rstest::rstest;

use crate::support::{Connection, Db, Server, Strace};

/// SQLite opens a file for reading if it cannot open it for writing: over such a connection no migration succeeds, however
/// often it is tried.
#[rstest]
// The first time it is opened to be made.
#[case("", 2)]
#[case("-wal", 1)]
#[case("-shm", 1)]
#[tokio::test]
async fn a_database_that_could_be_opened_for_reading_only_is_migrated_later(#[case] suffix: &str, #[case] nth: usize) {
    let database = Db::Sqlite.fresh();
    let mut connection = database.connect();
    connection.run("PRAGMA journal_mode = WAL");
    let Connection::Sqlite(sqlite) = &mut connection else { panic!("asked for SQLite") };
    let migrations = FileBasedMigrations::from_path(Db::Sqlite.migrations()).expect("migrations");
    sqlite.run_next_migration(migrations).expect("the first of several");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let strace = Strace::to(folder.path());
    let file = format!("{}{suffix}", database.file().display()).into();
    let inject = format!("openat:error=EIO:when={nth}");
    let server = Server::listening(strace.begin(database.program(), &["openat"], &[file], Some(&inject)));
    server.ready().await;
    assert!(strace.has_failed_a_call(), "{}", strace.text());
    server.create("John", "john@example.com").await;
}
