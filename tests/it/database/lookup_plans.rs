//! How often PostgreSQL plans the statements of look-ups and changes that come one at a time.

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection as _, PgConnection, QueryableByName, RunQueryDsl as _, sql_query};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Answered, Postgres, Program, Server, email, query_string};

/// With so many users, PostgreSQL estimates a look-up of ten keys as much more expensive than one of one key.
const USERS: i64 = 20_000;
const CALLS: i64 = 40;
/// PostgreSQL plans a statement five times, and once more for the plan that it keeps; on at most three connections.
const PLANS: i64 = 3 * 6;

/// Counts plans from now on.
async fn count_plans(postgres: &mut Postgres) -> PgConnection {
    let mut connection = PgConnection::establish(&postgres.url()).unwrap();
    connection.batch_execute("ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements").unwrap();
    postgres.crash();
    postgres.start().await;
    let mut connection = PgConnection::establish(&postgres.url()).unwrap();
    connection.batch_execute("CREATE EXTENSION pg_stat_statements").unwrap();
    connection.batch_execute("ALTER SYSTEM SET pg_stat_statements.track_planning = on").unwrap();
    connection.batch_execute("SELECT pg_reload_conf()").unwrap();
    connection
}

#[derive(QueryableByName)]
struct Planned {
    #[diesel(sql_type = Text)]
    query: String,
    #[diesel(sql_type = BigInt)]
    plans: i64,
    #[diesel(sql_type = BigInt)]
    calls: i64,
}

/// Look-ups, which also ask what has changed.
const LOOK_UP: &str = "SELECT %FROM event_log WHERE %UNION ALL%";
const CHANGE: &str = "WITH created AS (%), found AS (%";

/// The counts of the statements that match a pattern.
fn planned(connection: &mut PgConnection, like: &str) -> Vec<Planned> {
    let statements = "SELECT query, plans, calls FROM pg_stat_statements WHERE query LIKE $1";
    sql_query(statements).bind::<Text, _>(like).load(connection).unwrap()
}

fn are_planned_seldom(statements: Vec<Planned>) {
    for Planned { query, plans, calls } in statements {
        assert_eq!(calls, CALLS, "{query}");
        assert!((1..=PLANS).contains(&plans), "{plans} plans for {calls} calls: {query}");
    }
}

/// A server with many users, and a connection to its database that counts plans.
async fn start(postgres: &mut Postgres, dir: &TempDir) -> (Server, PgConnection) {
    let mut connection = count_plans(postgres).await;
    let program = || Program::new(dir.path()).env("DATABASE_URL", postgres.url()).with_a_key();
    program().args(["migrate"]).run().succeeded();
    program().args(["seed", "--count", &USERS.to_string()]).run().succeeded();
    connection.batch_execute("ANALYZE users").unwrap();
    let server = Server::listening(program());
    server.ready().await;
    (server, connection)
}

#[tokio::test]
async fn one_user_is_looked_up_by_a_plan_that_is_kept() {
    let (dir, mut postgres) = (TempDir::new().unwrap(), Postgres::started().await);
    let (server, mut connection) = start(&mut postgres, &dir).await;
    let page = server.get("/api/v2/users?page_size=100").answer().await.body(200);
    // Addresses whose legacy key differs use another statement.
    let are_plain = |user: &&Value| user["email"].as_str().unwrap().is_ascii();
    let users = page["users"].as_array().unwrap().iter().filter(are_plain).take(usize::try_from(CALLS).unwrap());
    let users = Vec::from_iter(users);
    for user in &users {
        server.get(&format!("/api/v2/users/{}", user["id"])).answer().await.body(200);
        let query = query_string(&[("email", email(user))]);
        let found = server.get(&format!("/api/v2/users?{query}")).answer().await.body(200);
        assert_eq!(found["users"], json!([user]));
    }

    let missed = planned(&mut connection, LOOK_UP);
    assert_eq!(missed.len(), 2, "one statement by id and one by email");
    are_planned_seldom(missed);
    for user in &users {
        server.get(&format!("/api/v2/users/{}", user["id"])).answer().await.body(200);
    }
    let all = planned(&mut connection, LOOK_UP);
    assert_eq!(all.len(), 3, "and one for users in memory");
    are_planned_seldom(all);
}

/// Planning this statement takes longer than running it.
#[tokio::test]
async fn one_user_is_changed_by_a_plan_that_is_kept() {
    let (dir, mut postgres) = (TempDir::new().unwrap(), Postgres::started().await);
    let (server, mut connection) = start(&mut postgres, &dir).await;
    for id in 1..=CALLS / 2 {
        let path = format!("/api/v2/users/{id}");
        server.patch(&path, &json!({ "name": "Johnny" })).answer().await.body(200);
        server.delete(&path).answer().await.expect(204);
    }

    let planned = planned(&mut connection, CHANGE);
    assert_eq!(planned.len(), 1, "one statement for all changes");
    are_planned_seldom(planned);
}
