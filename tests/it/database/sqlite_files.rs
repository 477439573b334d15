//! SQLite's files are deleted, replaced or made read-only while the service has them open.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;

use crate::support::{Answered, App, Db, Server, email, until, user};

const SOON: Duration = Duration::from_secs(20);

fn file(app: &App, suffix: &str) -> PathBuf {
    let mut path = OsString::from(app.database.file());
    path.push(suffix);
    path.into()
}

/// Creates a user, and returns it if the create was acknowledged. Otherwise it was not executed, or its outcome is
/// unknown.
async fn try_to_create(server: &Server, email: &str) -> Option<Value> {
    let answer = server.post("/api/v2/users", &user("John", email)).answer().await;
    if answer.status == 201 {
        return Some(answer.json());
    }
    assert!(matches!(answer.status, 503 | 504), "{answer:?}");
    None
}

/// The service acknowledges no write to a deleted file, because nobody will ever read that file.
#[tokio::test]
async fn a_deleted_database_acknowledges_nothing() {
    let mut app = App::start(Db::Sqlite).await;
    app.create("John", "john@example.com").await;
    fs::remove_file(file(&app, "")).unwrap();
    for turn in 0..20 {
        assert_eq!(
            try_to_create(&app, &format!("{turn}@example.com")).await,
            None,
            "an acknowledged write is on no disk"
        );
    }
    app.fails_for("file").await;
    assert_eq!(app.metrics().await.sum("db_failing", &[("check", "file")]), 1);
    app.get("/api/v2/users/1").answer().await.unusable();
    app.post("/api/v2/users", &user("Jane", "jane@example.com")).answer().await.unusable();
    app.logs("users.db").await;
    assert!(!file(&app, "").exists(), "an empty database has taken its place");
    app.restart().await;
    assert_eq!(app.everyone().await, Vec::<Value>::new());
}

/// Without the write-ahead log (`-wal`), or with another one, no acknowledged write is missing afterwards.
#[rstest]
#[tokio::test]
async fn files_beside_it_are_made_anew(#[values("-wal", "-shm")] suffix: &str, #[values(false, true)] replaced: bool) {
    let mut app = App::start(Db::Sqlite).await;
    let mut acknowledged = vec![app.create("John", "john@example.com").await];
    let beside = file(&app, suffix);
    fs::remove_file(&beside).unwrap();
    if replaced {
        fs::write(&beside, []).unwrap();
    }
    for turn in 0..20 {
        acknowledged.extend(try_to_create(&app, &format!("{turn}@example.com")).await);
    }
    until("the loss is logged and repaired", SOON, async || app.log().contains(suffix) && app.is_ready().await).await;
    acknowledged.push(app.create("Jane", "jane@example.com").await);
    app.restart().await;
    let found = app.by_email().await;
    for user in &acknowledged {
        assert_eq!(found.get(email(user)), Some(user), "an acknowledged user is lost");
    }
}

#[tokio::test]
async fn a_file_that_is_put_back_is_served_again() {
    let app = App::start(Db::Sqlite).await;
    let john = app.create("John", "john@example.com").await;
    let aside = file(&app, ".aside");
    fs::rename(file(&app, ""), &aside).unwrap();
    app.fails_for("file").await;
    fs::rename(&aside, file(&app, "")).unwrap();
    app.ready().await;
    assert_eq!(app.get("/api/v2/users/1").answer().await.body(200), john);
    app.create("Jane", "jane@example.com").await;
}

/// Another file under that name may be anything. Only a restart makes it the database.
#[tokio::test]
async fn another_file_is_served_after_a_restart() {
    let mut app = App::start(Db::Sqlite).await;
    let john = app.create("John", "john@example.com").await;
    let backup = app.database.dir().join("backup.db");
    app.database.program().args(["backup", backup.to_str().unwrap()]).run().succeeded();
    app.create("Jane", "jane@example.com").await;
    fs::rename(&backup, file(&app, "")).unwrap();
    app.fails_for("file").await;
    app.get("/api/v2/users/1").answer().await.unusable();
    for suffix in ["-wal", "-shm"] {
        let _ = fs::remove_file(file(&app, suffix));
    }
    app.restart().await;
    assert_eq!(app.everyone().await, [john]);
}

