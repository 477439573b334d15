//! Users with the keys of an earlier release, written before this release ran and beside it.

use std::time::Duration;

use futures::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};

use super::identity::{found, id};
use crate::support::{Answered, App, Connection, Database, Db, Server, query_string, until, user};

const USERS: &str = "/api/v2/users";
const SOON: Duration = Duration::from_secs(15);

/// Creates a user as the previous release did, with folded names and addresses only. Ids start at 1.
fn create_as_before(connection: &mut Connection, (name, name_key): (&str, &str), (email, email_key): (&str, &str)) {
    connection.run(&format!(
        "INSERT INTO users (name, name_key, email, email_key, version, created_at, updated_at) VALUES
         ('{name}', '{name_key}', '{email}', '{email_key}', 1, '2026-01-31 12:00:00.000001', '2026-01-31 12:00:00.000001')"
    ));
}

fn with_address(connection: &mut Connection, email: &str, email_key: &str) {
    create_as_before(connection, ("Somebody", "somebody"), (email, email_key));
}

/// A database that the previous release has filled.
fn filled(db: Db, fill: impl FnOnce(&mut Connection)) -> Database {
    let database = db.fresh();
    database.program().args(["migrate"]).run().succeeded();
    fill(&mut database.connect());
    database
}

fn without_keys(connection: &mut Connection) -> Vec<String> {
    connection.facts("SELECT CAST(id AS TEXT) AS fact FROM users WHERE NOT has_keys ORDER BY id")
}

/// Waits for the new keys. A user with an ASCII address only needs none.
async fn until_all_have_keys_but(database: &Database, ascii_only: &str) {
    let mut connection = database.connect();
    until("all others have their keys", SOON, async || without_keys(&mut connection) == [ascii_only]).await;
}

async fn by_prefix(server: &Server, prefix: &str) -> Vec<i64> {
    let page = server.get(&format!("{USERS}?{}", query_string(&[("name_prefix", prefix)]))).answer().await.body(200);
    page["users"].as_array().expect("users").iter().map(id).collect()
}

async fn total(server: &Server, prefix: &str) -> Value {
    let query = query_string(&[("name_prefix", prefix), ("page_size", "1"), ("include_total", "true")]);
    server.get(&format!("{USERS}?{query}")).answer().await.body(200)["total"].clone()
}

#[rstest]
#[tokio::test]
async fn who_was_there_before_is_found_by_every_way_to_write_the_address(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let database = filled(db, |connection| {
        with_address(connection, "b@münchen.de", "b@münchen.de");
        with_address(connection, "info@faß.de", "info@fass.de");
        with_address(connection, "Jose\u{301}@example.com", "jose\u{301}@example.com");
        with_address(connection, "a@ｅxample.com", "a@ｅxample.com");
        with_address(connection, "old_style@foo_bar.com", "old_style@foo_bar.com");
    });
    let app = App::on(database, &[]).await;
    // The legacy spelling finds the user from the start.
    for (id, email) in
        [(1, "B@münchen.de"), (2, "info@faß.de"), (3, "jose\u{301}@example.com"), (5, "old_style@foo_bar.com")]
    {
        assert_eq!(found(&app, email).await, [id], "{email}");
    }
    assert_eq!(found(&app, "info@fass.de").await, Vec::<i64>::new());
    until_all_have_keys_but(&app.database, "5").await;
    for (id, email) in [
        (1, "b@xn--mnchen-3ya.de"),
        (1, "b@münchen.de"),
        (2, "info@xn--fa-hia.de"),
        (3, "josé@example.com"),
        (4, "a@ｅxample.com"),
        (5, "old_style@foo_bar.com"),
    ] {
        assert_eq!(found(&app, email).await, [id], "{email}");
    }
    app.post(USERS, &user("Another", "b@xn--mnchen-3ya.de")).answer().await.problem(409, "email_taken");
}

