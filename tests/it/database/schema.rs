//! The two folders of migrations create the same schema, and each migration can be reverted.

use std::fs;

use diesel::backend::Backend;
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use rstest::rstest;

use crate::support::{Connection, Db, SchemaFacts};

fn names(db: Db) -> Vec<String> {
    let entries = fs::read_dir(db.migrations()).expect("migrations").map(|entry| entry.expect("an entry"));
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut names: Vec<String> = folders.map(|entry| entry.file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

#[test]
fn both_folders_have_the_same_migrations() {
    assert_eq!(names(Db::Sqlite), names(Db::Postgres));
    assert!(!names(Db::Sqlite).is_empty());
}

#[test]
fn both_databases_come_to_the_same_schema() {
    let [sqlite, postgres] = Db::BOTH.map(|db| {
        let database = db.fresh();
        database.program().args(["migrate"]).run().succeeded();
        SchemaFacts::of(&mut database.connect())
    });
    assert_eq!(sqlite, postgres);
    for column in ["id", "name", "email", "version", "created_at", "updated_at"] {
        assert!(sqlite.0.iter().any(|fact| fact.starts_with(&format!("users.{column} "))), "{column}: {sqlite:?}");
    }
    assert!(sqlite.0.iter().any(|fact| fact.starts_with("users UNIQUE (")), "{sqlite:?}");
}

#[rstest]
fn down_undoes_up(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let database = db.fresh();
    database.program().args(["migrate"]).run().succeeded();
    let mut connection = database.connect();
    let up = SchemaFacts::of(&mut connection);
    let migrations = || FileBasedMigrations::from_path(db.migrations()).expect("migrations");
    migrate(&mut connection, migrations(), Way::Down);
    assert_eq!(SchemaFacts::of(&mut connection).0, Vec::<String>::new());
    migrate(&mut connection, migrations(), Way::Up);
    assert_eq!(SchemaFacts::of(&mut connection), up);
    // The program finds nothing to do after the migrations from the files.
    database.program().args(["migrate"]).run().succeeded();
    assert_eq!(SchemaFacts::of(&mut connection), up);
}

#[rstest]
fn every_migration_can_be_undone_by_itself(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let database = db.fresh();
    let mut connection = database.connect();
    let migrations = || FileBasedMigrations::from_path(db.migrations()).expect("migrations");
    for _ in names(db) {
        let before = SchemaFacts::of(&mut connection);
        migrate(&mut connection, migrations(), Way::OneUp);
        let after = SchemaFacts::of(&mut connection);
        migrate(&mut connection, migrations(), Way::OneDown);
        assert_eq!(SchemaFacts::of(&mut connection), before);
        migrate(&mut connection, migrations(), Way::OneUp);
        assert_eq!(SchemaFacts::of(&mut connection), after);
    }
}

#[derive(Clone, Copy)]
enum Way {
    Up,
    Down,
    OneUp,
    OneDown,
}

fn migrate(connection: &mut Connection, migrations: FileBasedMigrations, way: Way) {
    match connection {
        Connection::Sqlite(connection) => go(connection, migrations, way),
        Connection::Postgres(connection) => go(connection, migrations, way),
    }
}

fn go<D: Backend>(connection: &mut impl MigrationHarness<D>, migrations: FileBasedMigrations, way: Way) {
    let gone = match way {
        Way::Up => connection.run_pending_migrations(migrations).map(drop),
        Way::Down => connection.revert_all_migrations(migrations).map(drop),
        Way::OneUp => connection.run_next_migration(migrations).map(drop),
        Way::OneDown => connection.revert_last_migration(migrations).map(drop),
    };
    gone.expect("the migration runs");
}
