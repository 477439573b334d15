//! Many writes in one request.

use std::time::Duration;

use reqwest::RequestBuilder;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answer, Answered, App, Db, Raw, Server, at_once, claims, token, until};

const BATCH_WRITE: &str = "/api/v2/users:batchWrite";
const KEY: &str = "idempotency-key";

fn create(name: &str, email: &str) -> Value {
    json!({ "create": { "name": name, "email": email } })
}

fn rename(id: i64, name: &str) -> Value {
    json!({ "update": { "id": id, "patch": { "name": name } } })
}

fn write(app: &Server, operations: &[Value]) -> RequestBuilder {
    app.post(BATCH_WRITE, &json!({ "operations": operations }))
}

fn write_atomically(app: &Server, operations: &[Value]) -> RequestBuilder {
    app.post(BATCH_WRITE, &json!({ "operations": operations, "atomic": true }))
}

fn results(answer: &Answer) -> Vec<Value> {
    answer.body(200)["results"].as_array().unwrap().clone()
}

fn statuses(answer: &Answer) -> Vec<i64> {
    results(answer).iter().map(|result| result["status"].as_i64().unwrap()).collect()
}

/// The code and the only pointer of a refused operation.
fn refusal(result: &Value) -> (&str, &str) {
    let problem = &result["problem"];
    assert_eq!((&problem["status"], &problem["instance"]), (&result["status"], &json!(BATCH_WRITE)));
    (problem["code"].as_str().unwrap(), problem["errors"][0]["pointer"].as_str().unwrap())
}

fn pointer(problem: &Value) -> &str {
    problem["errors"][0]["pointer"].as_str().unwrap()
}

/// Name and version of everyone.
async fn everyone(app: &Server) -> Vec<(String, i64)> {
    let everyone = app.everyone().await;
    let of = |user: &Value| (user["name"].as_str().unwrap().to_owned(), user["version"].as_i64().unwrap());
    everyone.iter().map(of).collect()
}

#[rstest]
#[tokio::test]
async fn each_operation_has_its_own_result(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for name in ["a", "b", "c"] {
        app.create(name, &format!("{name}@example.com")).await;
    }
    let answer = write(
        &app,
        &[
            create(" Dora ", "dora@example.com"),
            json!({ "update": { "id": 1, "if_match": "\"1\"", "patch": { "name": "Ada" } } }),
            json!({ "delete": { "id": 2 } }),
            create("Eve", "a@example.com"),
            create("", "nobody"),
            json!({ "update": { "id": 3, "if_match": "\"7\"", "patch": { "name": "Cora" } } }),
            rename(99, "x"),
            json!({ "update": { "id": 3, "patch": { "email": "dora@example.com" } } }),
            json!({ "delete": { "id": 3, "if_match": "W/\"1\"" } }),
            json!({ "update": { "id": 3, "if_match": "*", "patch": {} } }),
        ],
    );
    let answer = answer.answer().await;
    let all = results(&answer);
    let dora = app.get(&format!("/api/v2/users/{}", all[0]["user"]["id"])).answer().await.body(200);
    assert_eq!(all[0], json!({ "status": 201, "user": dora }));
    assert_eq!(
        (&all[1]["status"], &all[1]["user"]["name"], &all[1]["user"]["version"]),
        (&json!(200), &json!("Ada"), &json!(2))
    );
    assert_eq!(all[2], json!({ "status": 204 }));
    assert_eq!(statuses(&answer), [201, 200, 204, 409, 422, 412, 404, 409, 412, 200]);
    assert_eq!(refusal(&all[3]), ("email_taken", "/operations/3/create/email"));
    let invalid = all[4]["problem"]["errors"].as_array().unwrap();
    let invalid = Vec::from_iter(invalid.iter().map(|error| error["pointer"].as_str().unwrap()));
    assert_eq!(invalid, ["/operations/4/create/name", "/operations/4/create/email"]);
    assert_eq!(refusal(&all[5]), ("version_mismatch", "/operations/5/update/if_match"));
    assert_eq!(refusal(&all[6]), ("user_not_found", "/operations/6/update/id"));
    assert_eq!(refusal(&all[7]), ("email_taken", "/operations/7/update/patch/email"));
    assert_eq!(refusal(&all[8]), ("version_mismatch", "/operations/8/delete/if_match"));
    let position: i64 = answer.header("events-position").parse().unwrap();
    let offsets = app.database.connect().facts("SELECT CAST(max(id) AS TEXT) AS fact FROM events");
    assert_eq!(offsets, [position.to_string()]);
    assert_eq!(everyone(&app).await, [("Ada".into(), 2), ("c".into(), 2), ("Dora".into(), 1)]);
}

