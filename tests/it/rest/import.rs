//! Imports of users from files.

use std::time::Duration;

use reqwest::{Body, Method, RequestBuilder};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answered, App, Db, EXPORT, Raw, Server, TOKEN, claims, seeded, token, until};

pub const NDJSON: &str = "application/x-ndjson";
pub const CSV: &str = "text/csv";
const SOON: Duration = Duration::from_secs(15);

pub fn put(server: &Server, path: &str, media_type: &str, body: impl Into<Body>) -> RequestBuilder {
    server.request(Method::PUT, path).header("content-type", media_type).body(body)
}

fn import(server: &Server, query: &str, body: impl Into<Body>) -> RequestBuilder {
    put(server, &format!("/api/v2/imports/a{query}"), NDJSON, body)
}

/// A file of so many users, from this number on.
pub fn lines(numbers: std::ops::Range<usize>) -> String {
    let line = |n| format!("{{\"name\":\"User {n}\",\"email\":\"user{n}@example.com\"}}\n");
    Vec::from_iter(numbers.map(line)).concat()
}

pub fn counts(import: &Value) -> [i64; 5] {
    ["records", "created", "updated", "skipped", "failed"].map(|name| import[name].as_i64().unwrap())
}

/// Name, email and version of everyone, in the order of the emails: PostgreSQL creates the users of a chunk in this order.
pub async fn everyone(server: &Server) -> Vec<(String, String, i64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |user: &Value| (text(&user["name"]), text(&user["email"]), user["version"].as_i64().unwrap());
    let mut everyone = Vec::from_iter(server.everyone().await.iter().map(of));
    everyone.sort_by_key(|(_, email, _)| email.to_lowercase());
    everyone
}

fn user(name: &str, email: &str, version: i64) -> (String, String, i64) {
    (name.to_owned(), email.to_owned(), version)
}

/// What the events say of each user: one for each version.
pub fn events(app: &App) -> Vec<String> {
    app.database.connect().facts("SELECT CAST(count(*) AS TEXT) AS fact FROM events WHERE kind IN (1, 2)")
}

#[rstest]
#[tokio::test]
async fn a_file_becomes_users(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let stored = import(&app, "", lines(0..1234)).answer().await.body(200);
    assert_eq!(counts(&stored), [1234, 1234, 0, 0, 0]);
    assert_eq!(
        (&stored["id"], &stored["state"], &stored["next_line"]),
        (&json!("a"), &json!("completed"), &json!(1235))
    );
    assert_eq!((&stored["on_conflict"], &stored["failures"]), (&json!("fail"), &json!([])));
    let everyone = everyone(&app).await;
    let mut expected =
        Vec::from_iter((0..1234).map(|n| user(&format!("User {n}"), &format!("user{n}@example.com"), 1)));
    expected.sort_by(|(_, one, _), (_, other, _)| one.cmp(other));
    assert!(everyone == expected);
    assert_eq!(events(&app), ["1234"]);
    assert_eq!(app.get("/api/v2/imports/a").answer().await.body(200), stored);
    let metrics = app.metrics().await;
    assert_eq!(metrics.value("import_records_total{outcome=\"created\"}"), 1234.0);
    assert_eq!((metrics.value("users_created_total"), metrics.value("imports_running")), (1234.0, 0.0));
    // Again, it changes nothing.
    assert_eq!(import(&app, "", lines(0..1234)).answer().await.body(200), stored);
    assert_eq!(events(&app), ["1234"]);
}

#[rstest]
#[tokio::test]
async fn a_table_becomes_users(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let table = "\u{feff}email,name\r\nada@example.com,\"Lovelace, Ada\"\r\n\r\ngrace@example.com,\"'=Grace \"\"H\"\"\"\r\nnobody,Bob";
    let stored = put(&app, "/api/v2/imports/t", CSV, table).answer().await.body(200);
    assert_eq!(counts(&stored), [3, 2, 0, 0, 1]);
    let failure =
        json!({ "line": 5, "code": "invalid_user", "pointer": "/email", "detail": "must be a valid email address" });
    assert_eq!(stored["failures"], json!([failure]));
    let expected = [user("Lovelace, Ada", "ada@example.com", 1), user("=Grace \"H\"", "grace@example.com", 1)];
    assert_eq!(everyone(&app).await, expected);
}

