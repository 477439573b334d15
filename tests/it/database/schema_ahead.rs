//! This release on the schema of the next one, as during a rollout: the example in `migrations/README.md`, whose "old
//! replica" is the current program.

use std::cell::Cell;
use std::fs;
use std::time::Duration;

use futures::future::join;
use reqwest::header::IF_MATCH;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::support::{
    Answered, App, Connection, Db, LiveStream, SchemaFacts, Server, at_once, file_of, query_string, until, user,
};

const CALLERS: usize = 8;

/// The first block of SQL after some words in `migrations/README.md`.
fn sql_after(words: &str) -> String {
    let readme = fs::read_to_string(file_of("migrations/README.md")).expect("migrations/README.md");
    let (_, rest) = readme.split_once(words).unwrap_or_else(|| panic!("{words:?} is not in migrations/README.md"));
    let (_, rest) = rest.split_once("```sql\n").expect("a block of SQL");
    rest.split_once("```").expect("its end").0.to_owned()
}

fn expand(db: Db) -> String {
    sql_after(match db {
        Db::Postgres => "**Release 1 expands.**",
        Db::Sqlite => "`migrations/sqlite` has",
    })
}

/// The steps that an operator runs by hand on a large table: the beginning of the migration, then its work.
fn by_hand() -> [String; 2] {
    let expand = expand(Db::Postgres);
    let (beginning, _) = expand.split_once("\nUPDATE ").expect("where the work begins");
    [beginning.to_owned(), sql_after("do the work by hand beforehand")]
}

fn shrink() -> String {
    sql_after("and `down.sql`:")
}

fn contract(db: Db) -> String {
    let sql = sql_after("**Release 2 contracts**");
    match db {
        Db::Postgres => sql,
        Db::Sqlite => sql.lines().filter(|line| !line.contains("-- on PostgreSQL only")).collect(),
    }
}

/// SQL in one transaction, as migrations run.
fn in_one_transaction(sql: &str) -> String {
    format!("BEGIN; {sql} COMMIT")
}

/// Runs every operation on users, and so every statement.
async fn use_everything(server: &Server, name: &str) {
    let email = format!("{name}@example.com");
    let created = server.create(&format!("{name} One"), &email).await;
    let path = format!("/api/v2/users/{}", created["id"]);
    assert_eq!(server.get(&path).answer().await.body(200), created);
    let (by_email, by_name) =
        (query_string(&[("email", &email)]), query_string(&[("name_prefix", &format!("{name} O"))]));
    for query in [by_email, by_name] {
        let page = server.get(&format!("/api/v2/users?{query}")).answer().await.body(200);
        assert_eq!(page["users"], json!([created]), "{query}");
    }
    let two = user(&format!("{name} Two"), &email);
    let put = server.put(&path, &two).header(IF_MATCH, "\"1\"").answer().await.body(200);
    assert_eq!((&put["name"], &put["version"]), (&two["name"], &json!(2)));
    server.put(&path, &two).header(IF_MATCH, "\"1\"").answer().await.problem(412, "version_mismatch");
    let moved = server.patch(&path, &json!({ "email": format!("{name}@example.org") })).answer().await.body(200);
    assert_eq!((&moved["name"], &moved["version"]), (&two["name"], &json!(3)));
    let three = server.patch(&path, &json!({ "name": format!("{name} Three") })).answer().await.body(200);
    assert_eq!(server.get(&path).answer().await.body(200), three);
    server.get("/api/v1/users?limit=100").answer().await.expect(200);
    server.delete(&path).answer().await.empty(204);
    server.get(&path).answer().await.problem(404, "user_not_found");
}

/// Runs SQL while callers use every operation before, during and after it.
async fn run_under_use(app: &App, name: &str, sql: String) {
    let (turns, has_run) = (Cell::new(0), Cell::new(false));
    let callers = at_once(CALLERS, async |caller: usize| {
        let mut after = 0;
        for turn in 0.. {
            use_everything(app, &format!("{name}.{caller}.{turn}")).await;
            turns.set(turns.get() + 1);
            after += usize::from(has_run.get());
            if after == 2 {
                return;
            }
        }
    });
    let run = async {
        until("all callers make progress", Duration::from_secs(30), async || turns.get() >= 2 * CALLERS).await;
        let mut connection = app.database.connect();
        spawn_blocking(move || connection.run(&sql)).await.expect("the SQL ends");
        has_run.set(true);
    };
    join(callers, run).await;
}