#[rstest]
#[tokio::test]
async fn operations_on_one_user_or_email_keep_their_order(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("0", "john@example.com").await;
    // More than wait for one another in the writer, and more than a window.
    let app_settings = [("DB_MAILBOX", "64"), ("DB_MAX_BATCH", "8")];
    let small = Server::listening(app.database.program().envs(&app_settings));
    small.ready().await;
    let mut operations = Vec::from_iter((1..=998).map(|n| rename(1, &n.to_string())));
    operations.insert(500, create("Jane", "jane@example.com"));
    operations.push(create("Janet", "JANE@example.com"));
    let answer = write(&small, &operations).answer().await;
    let statuses = statuses(&answer);
    assert_eq!((statuses[500], statuses[999]), (201, 409), "the first one gets the address");
    for (n, result) in results(&answer).iter().filter(|result| result["status"] == 200).enumerate() {
        assert_eq!((&result["user"]["name"], &result["user"]["version"]), (&json!((n + 1).to_string()), &json!(n + 2)));
    }
    assert_eq!(everyone(&small).await, [("998".into(), 999), ("Jane".into(), 1)]);
}

#[rstest]
#[tokio::test]
async fn an_atomic_batch_is_executed_whole_or_not_at_all(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for name in ["a", "b", "c"] {
        app.create(name, &format!("{name}@example.com")).await;
    }
    // The address that a delete frees may be taken, whatever the order.
    let answer = write_atomically(
        &app,
        &[
            create("Bea", "b@example.com"),
            json!({ "update": { "id": 1, "if_match": "\"1\"", "patch": { "email": "c@example.com" } } }),
            json!({ "delete": { "id": 3 } }),
            json!({ "delete": { "id": 2, "if_match": "\"1\"" } }),
        ],
    );
    let answer = answer.answer().await;
    assert_eq!(statuses(&answer), [201, 200, 204, 204]);
    let all = results(&answer);
    let got = |id: i64| app.get(&format!("/api/v2/users/{id}")).answer();
    assert_eq!(all[1]["user"], got(1).await.body(200));
    let bea = all[0]["user"]["id"].as_i64().unwrap();
    assert_eq!(all[0]["user"], got(bea).await.body(200));
    got(2).await.problem(404, "user_not_found");
    let before = app.everyone().await;
    let events = || app.database.connect().facts("SELECT CAST(count(*) AS TEXT) AS fact FROM events");
    assert_eq!(events(), ["7"]);
    for (bad, status, code, at) in [
        (create("x", "c@example.com"), 409, "email_taken", "/operations/2/create/email"),
        (create("x", "x"), 422, "invalid_user", "/operations/2/create/email"),
        (rename(99, "x"), 404, "user_not_found", "/operations/2/update/id"),
        (
            json!({ "delete": { "id": bea, "if_match": "\"2\"" } }),
            412,
            "version_mismatch",
            "/operations/2/delete/if_match",
        ),
        (
            json!({ "update": { "id": bea, "patch": { "email": "c@example.com" } } }),
            409,
            "email_taken",
            "/operations/2/update/patch/email",
        ),
        (create("x", "D@example.com"), 400, "invalid_batch", "/operations/2/create/email"),
        (rename(1, "x"), 400, "invalid_batch", "/operations/2/update/id"),
        (json!({ "delete": { "id": 1 } }), 400, "invalid_batch", "/operations/2/delete/id"),
    ] {
        let operations = [rename(1, "Al"), create("d", "d@example.com"), bad];
        let problem = write_atomically(&app, &operations).answer().await.problem(status, code);
        assert_eq!(pointer(&problem), at, "{problem:#}");
        assert_eq!(app.everyone().await, before);
    }
    assert_eq!(events(), ["7"]);
    // Not even memory has kept any of it.
    assert_eq!(got(1).await.body(200)["name"], "a");
    assert_eq!(results(&write_atomically(&app, &[]).answer().await), [Value::Null; 0]);
}