#[rstest]
#[tokio::test]
async fn a_conflict_fails_is_skipped_or_updates(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("Ada", "ada@example.com").await;
    app.create("Bob", "bob@example.com").await;
    let file = "{\"name\":\"A\",\"email\":\"ADA@example.com\"}\n\
        {\"name\":\"Bob\",\"email\":\"bob@example.com\"}\n\
        {\"name\":\"Cora\",\"email\":\"cora@example.com\"}\n\
        {\"name\":\"C\",\"email\":\"cora@example.com\"}\n\
        {\"name\":\"Cora\",\"email\":\"cora@example.com\"}\n";
    let stored = put(&app, "/api/v2/imports/fail", NDJSON, file).answer().await.body(200);
    assert_eq!(counts(&stored), [5, 1, 0, 0, 4]);
    let taken = |line: i64| json!({ "line": line, "code": "email_taken", "pointer": "/email", "detail": "another user has this email" });
    assert_eq!(stored["failures"], json!([taken(1), taken(2), taken(4), taken(5)]));
    let stored = put(&app, "/api/v2/imports/skip?on_conflict=skip", NDJSON, file).answer().await.body(200);
    assert_eq!(counts(&stored), [5, 0, 0, 5, 0]);
    let before =
        [user("Ada", "ada@example.com", 1), user("Bob", "bob@example.com", 1), user("Cora", "cora@example.com", 1)];
    assert_eq!(everyone(&app).await, before);
    let stored = put(&app, "/api/v2/imports/update?on_conflict=update", NDJSON, file).answer().await.body(200);
    assert_eq!(counts(&stored), [5, 0, 3, 2, 0], "{stored:#}");
    let after =
        [user("A", "ADA@example.com", 2), user("Bob", "bob@example.com", 1), user("Cora", "cora@example.com", 3)];
    assert_eq!(everyone(&app).await, after);
    assert_eq!(app.get("/api/v2/users/1").answer().await.body(200)["name"], "A", "also in memory");
    assert_eq!(events(&app), ["6"]);
}

/// Addresses that earlier releases took for the same are those of two people.
#[rstest]
#[tokio::test]
async fn nobody_is_updated_for_somebody_else(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values("skip", "update")] on_conflict: &str,
) {
    let app = App::start(db).await;
    app.create("Anna", "straße@example.com").await;
    let file =
        "{\"name\":\"Otto\",\"email\":\"strasse@example.com\"}\n{\"name\":\"Anna\",\"email\":\"STRAßE@example.com\"}\n";
    let stored = import(&app, &format!("?on_conflict={on_conflict}"), file).answer().await.body(200);
    assert_eq!((counts(&stored)[4], &stored["failures"][0]["code"]), (1, &json!("email_taken")), "{stored:#}");
    assert_eq!(app.get("/api/v2/users/1").answer().await.body(200)["name"], "Anna");
}

/// What a database without UTF-8 cannot store has failed; the rest is stored.
#[tokio::test]
async fn a_text_that_cannot_be_stored_stops_nothing() {
    let database = Db::latin1();
    let server = Server::listening(database.program());
    server.fails_for("encoding").await;
    let file = lines(0..3) + "{\"name\":\"Łódź\",\"email\":\"lodz@example.com\"}\n" + &lines(3..5);
    let stored = import(&server, "", file).answer().await.body(200);
    assert_eq!(counts(&stored), [6, 5, 0, 0, 1]);
    let failure = &stored["failures"][0];
    assert_eq!(
        (&failure["line"], &failure["code"], &failure["pointer"]),
        (&json!(4), &json!("invalid_user"), &json!("/name"))
    );
}