#[rstest]
#[tokio::test]
async fn of_two_with_one_address_the_first_has_it_and_nobody_is_lost(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let pairs = [
        (("b@münchen.de", "b@münchen.de"), ("b@xn--mnchen-3ya.de", "b@xn--mnchen-3ya.de")),
        (("josé@example.com", "josé@example.com"), ("jose\u{301}@example.com", "jose\u{301}@example.com")),
        (("C@xn--mnchen-3ya.de", "c@xn--mnchen-3ya.de"), ("c@MÜNCHEN.de", "c@münchen.de")),
    ];
    let database = filled(db, |connection| {
        for (email, email_key) in pairs.into_iter().flat_map(|(first, second)| [first, second]) {
            with_address(connection, email, email_key);
        }
    });
    let app = App::on(database, &[]).await;
    let mut connection = app.database.connect();
    let duplicates =
        "SELECT id || ' of ' || duplicate_of AS fact FROM users WHERE duplicate_of IS NOT NULL ORDER BY id";
    let expected = ["2 of 1", "4 of 3", "6 of 5"];
    until("the duplicates are recorded", SOON, async || connection.facts(duplicates) == expected).await;
    for (id, (first, second)) in (1..).step_by(2).zip(pairs) {
        for email in [first.0, second.0] {
            assert_eq!(found(&app, email).await, [id], "{email}");
        }
        let told = format!("user {} has the same address as user {}", id + 1, id);
        until("the log names both", SOON, async || app.log().contains(&told)).await;
        let path = format!("{USERS}/{}", id + 1);
        assert_eq!(
            app.get(&path).answer().await.body(200)["email"],
            second.0,
            "the duplicate is found by id, unchanged"
        );
        // The duplicate gets another address, or the first user gives up the address.
        app.patch(&path, &json!({ "name": "Renamed" })).answer().await.body(200);
        app.patch(&path, &json!({ "email": second.0 })).answer().await.problem(409, "email_taken");
        if id == 1 {
            app.patch(&format!("{USERS}/{id}"), &json!({ "email": "elsewhere@example.com" })).answer().await.body(200);
        } else {
            app.delete(&format!("{USERS}/{id}")).answer().await.empty(204);
        }
        until("the duplicate has the address", SOON, async || found(&app, first.0).await == [id + 1]).await;
        app.put(&path, &user("Renamed", second.0)).answer().await.body(200);
    }
    assert_eq!(app.everyone().await.len(), pairs.len() + 1);
    assert_eq!(connection.facts(duplicates), Vec::<String>::new());
}

/// A user keeps its address, even if another with a lower id takes it at a replica of the previous release.
#[rstest]
#[tokio::test]
async fn nobody_loses_an_address_to_a_lower_id(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let attacker = id(&app.create("Mallory", "mallory@example.com").await);
    let plain = id(&app.create("Alice", "alice@example.com").await);
    let other = id(&app.create("Bob", "bob@xn--mnchen-3ya.de").await);
    let mut connection = app.database.connect();
    for (email, victim, address) in
        [("alice@ｅxample.com", plain, "alice@example.com"), ("bob@münchen.de", other, "bob@xn--mnchen-3ya.de")]
    {
        connection.run(&format!("UPDATE users SET email = '{email}', email_key = '{email}' WHERE id = {attacker}"));
        assert_eq!(found(&app, address).await, [victim]);
        until("the attacker's keys are computed", SOON, async || without_keys(&mut connection).is_empty()).await;
        assert_eq!(found(&app, address).await, [victim]);
        app.put(&format!("{USERS}/{victim}"), &user("Victim", address)).answer().await.body(200);
    }
    assert_eq!(found(&app, "bob@münchen.de").await, [other]);
}

#[tokio::test]
async fn a_database_that_cannot_hold_the_older_forms_still_lists() {
    let database = Db::latin1();
    let server = Server::listening(database.program());
    server.fails_for("encoding").await;
    let jose = id(&server.create("José", "jose@example.com").await);
    assert_eq!(by_prefix(&server, "JOSÉ").await, [jose]);
}