#[rstest]
#[tokio::test]
async fn a_thousand_are_written_at_once(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(false, true)] atomic: bool,
) {
    let app = App::start(db).await;
    let creates = Vec::from_iter((0..1000).map(|n| create(&n.to_string(), &format!("{n}@example.com"))));
    let body = json!({ "operations": creates, "atomic": atomic });
    let answer = app.post(BATCH_WRITE, &body).answer().await;
    assert!(statuses(&answer).iter().all(|status| *status == 201), "{answer:?}");
    assert_eq!(results(&answer)[999]["user"]["email"], "999@example.com");
    let again = app.post(BATCH_WRITE, &body).answer().await;
    if atomic {
        assert_eq!(pointer(&again.problem(409, "email_taken")), "/operations/0/create/email");
    } else {
        assert!(statuses(&again).iter().all(|status| *status == 409), "{again:?}");
    }
    let everyone = app.everyone().await;
    let ids = Vec::from_iter(everyone.iter().map(|user| user["id"].as_i64().unwrap()));
    let operations = Vec::from_iter(ids.iter().enumerate().map(|(at, id)| match at % 2 {
        0 => json!({ "delete": { "id": id } }),
        _ => json!({ "update": { "id": id, "patch": { "name": "x", "email": format!("x{id}@example.com") } } }),
    }));
    let answer = app.post(BATCH_WRITE, &json!({ "operations": operations, "atomic": atomic })).answer().await;
    assert!(statuses(&answer).iter().all(|status| [200, 204].contains(status)), "{answer:?}");
    assert_eq!(app.everyone().await.len(), 500);
    let metrics = app.metrics().await;
    let counted = ["users_created_total", "users_updated_total", "users_deleted_total"];
    assert_eq!(counted.map(|name| metrics.value(name)), [1000.0, 500.0, 500.0]);
}

#[rstest]
#[tokio::test]
async fn a_batch_with_a_key_is_executed_once(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(false, true)] atomic: bool,
) {
    let app = App::start(db).await;
    app.create("a", "a@example.com").await;
    app.create("b", "b@example.com").await;
    let operations =
        [create("c", "c@example.com"), rename(1, "A"), json!({ "delete": { "id": 2, "if_match": "\"1\"" } })];
    let send = |operations: &[Value]| {
        app.post(BATCH_WRITE, &json!({ "operations": operations, "atomic": atomic })).header(KEY, "k")
    };
    let first = send(&operations).answer().await;
    assert_eq!((statuses(&first), first.headers.get("idempotency-replayed")), (vec![201, 200, 204], None));
    app.patch("/api/v2/users/1", &json!({ "name": "later" })).answer().await.expect(200);
    let again = send(&operations).answer().await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    let without_mark = Vec::from_iter(results(&again).into_iter().map(|mut result| {
        assert_eq!(result.as_object_mut().unwrap().remove("replayed"), Some(json!(true)));
        result
    }));
    assert_eq!(without_mark, results(&first));
    let others = [create("c", "c@example.com"), rename(1, "B"), json!({ "delete": { "id": 2, "if_match": "\"1\"" } })];
    send(&others).answer().await.problem(422, "idempotency_key_reused");
    send(&operations[..2]).answer().await.problem(422, "idempotency_key_reused");
    let otherwise = app.post(BATCH_WRITE, &json!({ "operations": operations, "atomic": !atomic })).header(KEY, "k");
    otherwise.answer().await.problem(422, "idempotency_key_reused");
    assert_eq!(everyone(&app).await, [("later".into(), 3), ("c".into(), 1)]);
    // Single writes have keys of their own.
    let single = app.post("/api/v2/users", &json!({ "name": "d", "email": "d@example.com" })).header(KEY, "k");
    single.answer().await.expect(201);
}