/// Other processes that open, checkpoint and close the database are not mistaken for a replaced file.
#[tokio::test]
async fn whoever_else_opens_and_closes_it_is_no_trouble() {
    let app = App::start(Db::Sqlite).await;
    for round in 0..20 {
        app.create("John", &format!("john{round}@example.com")).await;
        let backup = app.database.dir().join(format!("backup{round}.db"));
        app.database.program().args(["backup", backup.to_str().unwrap()]).run().succeeded();
        app.database.connect().run("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
    }
    app.ready().await;
    assert!(!app.log().contains("not ready"), "{}", app.log());
}

/// The files beside it may exist or not. SQLite creates them with the mode that the database has then.
#[rstest]
#[tokio::test]
async fn a_file_that_may_only_be_read_is_read(#[values(false, true)] is_alone: bool) {
    let mut app = App::start(Db::Sqlite).await;
    let john = app.create("John", "john@example.com").await;
    app.kill();
    if is_alone {
        // The last connection that closes removes them.
        app.database.connect().run("SELECT count(*) FROM users");
        assert!(!file(&app, "-wal").exists() && !file(&app, "-shm").exists());
    }
    let mode = |mode| fs::set_permissions(file(&app, ""), Permissions::from_mode(mode)).unwrap();
    mode(0o400);
    let server = Server::listening(app.database.program().without_root(app.database.dir()));
    server.fails_for("read_only").await;
    assert_eq!(server.get("/api/v2/users/1").answer().await.body(200), john);
    assert_eq!(server.everyone().await, [john]);
    server.post("/api/v2/users", &user("Jane", "jane@example.com")).answer().await.problem(503, "unavailable");
    mode(0o600);
    // All connections must be new, or the next one is read-only again.
    until("writes are accepted", SOON, async || try_to_create(&server, "jane@example.com").await.is_some()).await;
    server.ready().await;
    for client in 0..20 {
        server.create("Jack", &format!("jack{client}@example.com")).await;
    }
}

/// The keeper finds files beside the database that are not writable, even without requests.
#[tokio::test]
async fn files_beside_it_become_as_it_is() {
    let app = App::start(Db::Sqlite).await;
    app.create("John", "john@example.com").await;
    let server = Server::listening(app.database.program().without_root(app.database.dir()));
    server.ready().await;
    for suffix in ["-wal", "-shm"] {
        fs::set_permissions(file(&app, suffix), Permissions::from_mode(0o400)).unwrap();
    }
    let mode = |suffix| fs::metadata(file(&app, suffix)).unwrap().permissions().mode() & 0o777;
    until("the files are writable", SOON, async || ["-wal", "-shm"].into_iter().all(|suffix| mode(suffix) == mode("")))
        .await;
    server.ready().await;
    server.create("Jane", "jane@example.com").await;
}

/// Behind a link, SQLite would create a file that everybody may read.
#[rstest]
#[case("elsewhere.db")]
#[case("data/users.db")]
#[tokio::test]
async fn what_a_link_leads_to_is_made_for_its_owner_only(#[case] target: &str) {
    let database = Db::Sqlite.fresh();
    let (dir, link) = (database.dir().to_owned(), database.file());
    fs::create_dir_all(dir.join(target).parent().unwrap()).unwrap();
    // The link leads to a second link. Relative links start at the folder that contains them.
    symlink(dir.join("second"), &link).unwrap();
    symlink(target, dir.join("second")).unwrap();
    let mut app = App::on(database, &[]).await;
    let john = app.create("John", "john@example.com").await;
    for suffix in ["", "-wal", "-shm"] {
        let made = fs::symlink_metadata(dir.join(format!("{target}{suffix}"))).unwrap();
        assert_eq!((made.is_file(), made.permissions().mode() & 0o777), (true, 0o600), "{target}{suffix}");
    }
    app.restart().await;
    assert_eq!(app.everyone().await, [john]);
}