/// A replica of the previous release writes meanwhile. It knows only `name_key` and `email_key`.
#[rstest]
#[tokio::test]
async fn an_old_replica_may_write_beside_this_one(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let id = id(&app.create("Ada", "info@faß.de").await);
    let mut connection = app.database.connect();
    let mut write =
        |set: &str| connection.run(&format!("UPDATE users SET {set}, version = version + 1 WHERE id = {id}"));
    // The legacy key stays the same, the address changes.
    write("email = 'info@fass.de', email_key = 'info@fass.de'");
    assert_eq!(found(&app, "info@faß.de").await, Vec::<i64>::new());
    assert_eq!(found(&app, "info@fass.de").await, [id]);
    write("email = 'INFO@münchen.de', email_key = 'info@münchen.de'");
    assert_eq!(found(&app, "info@fass.de").await, Vec::<i64>::new());
    assert_eq!(found(&app, "info@münchen.de").await, [id]);
    until("the other spelling finds the user", SOON, async || found(&app, "info@xn--mnchen-3ya.de").await == [id])
        .await;
    app.post(USERS, &user("Bob", "info@xn--mnchen-3ya.de")).answer().await.problem(409, "email_taken");
    write("name = 'Jose\u{301}', name_key = 'jose\u{301}'");
    until("the composed name finds the user", SOON, async || by_prefix(&app, "JOSÉ").await == [id]).await;
    // The old replica writes back what it read, and so undoes the new key.
    write("name = 'Jose\u{301}', name_key = 'jose\u{301}'");
    until("the composed name finds the user again", SOON, async || by_prefix(&app, "JOSÉ").await == [id]).await;
    write("name = 'Ada', name_key = 'ada'");
    assert_eq!(by_prefix(&app, "ada").await, [id]);
    with_address(&mut connection, "c@münchen.de", "c@münchen.de");
    let new = found(&app, "c@münchen.de").await;
    assert_eq!(new.len(), 1);
    until("the other spelling finds the new user", SOON, async || found(&app, "c@xn--mnchen-3ya.de").await == new)
        .await;
}

#[rstest]
#[tokio::test]
async fn composed_and_decomposed_names_find_each_other(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let composed = id(&app.create("José Uno", "uno@example.com").await);
    let decomposed = id(&app.create("Jose\u{301} Dos", "dos@example.com").await);
    app.create("Josef", "josef@example.com").await;
    for prefix in ["josé", "JOSE\u{301}", "jos\u{65}\u{301} "] {
        assert_eq!(by_prefix(&app, prefix).await, [decomposed, composed], "{prefix}");
    }
}