/// What was refused is decided anew when the batch comes again; what was executed is not.
#[rstest]
#[tokio::test]
async fn a_repeated_batch_does_what_is_left(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("a", "a@example.com").await;
    let operations = [create("b", "b@example.com"), create("x", "a@example.com")];
    let send = || write(&app, &operations).header(KEY, "k").answer();
    assert_eq!(statuses(&send().await), [201, 409]);
    app.delete("/api/v2/users/1").answer().await.empty(204);
    let again = send().await;
    assert_eq!(again.headers.get("idempotency-replayed"), None, "one was executed now");
    let replayed = Vec::from_iter(results(&again).into_iter().map(|result| result["replayed"] == true));
    assert_eq!((statuses(&again), replayed), (vec![201, 201], vec![true, false]));
    assert_eq!(send().await.header("idempotency-replayed"), "true");
}

#[rstest]
#[tokio::test]
async fn the_same_batch_at_once_is_executed_once(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(false, true)] atomic: bool,
) {
    let app = App::start(db).await;
    let other = Server::listening(app.database.program());
    other.ready().await;
    app.create("0", "0@example.com").await;
    let replicas = [&*app, &other];
    let operations = [rename(1, "x"), create("y", "y@example.com")];
    let body = json!({ "operations": operations, "atomic": atomic });
    let answers = at_once(8, async |client: usize| {
        let answer = replicas[client % 2].post(BATCH_WRITE, &body).header(KEY, "k").answer().await;
        (statuses(&answer), results(&answer).iter().map(|result| result["user"].clone()).collect::<Vec<_>>())
    })
    .await;
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
        assert_eq!(answer.0, [200, 201]);
    }
    assert_eq!(everyone(&app).await, [("x".into(), 2), ("y".into(), 1)]);
}

/// Also one that the second replica refuses because the first has executed it.
#[rstest]
#[case(vec![create("y", "y@example.com"), create("z", "z@example.com")])]
#[case(vec![json!({ "delete": { "id": 1 } }), json!({ "delete": { "id": 2 } })])]
#[case(vec![json!({ "update": { "id": 1, "if_match": "\"1\"", "patch": { "name": "x" } } })])]
#[tokio::test]
async fn the_same_atomic_batch_at_two_replicas_is_executed_once(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[case] operations: Vec<Value>,
) {
    let app = App::start(db).await;
    let other = Server::listening(app.database.program());
    other.ready().await;
    let replicas = [&*app, &other];
    for name in ["a", "b"] {
        app.create(name, &format!("{name}@example.com")).await;
    }
    let body = json!({ "operations": operations, "atomic": true });
    let answers = at_once(8, async |client: usize| {
        statuses(&replicas[client % 2].post(BATCH_WRITE, &body).header(KEY, "k").answer().await)
    })
    .await;
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
}

/// A batch with a text that a database without UTF-8 cannot store is refused, not repeated.
#[tokio::test]
async fn a_text_that_cannot_be_stored_refuses_an_atomic_batch() {
    let database = Db::latin1();
    let server = Server::listening(database.program());
    server.fails_for("encoding").await;
    let operations = [create("a", "a@example.com"), create("Łódź", "b@example.com")];
    let problem = write_atomically(&server, &operations).answer().await.problem(422, "invalid_user");
    assert_eq!(pointer(&problem), "/operations/1/create/name");
    assert_eq!(server.everyone().await, [Value::Null; 0]);
}

