//! External ids, statuses and attributes.

use reqwest::header::IF_MATCH;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answered, App, Db, at_once, seeded};

const USERS: &str = "/api/v2/users";
const JOHN: &str = "/api/v2/users/1";

fn john() -> Value {
    json!({
        "name": "John", "email": "john@example.com", "external_id": "hr-1", "status": "disabled",
        "attributes": { "team": "7", "address": { "city": "Paris", "zip": null }, "admin": false },
    })
}

async fn with_john(db: Db) -> App {
    let app = App::start(db).await;
    app.post(USERS, &john()).answer().await.body(201);
    app
}

fn profile(user: &Value) -> [&Value; 3] {
    ["external_id", "status", "attributes"].map(|field| &user[field])
}

#[rstest]
#[tokio::test]
async fn every_answer_has_them(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let given = john();
    let alone = app.get(JOHN).answer().await.body(200);
    assert_eq!(profile(&alone), profile(&given));
    // Once more, from memory.
    assert_eq!(app.get(JOHN).answer().await.body(200), alone);
    for query in ["", "?email=JOHN@example.com", "?name_prefix=jo", "?external_id=hr-1", "?status=disabled"] {
        let list = app.get(&format!("{USERS}{query}")).answer().await.body(200);
        assert_eq!(list["users"], json!([alone]), "{query}");
    }
    let batch = app.post("/api/v2/users:batchGet", &json!({ "ids": [1] })).answer().await.body(200);
    assert_eq!(batch["users"], json!([alone]));
    assert_eq!(
        app.get("/api/v1/users/1").answer().await.body(200),
        json!({ "id": 1, "name": "John", "email": "john@example.com" })
    );
}

#[rstest]
#[tokio::test]
async fn a_user_has_none_by_default(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let nulls = json!({ "name": "A", "email": "a@b.co", "external_id": null, "attributes": null });
    let empty = json!({ "name": "A", "email": "b@b.co", "status": "active", "attributes": {} });
    for body in [json!({ "name": "A", "email": "c@b.co" }), nulls, empty] {
        let user = app.post(USERS, &body).answer().await.body(201);
        let fields = Vec::from_iter(user.as_object().unwrap().keys().map(String::as_str));
        assert_eq!(fields, ["created_at", "email", "id", "name", "updated_at", "version"]);
    }
}