/// Names with legacy keys only. A lock keeps the service from computing the new keys.
#[rstest]
#[tokio::test]
async fn until_all_have_keys_lists_by_name_ask_for_the_older_ones(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let database = filled(db, |connection| {
        let named = [
            (1, "José Uno", "josé uno"),
            (2, "Jose\u{301} Dos", "jose\u{301} dos"),
            (3, "ΜΑΪ\u{301}ΟΣ", "μαϊ\u{301}οσ"),
            (4, "Μαΐος", "μαι\u{308}\u{301}οσ"),
            (5, "Josef", "josef"),
            (6, "Jose\u{301} Tres", "jose\u{301} tres"),
        ];
        for (id, name, name_key) in named {
            let email = format!("user{id}@example.com");
            create_as_before(connection, (name, name_key), (&email, &email));
        }
    });
    let mut lock = database.connect();
    lock.run(match db {
        Db::Sqlite => "BEGIN IMMEDIATE",
        Db::Postgres => "BEGIN; SELECT FROM users FOR UPDATE",
    });
    let app = App::on(database, &[]).await;
    assert_eq!(total(&app, "josé").await, 3);
    let (jose, may) = (["josé", "jose\u{301}", "JOSÉ"], ["μαΐ", "ΜΑΪ\u{301}", "μαι\u{308}\u{301}"]);
    for prefix in jose {
        assert_eq!(by_prefix(&app, prefix).await, [2, 6, 1], "{prefix}");
    }
    for prefix in may {
        assert!(by_prefix(&app, prefix).await.contains(&4), "{prefix}");
    }
    let pages = join_all(jose.map(|prefix| walk(&app, prefix, "name", None))).await;
    assert_eq!(pages, [[2, 6, 1]; 3]);
    let reversed = join_all(jose.map(|prefix| walk(&app, prefix, "-name", None))).await;
    assert_eq!(reversed, [[1, 6, 2]; 3]);
    // A page token from before the new keys still leads to the remaining users.
    let first = first_page(&app, "josé").await;
    drop(lock);
    until_all_have_keys_but(&app.database, "5").await;
    until("lists use the new keys", SOON, async || by_prefix(&app, "josé").await == [2, 6, 1]).await;
    for prefix in may {
        assert_eq!(by_prefix(&app, prefix).await, [3, 4], "{prefix}");
    }
    let token = first["next_page_token"].as_str().expect("a token");
    assert!(walk(&app, "josé", "name", Some(token)).await.ends_with(&[6, 1]), "the walk misses no remaining user");
}

async fn first_page(server: &Server, prefix: &str) -> Value {
    let query = query_string(&[("name_prefix", prefix), ("page_size", "1")]);
    server.get(&format!("{USERS}?{query}")).answer().await.body(200)
}

/// The ids on all pages of one user each, starting at a token.
async fn walk(server: &Server, prefix: &str, order: &str, token: Option<&str>) -> Vec<i64> {
    let (mut ids, mut token) = (Vec::new(), token.map(str::to_owned));
    loop {
        let mut query = vec![("name_prefix", prefix), ("order_by", order), ("page_size", "1")];
        query.extend(token.as_deref().map(|token| ("page_token", token)));
        let page = server.get(&format!("{USERS}?{}", query_string(&query))).answer().await.body(200);
        ids.extend(page["users"].as_array().expect("users").iter().filter_map(|user| user["id"].as_i64()));
        match page["next_page_token"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => return ids,
        }
    }
}

/// Page tokens of the previous release. They hold its legacy keys.
#[rstest]
#[case::of_a_composed_prefix("josé", true)]
#[case::of_a_decomposed_prefix("jose\u{301}", false)]
#[tokio::test]
async fn a_page_token_of_the_release_before_goes_on_or_is_refused(#[case] prefix: &str, #[case] goes_on: bool) {
    let app = App::start(Db::Sqlite).await;
    for number in 0..3 {
        app.create(&format!("José {number}"), &format!("user{number}@example.com")).await;
    }
    let token = token_of_the_release_before(prefix, 1, &format!("{prefix} 0"));
    let query = query_string(&[("name_prefix", prefix), ("page_token", &token)]);
    let answer = app.get(&format!("{USERS}?{query}")).answer().await;
    if goes_on {
        assert_eq!(answer.body(200)["users"].as_array().expect("users").len(), 2);
    } else {
        answer.problem(400, "invalid_page_token");
    }
}

/// As `PageToken::encode` did in the previous release: a format byte, the id, the name's key, and a checksum over these
/// and the filters' keys.
fn token_of_the_release_before(prefix: &str, id: i64, name_key: &str) -> String {
    use base64::Engine as _;

    let mut bytes = vec![1];
    bytes.extend(id.to_be_bytes());
    bytes.extend(name_key.as_bytes());
    let mut hasher = crc32fast::Hasher::new();
    for part in [&bytes, [0xfe].as_slice(), &[0xff], prefix.as_bytes()] {
        hasher.update(part);
    }
    bytes.extend(hasher.finalize().to_be_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