/// Two replicas lock the same users, in opposite orders of the requests.
#[rstest]
#[tokio::test]
async fn atomic_batches_of_two_replicas_do_not_block_each_other(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    const USERS: i64 = 20;
    let settings = [("DB_DEADLINE", "30s"), ("DB_MAX_WAIT", "30s")];
    let app = App::start_with(db, &settings).await;
    let other = Server::listening(app.database.program().envs(&settings));
    other.ready().await;
    let users = Vec::from_iter((0..USERS).map(|n| create("x", &format!("{n}@example.com"))));
    write_atomically(&app, &users).answer().await.body(200);
    let ids = Vec::from_iter(app.everyone().await.iter().map(|user| user["id"].as_i64().unwrap()));
    let replicas = [&*app, &other];
    at_once(8, async |client: usize| {
        for turn in 0..5 {
            let mut operations = Vec::from_iter(ids.iter().map(|id| rename(*id, &format!("{client} {turn}"))));
            if client % 4 < 2 {
                operations.reverse();
            }
            let answer = write_atomically(replicas[client % 2], &operations).answer().await;
            assert!(statuses(&answer).iter().all(|status| *status == 200), "{answer:?}");
        }
    })
    .await;
    let everyone = everyone(&app).await;
    assert!(everyone.iter().all(|user| user == &everyone[0] && user.1 == 41), "{everyone:?}");
}

/// While a user is locked, only batches that are about it wait.
#[tokio::test]
async fn an_atomic_batch_waits_for_a_locked_user() {
    let app = App::start(Db::Postgres).await;
    app.create("a", "a@example.com").await;
    app.create("b", "b@example.com").await;
    let mut operator = app.database.connect();
    operator.run("BEGIN");
    operator.run("UPDATE users SET name = 'locked' WHERE id = 1");
    let blocked = write_atomically(&app, &[rename(1, "x"), json!({ "delete": { "id": 2 } })]).answer().await;
    blocked.problem(503, "unavailable");
    write_atomically(&app, &[rename(2, "free")]).answer().await.body(200);
    let waiting = tokio::spawn(write_atomically(&app, &[rename(1, "x"), json!({ "delete": { "id": 2 } })]).answer());
    let is_set_aside = async || app.metrics().await.value("db_messages_set_aside{lane=\"atomic\"}") == 1.0;
    until("it is set aside", Duration::from_secs(2), is_set_aside).await;
    operator.run("COMMIT");
    waiting.await.unwrap().body(200);
    assert_eq!(everyone(&app).await, [("x".into(), 2)]);
}