fn disagreeing(connection: &mut Connection) -> Vec<String> {
    connection.facts("SELECT id::text AS fact FROM users WHERE name IS DISTINCT FROM full_name OR name IS NULL")
}

#[rstest]
#[tokio::test]
async fn an_old_replica_goes_on_while_a_column_is_renamed(#[values(false, true)] prepared_by_hand: bool) {
    let mut app = App::start(Db::Postgres).await;
    let mut connection = app.database.connect();
    let before = SchemaFacts::of(&mut connection);
    let ada = app.create("Ada", "ada@example.com").await;
    if prepared_by_hand {
        let [beginning, work] = by_hand();
        run_under_use(&app, "beginning", in_one_transaction(&beginning)).await;
        run_under_use(&app, "work", work).await;
        assert_eq!(disagreeing(&mut connection), Vec::<String>::new());
    }
    run_under_use(&app, "expand", in_one_transaction(&expand(Db::Postgres))).await;
    assert_ne!(SchemaFacts::of(&mut connection), before);

    // New replicas read what existed before and what old replicas write, and the other way round.
    assert_eq!(app.get("/api/v2/users/1").answer().await.body(200), ada);
    let bob = app.create("Bob", "bob@example.com").await;
    assert_eq!(disagreeing(&mut connection), Vec::<String>::new());
    connection.run(
        "UPDATE users SET full_name = 'Ada King', name_key = 'ada king', version = version + 1 WHERE id = 1;
         INSERT INTO users (full_name, name_key, email, email_key, version, created_at, updated_at)
         SELECT 'Cy', 'cy', 'cy@example.com', 'cy@example.com', 1, created_at, updated_at FROM users WHERE id = 1",
    );
    assert_eq!(disagreeing(&mut connection), Vec::<String>::new());
    let names = async |server: &Server| -> Vec<Value> {
        server.everyone().await.into_iter().map(|mut user| user["name"].take()).collect()
    };
    assert_eq!(names(&app).await, ["Ada King", "Bob", "Cy"]);
    let patch = app.patch("/api/v2/users/1", &json!({ "name": "Ada Lovelace" })).header(IF_MATCH, "\"2\"");
    assert_eq!(patch.answer().await.body(200)["version"], 3);
    assert_eq!(disagreeing(&mut connection), Vec::<String>::new());
    assert_eq!(connection.facts("SELECT full_name AS fact FROM users WHERE id = 1"), ["Ada Lovelace"]);
    let mut stream = LiveStream::resume(&app, 0).await;
    let told = loop {
        let told = stream.next().await.expect("an event");
        if (told.user_id(), told.version()) == (1, 3) {
            break told;
        }
    };
    assert_eq!(told.data["data"]["name"], "Ada Lovelace");

    // An old replica that ends meanwhile can start again.
    app.restart().await;
    use_everything(&app, "restarted").await;

    run_under_use(&app, "shrink", in_one_transaction(&shrink())).await;
    assert_eq!(SchemaFacts::of(&mut connection), before);
    assert_eq!(names(&app).await, ["Ada Lovelace", "Bob", "Cy"]);
    let path = format!("/api/v2/users/{}", bob["id"]);
    assert_eq!(app.get(&path).answer().await.body(200), bob);
}

#[test]
fn both_databases_rename_it_to_the_same_schema() {
    let [sqlite, postgres] = Db::BOTH.map(|db| {
        let database = db.fresh();
        database.program().args(["migrate"]).run().succeeded();
        [expand(db), contract(db)].map(|sql| {
            database.connect().run(&in_one_transaction(&sql));
            SchemaFacts::of(&mut database.connect())
        })
    });
    assert_eq!(sqlite, postgres);
    let names = |facts: &SchemaFacts| {
        facts.0.iter().filter(|fact| fact.starts_with("users.name ") || fact.starts_with("users.full_name ")).count()
    };
    assert_eq!(sqlite.each_ref().map(names), [2, 1], "{sqlite:?}");
}