/// A cut export is not taken for a whole one, however often the rest of it is sent.
#[tokio::test]
async fn an_export_needs_its_end() {
    let app = seeded(Db::Sqlite, 3, &[]).await;
    let export = app.get(EXPORT).answer().await.text;
    let other = App::start(Db::Sqlite).await;
    let end = export.rfind("{\"end\"").unwrap();
    import(&other, "", export[..end].to_owned()).answer().await.problem(422, "invalid_file");
    import(&other, "?from_line=4", "").answer().await.problem(422, "invalid_file");
    let stored = import(&other, "?from_line=4", export[end..].to_owned()).answer().await.body(200);
    assert_eq!((counts(&stored), &stored["state"]), ([3, 3, 0, 0, 0], &json!("completed")));
    assert_eq!(import(&other, "", export).answer().await.body(200), stored);
}

#[tokio::test]
async fn columns_in_another_order_are_another_file() {
    let app = App::start(Db::Sqlite).await;
    let put = |file: &'static str| put(&app, "/api/v2/imports/t", CSV, file);
    put("name,email\na@example.com,b@example.com\n").answer().await.body(200);
    put("email,name\na@example.com,b@example.com\n").answer().await.problem(409, "import_conflict");
    put("name,email\r\na@example.com,b@example.com").answer().await.body(200);
}

#[rstest]
#[tokio::test]
async fn an_export_goes_in_again(#[values(Db::Sqlite, Db::Postgres)] db: Db, #[values(NDJSON, CSV)] media_type: &str) {
    let app = seeded(db, 1500, &[]).await;
    app.create("=1+1", "'quoted'@example.com").await;
    app.create("Zoë, \"Z\"", "zoë@exämple.com").await;
    let export = app.get(EXPORT).header("accept", media_type).answer().await;
    let other = App::start(db).await;
    let stored = put(&other, "/api/v2/imports/copy", media_type, export.text.clone()).answer().await.body(200);
    assert_eq!(counts(&stored), [1502, 1502, 0, 0, 0]);
    assert!(everyone(&other).await == everyone(&app).await);
    // A cut one is not taken for a whole one.
    let cut = export.text.lines().take(700).collect::<Vec<_>>().join("\n");
    let third = App::start(db).await;
    let cut = put(&third, "/api/v2/imports/cut", media_type, cut).answer().await;
    assert!(cut.problem(422, "invalid_file")["detail"].as_str().unwrap().contains("cut_short"), "{cut:?}");
}

/// Sends the beginning of a file, and hangs up when so many records are stored.
async fn cut_after(app: &App, file: &str, stored: i64) -> i64 {
    let path = "/api/v2/imports/a";
    let mut raw = Raw::connect(app.address());
    let length = file.len() + 10;
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: {NDJSON}\r\nContent-Length: {length}\r\n\r\n",
        *TOKEN
    );
    raw.write(&head);
    raw.write(file);
    let mut next_line = 0;
    until("records are stored", SOON, async || {
        let answer = app.get(path).answer().await;
        next_line = if answer.status == 200 { answer.body(200)["next_line"].as_i64().unwrap() } else { 0 };
        next_line > stored
    })
    .await;
    drop(raw);
    let state = async || app.get(path).answer().await.body(200)["state"] == "interrupted";
    until("the upload is over", SOON, state).await;
    app.get(path).answer().await.body(200)["next_line"].as_i64().unwrap()
}

#[rstest]
#[tokio::test]
async fn a_cut_import_goes_on_where_it_was(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(false, true)] from_line: bool,
) {
    const MANY: usize = 3000;
    let app = App::start(db).await;
    let file = lines(0..MANY);
    let next_line = cut_after(&app, &lines(0..MANY / 2), 500).await;
    let (done, all) = (usize::try_from(next_line).unwrap() - 1, lines(0..MANY));
    assert_eq!(everyone(&app).await.len(), done, "what is stored is a beginning of the file");
    let stored = if from_line {
        import(&app, &format!("?from_line={next_line}"), lines(done..MANY)).answer().await
    } else {
        import(&app, "", all).answer().await
    };
    assert_eq!(counts(&stored.body(200)), [3000, 3000, 0, 0, 0]);
    assert_eq!(everyone(&app).await.len(), MANY);
    assert_eq!(events(&app), ["3000"]);
    assert_eq!(import(&app, "", file).answer().await.body(200), stored.body(200), "whole again");
}