#[tokio::test]
async fn what_is_malformed_is_named_and_nothing_is_executed() {
    let app = App::start(Db::Sqlite).await;
    let good = create("a", "a@example.com");
    let thousand = Vec::from_iter((0..1001).map(|n| create("x", &format!("{n}@example.com"))));
    for (body, pointer) in [
        (json!({ "operations": thousand }), "/operations"),
        (json!({ "operations": [good, { "create": { "name": "x" } }] }), "/operations/1/create"),
        (json!({ "operations": [good, { "create": { "name": 1, "email": "x" } }] }), "/operations/1/create/name"),
        (json!({ "operations": [good, { "create": ["x", "x@example.com"] }] }), "/operations/1/create"),
        (
            json!({ "operations": [good, { "create": { "name": "x", "email": "x", "id": 1 } }] }),
            "/operations/1/create/id",
        ),
        (json!({ "operations": [good, { "upsert": {} }] }), "/operations/1"),
        (json!({ "operations": [good, { "update": { "id": 1 } }] }), "/operations/1/update"),
        (json!({ "operations": [good, { "update": { "id": 0, "patch": {} } }] }), "/operations/1/update/id"),
        (
            json!({ "operations": [good, { "update": { "id": 1, "patch": { "name": null } } }] }),
            "/operations/1/update/patch/name",
        ),
        (
            json!({ "operations": [good, { "update": { "id": 1, "if_match": "1", "patch": {} } }] }),
            "/operations/1/update/if_match",
        ),
        (
            json!({ "operations": [good, { "delete": { "id": 1, "if_match": "\"1\", \"2\"" } }] }),
            "/operations/1/delete/if_match",
        ),
        (json!({ "operations": [good, { "delete": { "id": "1" } }] }), "/operations/1/delete/id"),
        (json!({ "operations": [good, "create"] }), "/operations/1"),
        (json!({ "operations": [good], "atomic": 1 }), "/atomic"),
        (json!({ "operations": [good], "dry_run": true }), "/dry_run"),
        (json!({ "operations": {} }), "/operations"),
        (json!({}), ""),
        (json!([[good], false]), ""),
    ] {
        let problem = app.post(BATCH_WRITE, &body).answer().await.problem(400, "invalid_batch");
        assert!(self::pointer(&problem).starts_with(pointer), "{pointer}: {problem:#}");
    }
    write(&app, &[good]).header(KEY, "a b").answer().await.problem(400, "invalid_header");
    let two_in_one = json!({ "create": { "name": "x", "email": "x@example.com" }, "delete": { "id": 1 } });
    write(&app, &[two_in_one]).answer().await.problem(400, "malformed_body");
    assert_eq!(app.everyone().await, [Value::Null; 0]);
    let token = token(&claims("users:read"));
    let reader =
        app.anonymous(reqwest::Method::POST, BATCH_WRITE).bearer_auth(token).json(&json!({ "operations": [] }));
    reader.answer().await.problem(403, "insufficient_scope");
}

/// A batch of one caller leaves others their room, although the mailbox holds less than the batch.
#[rstest]
#[tokio::test]
async fn a_batch_does_not_refuse_others(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &[("DB_MAILBOX", "64"), ("DB_MAX_BATCH", "8")]).await;
    app.create("john", "john@example.com").await;
    let batch = |round: usize| {
        let name = move |n: usize| create("x", &format!("{round}.{n}@example.com"));
        let operations = Vec::from_iter((0..500).map(name));
        write(&app, &operations)
    };
    let (batches, singles) = tokio::join!(
        at_once(4, async |round: usize| statuses(&batch(round).answer().await)),
        at_once(8, async |_| {
            for _ in 0..50 {
                app.patch("/api/v2/users/1", &json!({ "name": "j" })).answer().await.body(200);
            }
        })
    );
    assert!(batches.iter().flatten().all(|status| *status == 201), "{batches:?}");
    assert_eq!(singles.len(), 8);
    assert_eq!(app.everyone().await.len(), 2001);
}

/// There is room for 8 batches of one caller at once, and none of a body is read before there is room.
#[tokio::test]
async fn batches_beyond_their_room_are_refused_at_once() {
    let app = App::start_with(Db::Sqlite, &[("BODY_TIMEOUT", "1m")]).await;
    let unfinished = Vec::from_iter((0..8).map(|_| Raw::begin_post(app.address(), BATCH_WRITE, 100)));
    let is_refused = async || write(&app, &[]).answer().await.status == 503;
    until("the room of this caller is taken", Duration::from_secs(5), is_refused).await;
    write(&app, &[]).answer().await.problem(503, "overloaded");
    let mut other = claims("users:read users:write");
    other["sub"] = json!("somebody else");
    let as_other = app.anonymous(reqwest::Method::POST, BATCH_WRITE).bearer_auth(token(&other));
    as_other.json(&json!({ "operations": [] })).answer().await.body(200);
    app.get("/api/v2/users").answer().await.body(200);
    drop(unfinished);
    let is_free = async || write(&app, &[]).answer().await.status == 200;
    until("the room is free", Duration::from_secs(5), is_free).await;
}
