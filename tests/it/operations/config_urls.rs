//! URLs of the database and of the broker. It is a mistake if one would create an unintended file, lose a part, or be
//! retried for ever.

use std::fs;

use rstest::rstest;
use tempfile::TempDir;

use crate::support::{Program, SECRET};

fn check_config(dir: &TempDir) -> Program {
    Program::new(dir.path()).args(["check-config"]).env("JWT_SECRET", SECRET)
}

#[rstest]
#[case("users.db?mode=rw")]
#[case("users.db?")]
#[case("file:users.db")]
#[case("file:users?mode=memory&cache=shared")]
#[case("FILE:users.db")]
#[case(":memory:")]
#[case(":MEMORY:")]
#[case(":memory:?cache=shared")]
#[case("~/users.db")]
#[case("/~/users.db")]
#[case("~ann/users.db")]
#[case("$HOME/users.db")]
#[case("${HOME}/users.db")]
#[case("/var/my%20data/users.db")]
#[case(" users.db")]
#[case("users.db ")]
#[case("'users.db'")]
#[case("\"users.db\"")]
#[case("data\\users.db")]
#[case("data/")]
#[case("data/..")]
#[case("/")]
#[case("")]
fn a_path_that_no_file_is_meant_to_have_is_a_mistake(#[case] path: &str) {
    let dir = TempDir::new().unwrap();
    let program = Program::new(dir.path()).args(["migrate"]).env("DATABASE_URL", format!("sqlite://{path}"));
    let output = program.run().exited(2);
    output.line_about("DATABASE_URL");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "no file is created");
}

#[rstest]
#[case("users.db")]
#[case("/var/lib/user service/übers.db")]
#[case("./o'brien/c#/100%.db")]
#[case("../data.d/users~1")]
fn any_other_path_is_taken_as_it_stands(#[case] path: &str) {
    let dir = TempDir::new().unwrap();
    let output = check_config(&dir).env("DATABASE_URL", format!("sqlite://{path}")).run().succeeded();
    assert!(output.stdout.contains(&format!("DATABASE_URL=sqlite://{path}\n")), "{output:?}");
}

/// libpq would refuse such a parameter at every attempt, and the attempts would go on for ever.
#[rstest]
#[case("schema=public", "schema")]
#[case("sslmode=require&pgbouncer=true", "pgbouncer")]
#[case("connection_limit=5&pool_timeout=2", "connection_limit")]
#[case("SSLMODE=require", "SSLMODE")]
#[case("sslmode=verfy-full", "sslmode")]
#[case("sslmode=no-verify", "sslmode")]
#[case("sslmode", "sslmode")]
#[case("sslnegotiation=direct&sslmode=prefer", "sslnegotiation")]
#[case("target_session_attrs=readwrite", "target_session_attrs")]
#[case("connect_timeout=5s", "connect_timeout")]
#[case("keepalives=true", "keepalives")]
#[case("port=54x2", "port")]
#[case("ssl_min_protocol_version=1.2", "ssl_min_protocol_version")]
#[case("service=nowhere", "service")]
fn a_parameter_that_libpq_does_not_take_is_named(#[case] query: &str, #[case] named: &str) {
    let dir = TempDir::new().unwrap();
    let url = format!("postgres://jane:hunter2@db.example.com/users?{query}");
    let output = check_config(&dir).env("DATABASE_URL", url).run().exited(2);
    let line = output.line_about("DATABASE_URL");
    assert!(line.contains(&format!("parameter {named}")), "{line}");
    assert!(!line.contains("hunter2"), "{line}");
}

/// libpq's own variables apply where the URL says nothing.
#[test]
fn a_wrong_variable_of_libpqs_is_a_mistake() {
    let dir = TempDir::new().unwrap();
    let variables = [("DATABASE_URL", "postgres://jane@db.example.com/users"), ("PGSSLMODE", "verfy-full")];
    let output = check_config(&dir).envs(&variables).run().exited(2);
    assert!(output.line_about("DATABASE_URL").contains("PG..."), "{output:?}");
}

/// The rest of a password that was not escaped looks like a parameter.
#[rstest]
#[case("password=abc&hunter2=1")]
#[case("sslpassword=abc&hunter2")]
#[case("password=abc=hunter2")]
#[case("hunter2@x=1")]
#[case("password=hunter2%zz")]
fn a_piece_of_a_password_is_not_named(#[case] query: &str) {
    let dir = TempDir::new().unwrap();
    let url = format!("postgres://db.example.com/users?{query}");
    let output = check_config(&dir).env("DATABASE_URL", url).run().exited(2);
    output.line_about("DATABASE_URL");
    assert!(!format!("{output:?}").contains("hunter2"), "{output:?}");
}

#[rstest]
#[case("jane@db.example.com:99999/users")]
#[case("jane@db.example.com:0/users")]
#[case("jane@$DB_HOST/users")]
#[case("jane@${DB_HOST}:5432/users")]
#[case("jane@<host>/users")]
#[case("jane@one:1,two:2,three/users?port=1,2")]
#[case("jane@db.example.com/users/")]
#[case("jane@db.example.com/public/users")]
fn a_place_that_is_none_is_a_mistake(#[case] rest: &str) {
    let dir = TempDir::new().unwrap();
    let output = check_config(&dir).env("DATABASE_URL", format!("postgres://{rest}")).run().exited(2);
    output.line_about("DATABASE_URL");
}

#[rstest]
#[case("jane:hunter2@db.example.com:5432/users?sslmode=verify-full&sslrootcert=/etc/ca.pem&application_name=users")]
#[case("jane@one:1,two,[::1]:3/users?target_session_attrs=read-write&load_balance_hosts=random")]
#[case("jane@db/users?connect_timeout=5&keepalives_idle=30&tcp_user_timeout=2000&options=-c%20search_path%3Dapp")]
#[case("jane@db/users?ssl=true")]
#[case("jane@/users?host=/run/postgresql&port=5433")]
#[case("jane@%2Frun%2Fpostgresql/users")]
#[case("jane@db?")]
#[case("jane@db/users?sslmode=require&")]
#[case("jane@db/users?max_protocol_version=latest")]
fn what_libpq_takes_is_taken(#[case] rest: &str) {
    let dir = TempDir::new().unwrap();
    check_config(&dir).env("DATABASE_URL", format!("postgres://{rest}")).run().succeeded();
}

#[rstest]
#[case("mq/x?connection_timeout=30000", "connection_timeout")]
#[case("mq/x?cacertfile=ca.pem", "cacertfile")]
#[case("mq/x?heartbeat=60s", "heartbeat")]
#[case("mq/x?frame_max=1", "frame_max")]
#[case("mq/x?channel_max=many", "channel_max")]
#[case("mq/x?auth_mechanism=plane", "auth_mechanism")]
#[case("mq:0/x", "port")]
#[case("mq:70000/x", "port")]
#[case("mq/", "vhost")]
#[case("mq/a/b", "vhost")]
#[case("/x", "host")]
#[case("$BROKER/x", "host")]
fn the_part_of_the_brokers_url_that_is_wrong_is_named(#[case] rest: &str, #[case] part: &str) {
    let dir = TempDir::new().unwrap();
    let output = check_config(&dir).env("AMQP_URL", format!("amqp://jane:hunter2@{rest}")).run().exited(2);
    let line = output.line_about("AMQP_URL");
    assert!(line.contains(part), "{line}");
    assert!(!line.contains("hunter2"), "{line}");
}