#[tokio::test]
async fn a_table_goes_on_behind_its_header() {
    let app = App::start(Db::Sqlite).await;
    let table = |numbers: std::ops::Range<usize>| {
        let rows = numbers.map(|n| format!("User {n},user{n}@example.com\n"));
        ["name,email\n".to_owned()].into_iter().chain(rows).collect::<String>()
    };
    // An error of the whole file interrupts it.
    let broken = format!("{}end,2,\n", table(0..3)).replace("name,email", "name,email,id");
    put(&app, "/api/v2/imports/t", CSV, broken).answer().await.expect(200);
    let cut = format!("id,{}", table(0..2)).replace("User", "1,User") + "end,7,\n";
    put(&app, "/api/v2/imports/u", CSV, cut).answer().await.problem(422, "invalid_file");
    let stored = app.get("/api/v2/imports/u").answer().await.body(200);
    assert_eq!((&stored["state"], &stored["next_line"]), (&json!("interrupted"), &json!(4)));
    let stored = put(&app, "/api/v2/imports/u?from_line=4", CSV, table(2..10)).answer().await.body(200);
    assert_eq!(
        (&stored["state"], &stored["next_line"], &stored["records"]),
        (&json!("completed"), &json!(12), &json!(10))
    );
}

#[rstest]
#[tokio::test]
async fn what_does_not_belong_to_it_is_a_conflict(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let file = lines(0..700);
    import(&app, "", file.clone()).answer().await.body(200);
    for other in [
        import(&app, "", lines(1..700)),
        import(&app, "", lines(0..699)),
        import(&app, "", lines(0..701)),
        import(&app, "", file.replace("User 3\"", "User III\"")),
        import(&app, "", ""),
        import(&app, "?from_line=702", ""),
        import(&app, "?from_line=700", lines(699..700)),
        import(&app, "?on_conflict=skip", file.clone()),
        put(&app, "/api/v2/imports/a", CSV, "name,email\n"),
    ] {
        other.answer().await.problem(409, "import_conflict");
    }
    assert_eq!(everyone(&app).await.len(), 700);
    let stored = app.get("/api/v2/imports/a").answer().await.body(200);
    assert_eq!(counts(&stored), [700, 700, 0, 0, 0]);
    assert_eq!(stored["state"], "completed");
    import(&app, "?from_line=701", "").answer().await.body(200);
}

#[rstest]
#[tokio::test]
async fn one_upload_at_a_time(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let other = Server::listening(app.database.program());
    other.ready().await;
    let mut raw = Raw::connect(app.address());
    raw.write(&format!(
        "PUT /api/v2/imports/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: {NDJSON}\r\nContent-Length: 200\r\n\r\n",
        *TOKEN
    ));
    let is_running = async || app.get("/api/v2/imports/a").answer().await.status == 200;
    until("it runs", SOON, is_running).await;
    for server in [&*app, &other] {
        import(server, "", lines(0..3)).answer().await.problem(409, "import_conflict");
        server.delete("/api/v2/imports/a").answer().await.problem(409, "import_conflict");
        assert_eq!(server.get("/api/v2/imports/a").answer().await.body(200)["state"], "running");
    }
    drop(raw);
    let is_over = async || import(&other, "", lines(0..3)).answer().await.status == 200;
    until("it is over", SOON, is_over).await;
    other.delete("/api/v2/imports/a").answer().await.empty(204);
    other.delete("/api/v2/imports/a").answer().await.problem(404, "import_not_found");
    app.get("/api/v2/imports/a").answer().await.problem(404, "import_not_found");
    assert_eq!(everyone(&app).await.len(), 3, "the users stay");
    let again = import(&app, "?on_conflict=skip", lines(0..3)).answer().await.body(200);
    assert_eq!(counts(&again), [3, 0, 0, 3, 0], "it is another one now");
}

