//! The commands and their arguments.

use std::fs;
use std::time::Duration;

use rstest::rstest;
use tempfile::TempDir;

use crate::support::{Answered, App, Db, Program, Server, TOKEN, http, user};

const COMMANDS: [&str; 5] = ["serve", "migrate", "seed", "check-config", "healthcheck"];

#[rstest]
#[case("--help")]
#[case("-h")]
fn help_names_every_command(#[case] flag: &str) {
    let dir = TempDir::new().unwrap();
    let output = Program::new(dir.path()).args([flag]).run().succeeded();
    for command in COMMANDS {
        assert!(output.stdout.contains(command), "{command}: {}", output.stdout);
        let help = Program::new(dir.path()).args([command, "--help"]).run().succeeded();
        assert!(help.stdout.contains("Usage: user-service"), "{}", help.stdout);
    }
}

/// Help needs no valid configuration.
#[rstest]
#[case("--help")]
#[case("--version")]
fn a_question_is_answered_whatever_the_configuration(#[case] flag: &str) {
    let dir = TempDir::new().unwrap();
    Program::new(dir.path()).args([flag]).env("SERVER_PORT", "nowhere").run().succeeded();
}

#[test]
fn version_is_the_packages() {
    let dir = TempDir::new().unwrap();
    let output = Program::new(dir.path()).args(["--version"]).run().succeeded();
    assert!(output.stdout.starts_with(concat!("user-service ", env!("CARGO_PKG_VERSION"))), "{}", output.stdout);
}

#[rstest]
#[case(&["brew"])]
#[case(&["--brew"])]
#[case(&["seed"])]
#[case(&["seed", "--count", "many"])]
#[case(&["seed", "--count", "-1"])]
#[case(&["serve", "brew"])]
fn what_is_not_understood_is_refused(#[case] args: &[&str]) {
    let dir = TempDir::new().unwrap();
    let output = Program::new(dir.path()).args(args).run().exited(2);
    assert!(!output.stderr.is_empty());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "no file is created");
}

#[rstest]
#[case(&[])]
#[case(&["serve"])]
#[tokio::test]
async fn serving_makes_the_default_database_and_its_folder(#[case] args: &[&str]) {
    let dir = TempDir::new().unwrap();
    let server = Server::listening(Program::new(dir.path()).args(args));
    server.ready().await;
    server.create("John", "john@example.com").await;
    assert!(dir.path().join("data/users.db").is_file());
}

#[tokio::test]
async fn the_log_has_a_curl_line_with_the_address() {
    let app = App::start(Db::Sqlite).await;
    let log = app.log();
    let curl = log.lines().find_map(|line| line.split_once("curl ")).unwrap_or_else(|| panic!("no curl line: {log}")).1;
    let url = curl.split_once("http://").expect("a URL").1.split(['\'', '"', ' ']).next().expect("its end");
    assert!(url.starts_with(app.address()), "{curl}");
    let path = url.strip_prefix(app.address()).expect("a path");
    let status = app.get(path).answer().await.status;
    assert_ne!(status, 404, "{curl}");
}

#[rstest]
#[tokio::test]
async fn healthcheck_tells_by_its_exit_code(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start(db).await;
    let healthcheck = |app: &App| app.database.program().args(["healthcheck"]).env("SERVER_PORT", app.port()).run();
    healthcheck(&app).succeeded();
    app.kill();
    let output = healthcheck(&app);
    assert!(matches!(output.code, Some(code) if code != 0), "{output:?}");
    assert!(!output.stderr.is_empty(), "stderr has the reason");
}

#[tokio::test]
async fn a_port_in_use_is_an_error() {
    let app = App::start(Db::Sqlite).await;
    let output = app.database.program().env("SERVER_PORT", app.port()).run();
    assert!(matches!(output.code, Some(code) if code != 0), "{output:?}");
    assert!(output.stderr.contains(app.port()), "{output:?}");
}

#[tokio::test]
async fn every_interface_can_be_served() {
    let database = Db::Sqlite.fresh();
    let server = Server::listening(database.program().env("SERVER_HOST", "0.0.0.0"));
    server.ready().await;
    let client = http().timeout(Duration::from_secs(10)).build().expect("a client");
    let users = format!("http://127.0.0.1:{}/api/v1/users", server.port());
    let created = client
        .post(users)
        .bearer_auth(&*TOKEN)
        .json(&user("John", "john@example.com"))
        .send()
        .await
        .expect("an answer");
    assert_eq!(created.status(), 201);
}

#[rstest]
#[case("migrate")]
#[case("seed")]
fn a_command_without_its_database_fails_in_time(#[case] command: &str) {
    let dir = TempDir::new().unwrap();
    let args: &[&str] = if command == "seed" { &["seed", "--count", "1"] } else { &[command] };
    let nowhere = "postgres://jane:hunter2@127.0.0.1:1/users";
    let output = Program::new(dir.path()).args(args).env("DATABASE_URL", nowhere).run().exited(1);
    assert!(!output.stderr.is_empty() && !output.stderr.contains("hunter2"), "{output:?}");
}