#[rstest]
#[tokio::test]
async fn numbers_keep_their_digits(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let attributes = r#"{ "z":[ 1.10, -0, 12345678901234567890.5e+07 ] , "a": "\u00e9\/" }"#;
    let body = format!(r#"{{"name":"A","email":"a@b.co","attributes":{attributes}}}"#);
    let created = app.post(USERS, &json!({})).body(body).answer().await;
    let canonical = r#""attributes":{"a":"é/","z":[1.10,-0,12345678901234567890.5e7]}"#;
    assert!(created.expect(201).text.contains(canonical), "{created:?}");
    for path in [JOHN, "/api/v2/users", "/api/v2/users?email=a@b.co"] {
        assert!(app.get(path).answer().await.text.contains(canonical), "{path}");
    }
    let patched = app.patch(JOHN, &json!({ "attributes": { "a": null, "b": {} } })).answer().await;
    assert!(patched.expect(200).text.contains(r#""attributes":{"b":{},"z":[1.10,-0,12345678901234567890.5e7]}"#));
}

#[rstest]
#[tokio::test]
async fn a_patch_merges(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let steps = [
        (json!({}), json!({ "team": "7", "address": { "city": "Paris", "zip": null }, "admin": false })),
        (
            json!({ "attributes": { "team": null, "address": { "city": "Rome", "street": 1 }, "admin": [null] } }),
            json!({ "address": { "city": "Rome", "street": 1, "zip": null }, "admin": [null] }),
        ),
        (json!({ "name": "Jo" }), json!({ "address": { "city": "Rome", "street": 1, "zip": null }, "admin": [null] })),
        (json!({ "attributes": { "address": null } }), json!({ "admin": [null] })),
        (json!({ "attributes": { "admin": null } }), Value::Null),
        (json!({ "attributes": { "x": { "y": null, "z": 1 } } }), json!({ "x": { "z": 1 } })),
        (json!({ "attributes": null }), Value::Null),
    ];
    for (patch, expected) in steps {
        let user = app.patch(JOHN, &patch).answer().await.body(200);
        assert_eq!(profile(&user), [&json!("hr-1"), &json!("disabled"), &expected], "{patch}");
        assert_eq!(app.get(JOHN).answer().await.body(200), user);
    }
    let user = app.patch(JOHN, &json!({ "external_id": null, "status": "active" })).answer().await.body(200);
    assert_eq!(profile(&user), [&Value::Null; 3]);
}

#[rstest]
#[tokio::test]
async fn a_put_replaces_what_it_has(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let before = app.get(JOHN).answer().await.body(200);
    let with = |more: Value| {
        let mut body = json!({ "name": "John", "email": "john@example.com" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    // A client that does not know the fields keeps them, in version 1 too.
    for path in [JOHN, "/api/v1/users/1"] {
        app.put(path, &with(json!({}))).answer().await.body(200);
        assert_eq!(profile(&app.get(JOHN).answer().await.body(200)), profile(&before), "{path}");
    }
    let user =
        app.put(JOHN, &with(json!({ "attributes": { "team": "8" }, "external_id": "hr-2" }))).answer().await.body(200);
    assert_eq!(profile(&user), [&json!("hr-2"), &json!("disabled"), &json!({ "team": "8" })]);
    let nothing = json!({ "attributes": null, "external_id": null, "status": "active" });
    let user = app.put(JOHN, &with(nothing)).answer().await.body(200);
    assert_eq!(profile(&user), [&Value::Null; 3]);
}

#[rstest]
#[tokio::test]
async fn an_external_id_is_unique(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let create = |email: &str, external_id: &str| {
        app.post(USERS, &json!({ "name": "A", "email": email, "external_id": external_id }))
    };
    let other = create("other@b.co", "HR-1").answer().await.body(201);
    let other = format!("{USERS}/{}", other["id"]);
    let pointer = json!([{ "pointer": "/external_id", "detail": "another user has this external id" }]);
    let before = app.everyone().await;
    let patch = app.patch(&other, &json!({ "external_id": "hr-1" }));
    let put = app.put(&other, &json!({ "name": "B", "email": "other@b.co", "external_id": "hr-1" }));
    for request in [create("a@b.co", "hr-1"), patch, put] {
        assert_eq!(request.answer().await.problem(409, "external_id_taken")["errors"], pointer);
    }
    // Of a user whose email is taken, too, the email is named.
    create("john@example.com", "hr-1").answer().await.problem(409, "email_taken");
    app.patch(&other, &json!({ "email": "john@example.com", "external_id": "x" }))
        .answer()
        .await
        .problem(409, "email_taken");
    app.patch(&other, &json!({ "external_id": "hr-1" }))
        .header(IF_MATCH, "\"9\"")
        .answer()
        .await
        .problem(412, "version_mismatch");
    assert_eq!(app.everyone().await, before);
    // A user may keep its own, and one that was given up is free.
    app.patch(JOHN, &json!({ "external_id": "hr-1" })).answer().await.body(200);
    app.patch(JOHN, &json!({ "external_id": "hr-3" })).answer().await.body(200);
    create("a@b.co", "hr-1").answer().await.body(201);
    app.delete(&other).answer().await.expect(204);
    create("b@b.co", "HR-1").answer().await.body(201);
    let found =
        async |id: &str| app.get(&format!("{USERS}?external_id={id}")).answer().await.body(200)["users"].clone();
    assert_eq!(found("hr-3").await[0]["id"], 1);
    assert_eq!(found("Hr-1").await, json!([]));
    assert_eq!(found("hr-3&status=active").await, json!([]));
    assert_eq!(found("hr-3&status=disabled&name_prefix=J&email=john@example.com").await[0]["id"], 1);
}

/// Of those who ask for one external id at once, one gets it.
#[rstest]
#[tokio::test]
async fn one_gets_an_external_id(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for round in 0..5 {
        let answers = at_once(32, async |client: usize| {
            let email = format!("u{round}.{client}@example.com");
            let body = json!({ "name": "A", "email": email, "external_id": format!("x{round}") });
            app.post(USERS, &body).answer().await
        });
        let (mut created, answers) = (0, answers.await);
        for answer in answers {
            match answer.status {
                201 => created += 1,
                _ => drop(answer.problem(409, "external_id_taken")),
            }
        }
        assert_eq!(created, 1);
    }
}

/// Merges of one user's attributes wait for each other: none is lost.
#[rstest]
#[tokio::test]
async fn merges_at_once_are_all_made(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let merge = async |client: usize| {
        let attributes = json!({ format!("m{client}"): client, "team": null });
        app.patch(JOHN, &json!({ "attributes": attributes })).answer().await.body(200)
    };
    let answers = at_once(32, merge).await;
    let user = app.get(JOHN).answer().await.body(200);
    assert_eq!(user["version"], 33);
    let attributes = user["attributes"].as_object().unwrap();
    assert!((0..32).all(|client| attributes[&format!("m{client}")] == client), "{user}");
    assert_eq!(attributes.len(), 34);
    assert!(answers.contains(&user));
}

#[rstest]
#[tokio::test]
async fn what_is_wrong_is_pointed_at(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let before = app.everyone().await;
    let long = "x".repeat(8200);
    let many = Value::Object((0..65).map(|n| (format!("m{n}"), json!(n))).collect());
    let cases = [
        (json!({ "external_id": "" }), "/external_id"),
        (json!({ "external_id": "x".repeat(256) }), "/external_id"),
        (json!({ "external_id": "a\nb" }), "/external_id"),
        (json!({ "external_id": 7 }), "/external_id"),
        (json!({ "status": "Active" }), "/status"),
        (json!({ "status": null }), "/status"),
        (json!({ "attributes": [] }), "/attributes"),
        (json!({ "attributes": "{}" }), "/attributes"),
        (json!({ "attributes": { "a": long } }), "/attributes"),
        (json!({ "attributes": many }), "/attributes"),
        (json!({ "attributes": { "a": { "b": "\0" } } }), "/attributes/a/b"),
        (json!({ "attributes": { "a/b": [0, { "c": { "d": {} } }] } }), "/attributes/a~1b/1/c/d"),
        (json!({ "attributes": {}, "extra": 1 }), "/extra"),
    ];
    for (fields, pointer) in cases {
        let mut body = json!({ "name": "A", "email": "a@b.co" });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        for request in [app.post(USERS, &body), app.put(JOHN, &body), app.patch(JOHN, &fields)] {
            assert_eq!(request.answer().await.invalid_fields(), [pointer], "{fields}");
        }
    }
    for (attributes, pointer) in [
        (r#"{"a":1e400}"#, "/attributes/a"),
        (r#"{"a":{"b":1,"b":1}}"#, "/attributes/a/b"),
        (r#"{"a":"\ud800"}"#, "/attributes/a"),
    ] {
        let body = format!(r#"{{"attributes":{attributes}}}"#);
        assert_eq!(app.patch(JOHN, &json!({})).body(body).answer().await.invalid_fields(), [pointer], "{attributes}");
    }
    let all = json!({ "name": "", "email": "", "external_id": "", "status": "", "attributes": 1 });
    let fields = ["/attributes", "/email", "/external_id", "/name", "/status"];
    assert_eq!(app.post(USERS, &all).answer().await.invalid_fields(), fields);
    for path in ["/api/v1/users", "/api/v1/users/1"] {
        let body = json!({ "name": "A", "email": "a@b.co", "status": "active" });
        let request = if path.ends_with('1') { app.put(path, &body) } else { app.post(path, &body) };
        request.answer().await.error(400);
    }
    for query in ["external_id=", "external_id=a%00", "status=", "status=gone"] {
        app.get(&format!("{USERS}?{query}")).answer().await.problem(400, "invalid_query");
    }
    assert_eq!(app.everyone().await, before);
}

/// A merge that would leave too much is refused, and changes nothing.
#[rstest]
#[tokio::test]
async fn what_a_merge_would_leave_is_bounded(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let half = "x".repeat(5000);
    let body = json!({ "name": "A", "email": "a@b.co", "attributes": { "a": half } });
    app.post(USERS, &body).answer().await.body(201);
    let before = app.everyone().await;
    let too_much = json!({ "name": "B", "attributes": { "b": half } });
    assert_eq!(app.patch(JOHN, &too_much).answer().await.invalid_fields(), ["/attributes"]);
    app.patch(JOHN, &too_much).header(IF_MATCH, "\"2\"").answer().await.problem(412, "version_mismatch");
    app.patch("/api/v2/users/2", &too_much).answer().await.problem(404, "user_not_found");
    assert_eq!(app.everyone().await, before);
    let moved = app.patch(JOHN, &json!({ "attributes": { "a": null, "b": half } })).answer().await.body(200);
    assert_eq!(moved["attributes"], json!({ "b": half }));
}

/// A filter by status has the same users as the list without it, however it is cut into pages.
#[rstest]
#[tokio::test]
async fn pages_with_a_status_are_complete(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    for n in 0..250 {
        let status = if n % 7 == 3 || (100..140).contains(&n) { "disabled" } else { "active" };
        let body =
            json!({ "name": format!("{}{n}", ["A", "b"][n % 2]), "email": format!("u{n}@b.co"), "status": status });
        app.post(USERS, &body).answer().await.body(201);
    }
    for (status, prefix) in
        [("active", ""), ("disabled", ""), ("active", "&name_prefix=a"), ("disabled", "&name_prefix=B")]
    {
        let everyone = pages(&app, &format!("page_size=100{prefix}")).await;
        let expected =
            Vec::from_iter(everyone.into_iter().filter(|user| user["status"].as_str().unwrap_or("active") == status));
        assert!(expected.len() > 20);
        for size in [1, 7, 30, 100] {
            let found = pages(&app, &format!("page_size={size}&status={status}{prefix}")).await;
            assert!(found == expected, "{status} {prefix} {size}");
        }
        let counted = app.get(&format!("{USERS}?include_total=true&status={status}{prefix}")).answer().await.body(200);
        assert_eq!(counted["total"], expected.len());
    }
    // A token belongs to its status.
    let page = app.get(&format!("{USERS}?page_size=1&status=active")).answer().await.body(200);
    let token = page["next_page_token"].as_str().unwrap();
    for other in ["", "&status=disabled"] {
        app.get(&format!("{USERS}?page_token={token}{other}")).answer().await.problem(400, "invalid_page_token");
    }
}

/// A page looks at a bounded number of users. It may be empty, and not be the last.
#[rstest]
#[tokio::test]
async fn a_page_is_bounded_by_what_it_looks_at(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, 2_500, &[]).await;
    app.database.connect().run("UPDATE users SET status = 1 WHERE id <= 2300");
    for order in ["id", "-id", "name"] {
        let query = format!("status=active&page_size=100&order_by={order}");
        let mut found = pages(&app, &query).await;
        found.sort_by_key(|user| user["id"].as_i64());
        assert!(found.iter().map(|user| user["id"].as_i64().unwrap()).eq(2301..=2500), "{order}");
    }
    let first = app.get(&format!("{USERS}?status=active")).answer().await.body(200);
    assert_eq!(first["users"], json!([]));
    assert!(first["next_page_token"].is_string());
    let export = app.get("/api/v2/users:export?status=active").answer().await.expect(200).text.clone();
    assert_eq!(export.lines().count(), 201);
}

/// The users of all pages.
async fn pages(app: &App, query: &str) -> Vec<Value> {
    let (mut users, mut next) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{USERS}?{query}{next}")).answer().await.body(200);
        users.extend(page["users"].as_array().unwrap().clone());
        let Some(token) = page["next_page_token"].as_str() else { return users };
        next = format!("&page_token={token}");
    }
}

#[rstest]
#[tokio::test]
async fn batches_have_them(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_john(db).await;
    let write = |operations: Value, atomic: bool| {
        app.post("/api/v2/users:batchWrite", &json!({ "operations": operations, "atomic": atomic }))
    };
    let create = |email: &str, external_id: &str| json!({ "create": { "name": "A", "email": email, "external_id": external_id, "attributes": { "n": 1.5 } } });
    let patch = |patch: Value| json!({ "update": { "id": 1, "patch": patch } });
    let merges = Vec::from_iter((0..20).map(|n| patch(json!({ "attributes": { format!("m{n}"): n } }))));
    let answer = write(json!(merges), false).answer().await.body(200);
    assert!(answer["results"].as_array().unwrap().iter().all(|result| result["status"] == 200), "{answer}");
    assert_eq!(app.get(JOHN).answer().await.body(200)["attributes"].as_object().unwrap().len(), 23);

    let operations =
        json!([create("a@b.co", "a"), create("b@b.co", "hr-1"), patch(json!({ "attributes": { "x": "\0" } }))]);
    let answer = write(operations.clone(), false).answer().await.body(200);
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results[0]["user"]["external_id"], "a");
    let pointers = results[1..].iter().map(|result| result["problem"]["errors"][0]["pointer"].as_str().unwrap());
    let expected = ["/operations/1/create/external_id", "/operations/2/update/patch/attributes/x"];
    assert_eq!(Vec::from_iter(pointers), expected);

    let before = app.everyone().await;
    let clash = json!([create("c@b.co", "c"), patch(json!({ "external_id": "a", "attributes": { "y": 1 } }))]);
    let problem = write(clash, true).answer().await.problem(409, "external_id_taken");
    assert_eq!(problem["errors"][0]["pointer"], "/operations/1/update/patch/external_id");
    let twice = json!([create("c@b.co", "c"), create("d@b.co", "c")]);
    let problem = write(twice, true).answer().await.problem(400, "invalid_batch");
    assert_eq!(problem["errors"][0]["pointer"], "/operations/1/create/external_id");
    assert_eq!(app.everyone().await, before);
    let moved = json!([create("c@b.co", "c"), patch(json!({ "external_id": "d", "attributes": null }))]);
    let answer = write(moved, true).answer().await.body(200);
    let john = &answer["results"][1]["user"];
    assert_eq!(profile(john), [&json!("d"), &json!("disabled"), &Value::Null]);
    assert_eq!(app.get(JOHN).answer().await.body(200), *john);
}

#[rstest]
#[tokio::test]
async fn a_repeated_write_answers_with_what_was_stored(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let create = || app.post(USERS, &john()).header("idempotency-key", "a");
    let created = create().answer().await.body(201);
    let patch = |team: &str| {
        let body = json!({ "attributes": { "team": team, "admin": null } });
        app.patch(JOHN, &body).header("idempotency-key", "b")
    };
    let patched = patch("8").answer().await.body(200);
    app.patch(JOHN, &json!({ "attributes": null, "external_id": null })).answer().await.body(200);
    assert_eq!(create().answer().await.body(201), created);
    let replayed = patch("8").answer().await;
    assert_eq!((replayed.body(200), replayed.header("idempotency-replayed")), (patched, "true"));
    patch("9").answer().await.problem(422, "idempotency_key_reused");
    app.delete(JOHN).answer().await.expect(204);
    assert_eq!(create().answer().await.body(201), created);
}