/// Killed at any moment and taken up again, it ends as if nothing had happened.
#[rstest]
#[tokio::test]
async fn a_killed_import_goes_on_where_it_was(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    const MANY: usize = 6000;
    let mut app = App::start(db).await;
    let file = lines(0..MANY);
    let mut kills = 0;
    loop {
        let request = import(&app, "", file.clone());
        let upload = tokio::spawn(request.send());
        let before = everyone_counted(&app).await;
        let has_advanced = async || upload.is_finished() || everyone_counted(&app).await > before + kills * 100;
        until("it advances", SOON, has_advanced).await;
        if kills < 4 && !upload.is_finished() {
            kills += 1;
            app.kill();
            let _ = upload.await;
            app.restart().await;
            continue;
        }
        let answer = upload.await.unwrap().unwrap();
        if answer.status() == 409 {
            // The killed upload may hold it for some seconds.
            continue;
        }
        assert_eq!(answer.status(), 200);
        break;
    }
    assert!(kills > 0);
    let stored = app.get("/api/v2/imports/a").answer().await.body(200);
    assert_eq!(counts(&stored), [6000, 6000, 0, 0, 0]);
    assert_eq!(everyone(&app).await.len(), MANY);
    assert_eq!(events(&app), ["6000"]);
}

async fn everyone_counted(app: &App) -> i64 {
    let answer = app.get("/api/v2/users?page_size=1&include_total=true").answer().await;
    answer.body(200)["total"].as_i64().unwrap()
}

#[tokio::test]
async fn records_that_cannot_be_read_are_named() {
    let app = App::start(Db::Sqlite).await;
    let long = format!("{{\"name\":\"{}\",\"email\":\"long@example.com\"}}", "x".repeat(1 << 20));
    let file = [
        "{\"name\":\"Ada\",\"email\":\"ada@example.com\"}",
        &long,
        "",
        "{\"name\":7,\"email\":\"b@example.com\"}",
        "{\"name\":\"a\\u0000b\",\"email\":\"c@example.com\"}",
        "{\"name\":\"x\"}",
        "{\"name\":\"x\",\"email\":\"d@example.com\",\"age\":3}",
        "not json",
        "[1]",
        "{\"name\":\"\",\"email\":\"e\"}",
        "{\"name\":\"Bob\",\"email\":\"bob@example.com\"}",
    ];
    let stored = import(&app, "", file.join("\r\n")).answer().await.body(200);
    assert_eq!(counts(&stored), [10, 2, 0, 0, 8]);
    let failures = stored["failures"].as_array().unwrap().iter();
    let of = |failure: &Value| {
        let pointer = failure["pointer"].as_str().unwrap_or("-").to_owned();
        format!("{} {} {pointer}", failure["line"], failure["code"].as_str().unwrap())
    };
    let failures = Vec::from_iter(failures.map(of));
    let expected = [
        "2 too_long -",
        "4 not_text /name",
        "5 nul /name",
        "6 missing_field /email",
        "7 unknown_field /age",
        "8 malformed_json -",
        "9 not_an_object -",
        "10 invalid_user /name",
        "10 invalid_user /email",
    ];
    assert_eq!(failures, expected);
    let not_utf8 = [b"{\"name\":\"\xff\",\"email\":\"f@example.com\"}\n".to_vec(), lines(0..1).into_bytes()].concat();
    let stored = put(&app, "/api/v2/imports/b", NDJSON, not_utf8).answer().await.body(200);
    assert_eq!((counts(&stored), &stored["failures"][0]["code"]), ([2, 1, 0, 0, 1], &json!("not_utf8")));
    let open = "name,email\n\"Ada,ada2@example.com\nBob,bob2@example.com\n";
    let stored = put(&app, "/api/v2/imports/c", CSV, open).answer().await.body(200);
    assert_eq!((counts(&stored)[1], &stored["failures"][0]["code"]), (0, &json!("open_quote")));
}

#[tokio::test]
async fn a_thousand_failures_are_kept_and_the_others_counted() {
    let app = App::start(Db::Sqlite).await;
    let file = "x\n".repeat(1700) + &lines(0..5);
    let stored = import(&app, "", file).answer().await.body(200);
    assert_eq!((counts(&stored), stored["failures"].as_array().unwrap().len()), ([1705, 5, 0, 0, 1700], 1000));
    assert_eq!(stored["failures"][999]["line"], 1000);
}

#[tokio::test]
async fn files_that_are_none_are_refused() {
    let app = App::start(Db::Sqlite).await;
    for (body, code) in [
        ("", "missing_header"),
        ("name\nAda\n", "missing_column"),
        ("name,email,name\n", "repeated_column"),
        ("name,email,age\n", "unknown_column"),
    ] {
        let problem = put(&app, "/api/v2/imports/t", CSV, body).answer().await.problem(422, "invalid_file");
        assert!(problem["detail"].as_str().unwrap().contains(code), "{problem:#}");
    }
    assert_eq!(app.get("/api/v2/imports/t").answer().await.body(200)["state"], "interrupted");
    let stored = import(&app, "", "").answer().await.body(200);
    assert_eq!((counts(&stored), &stored["state"]), ([0; 5], &json!("completed")), "no lines are no users");
    let plain = app.request(Method::PUT, "/api/v2/imports/b").header("content-type", "application/json").body("{}");
    assert_eq!(plain.answer().await.problem(415, "unsupported_media_type")["code"], "unsupported_media_type");
    let gzip = import(&app, "", "x").header("content-encoding", "gzip");
    gzip.answer().await.problem(415, "unsupported_media_type");
    for path in ["/api/v2/imports/a%20b", &format!("/api/v2/imports/{}", "x".repeat(101))] {
        put(&app, path, NDJSON, "").answer().await.problem(400, "invalid_id");
        app.get(path).answer().await.problem(400, "invalid_id");
    }
    for query in ["?on_conflict=merge", "?from_line=0", "?dry_run=true"] {
        import(&app, query, "").answer().await.problem(400, "invalid_query");
    }
}

#[tokio::test]
async fn each_caller_has_imports_of_its_own() {
    let app = App::start(Db::Sqlite).await;
    import(&app, "", lines(0..1)).answer().await.body(200);
    let mut other = claims("users:read users:write");
    other["sub"] = json!("somebody else");
    let other = token(&other);
    let as_other = |method: Method| app.anonymous(method, "/api/v2/imports/a").bearer_auth(&other);
    as_other(Method::GET).answer().await.problem(404, "import_not_found");
    let own = as_other(Method::PUT).header("content-type", NDJSON).body(lines(1..2));
    assert_eq!(counts(&own.answer().await.body(200)), [1, 1, 0, 0, 0]);
    let reader = token(&claims("users:read"));
    let as_reader = |method: Method| app.anonymous(method, "/api/v2/imports/a").bearer_auth(&reader);
    as_reader(Method::GET).answer().await.body(200);
    as_reader(Method::PUT).header("content-type", NDJSON).answer().await.problem(403, "insufficient_scope");
    as_reader(Method::DELETE).answer().await.problem(403, "insufficient_scope");
    app.anonymous(Method::GET, "/api/v2/imports/a").answer().await.problem(401, "unauthorized");
}

#[tokio::test]
async fn an_upload_that_makes_no_progress_ends() {
    let app = App::start_with(Db::Sqlite, &[("BODY_TIMEOUT", "500ms")]).await;
    let mut raw = Raw::connect(app.address());
    raw.write(&format!(
        "PUT /api/v2/imports/a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: {NDJSON}\r\nContent-Length: 200\r\n\r\n{{",
        *TOKEN
    ));
    let head = raw.read_head();
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    assert_eq!(app.get("/api/v2/imports/a").answer().await.body(200)["state"], "interrupted");
}

/// Four are admitted; the next is refused at once.
#[tokio::test]
async fn a_few_uploads_run_at_once() {
    let app = App::start_with(Db::Sqlite, &[("BODY_TIMEOUT", "1m")]).await;
    let uploads = Vec::from_iter((0..4).map(|n| {
        let mut raw = Raw::connect(app.address());
        raw.write(&format!(
            "PUT /api/v2/imports/{n} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: {NDJSON}\r\nContent-Length: 200\r\n\r\n",
            *TOKEN
        ));
        raw
    }));
    let all_run = async || app.metrics().await.value("imports_running") == 4.0;
    until("all run", SOON, all_run).await;
    import(&app, "", lines(0..1)).answer().await.problem(503, "overloaded");
    drop(uploads);
    let is_free = async || import(&app, "", lines(0..1)).answer().await.status == 200;
    until("there is room", SOON, is_free).await;
}
