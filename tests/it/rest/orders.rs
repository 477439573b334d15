//! The orders of lists, and the fields of their users.

use rstest::rstest;
use serde_json::{Value, json};
use user_service::domain::{Email, UserName};

use crate::support::{Answered, App, Db};

const USERS: &str = "/api/v2/users";

/// Names and addresses whose order depends on how they are compared.
const PEOPLE: [(&str, &str); 10] = [
    ("zoe", "m@b.co"),
    ("Ada", "Z@b.co"),
    ("ada", "a_b@b.co"),
    ("Äda", "a-b@b.co"),
    ("Zoë", "a.b@b.co"),
    ("山田", "ab@b.co"),
    ("😀", "AA@b.co"),
    ("\u{ff21}da", "é@b.co"),
    ("ada", "y@b.co"),
    ("ad a", "10@b.co"),
];

async fn with_people(db: Db) -> App {
    let app = App::start(db).await;
    for (n, (name, email)) in PEOPLE.iter().enumerate() {
        let status = if n % 3 == 0 { "disabled" } else { "active" };
        app.post(USERS, &json!({ "name": name, "email": email, "status": status })).answer().await.body(201);
    }
    app
}

fn id(user: &Value) -> i64 {
    user["id"].as_i64().unwrap()
}

/// Orders users as a list is to do it.
fn sort(users: &mut [Value], order: &str) {
    let name = |user: &Value| UserName::stored(user["name"].as_str().unwrap().to_owned()).key();
    let email = |user: &Value| Email::stored(user["email"].as_str().unwrap().to_owned()).key().legacy().to_owned();
    match order.trim_start_matches('-') {
        "name" => users.sort_by_key(|user| (name(user), id(user))),
        "email" => users.sort_by_key(email),
        _ => users.sort_by_key(id),
    }
    if order.starts_with('-') {
        users.reverse();
    }
}

/// The users of all pages, forward by tokens.
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
async fn each_order_is_the_same_on_both_databases(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_people(db).await;
    let everyone = app.everyone().await;
    for order in ["id", "-id", "name", "-name", "email", "-email"] {
        for (filter, is_in) in [
            ("", (|_| true) as fn(&Value) -> bool),
            ("&status=disabled", |user| user["status"] == "disabled"),
            ("&status=active", |user| user["status"] != "disabled"),
            ("&name_prefix=AD", |user| user["name"].as_str().unwrap().to_lowercase().starts_with("ad")),
        ] {
            let mut expected = Vec::from_iter(everyone.iter().filter(|user| is_in(user)).cloned());
            sort(&mut expected, order);
            assert!(expected.len() > 2, "{filter}");
            for size in [1, 2, 3, 100] {
                let found = pages(&app, &format!("order_by={order}&page_size={size}{filter}")).await;
                assert_eq!(found, expected, "{order}{filter} {size}");
            }
        }
    }
    let by_name = pages(&app, "name_prefix=ad&page_size=2").await;
    assert_eq!(by_name, pages(&app, "name_prefix=ad&order_by=name").await, "a prefix orders by name");
}

#[rstest]
#[tokio::test]
async fn a_token_belongs_to_its_order(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_people(db).await;
    let page = app.get(&format!("{USERS}?page_size=1&order_by=-name&include_total=true")).answer().await;
    let (link, page) = (page.next_link().unwrap(), page.body(200));
    assert_eq!(page["total"], PEOPLE.len());
    let token = page["next_page_token"].as_str().unwrap();
    assert_eq!(link, format!("{USERS}?page_size=1&order_by=-name&include_total=true&page_token={token}"));
    for other in ["", "&order_by=name", "&order_by=-email", "&order_by=-id"] {
        app.get(&format!("{USERS}?page_token={token}{other}")).answer().await.problem(400, "invalid_page_token");
    }
    // The usual order may be named, and a token of an earlier release goes on.
    let usual = app.get(&format!("{USERS}?page_size=1")).answer().await.body(200)["next_page_token"].clone();
    let next = app.get(&format!("{USERS}?order_by=id&page_token={}", usual.as_str().unwrap())).answer().await.body(200);
    assert_eq!(next["users"][0]["id"], 2);
    for wrong in ["", "-", "version", "name,id", "Name", "%20name"] {
        app.get(&format!("{USERS}?order_by={wrong}")).answer().await.problem(400, "invalid_query");
    }
}

/// A user that is renamed or deleted between two pages does not break the list.
#[rstest]
#[tokio::test]
async fn a_list_goes_on_after_a_user_that_is_gone(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_people(db).await;
    for order in ["-id", "-name", "email"] {
        let all = pages(&app, &format!("order_by={order}")).await;
        let page = app.get(&format!("{USERS}?order_by={order}&page_size=2")).answer().await.body(200);
        let token = page["next_page_token"].as_str().unwrap();
        app.delete(&format!("{USERS}/{}", id(&all[1]))).answer().await.expect(204);
        let rest = app.get(&format!("{USERS}?order_by={order}&page_token={token}")).answer().await.body(200);
        assert_eq!(rest["users"], json!(all[2..]), "{order}");
    }
}

#[rstest]
#[tokio::test]
async fn an_answer_has_the_fields_that_were_asked_for(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let body = json!({
        "name": "A", "email": "a@b.co", "external_id": "x", "status": "disabled",
        "attributes": { "department": "Sales", "a.b": 1.5, "c": { "d": 1 } },
    });
    let whole = app.post(USERS, &body).answer().await.body(201);
    for (fields, expected) in [
        ("id", json!({ "id": 1 })),
        (
            "name,email,external_id,status",
            json!({ "name": "A", "email": "a@b.co", "external_id": "x", "status": "disabled" }),
        ),
        (
            "version,attributes.department,attributes.a.b",
            json!({ "version": 1, "attributes": { "department": "Sales", "a.b": 1.5 } }),
        ),
        ("attributes.none,created_at", json!({ "created_at": whole["created_at"] })),
        ("updated_at,attributes", json!({ "updated_at": whole["updated_at"], "attributes": whole["attributes"] })),
    ] {
        let one = app.get(&format!("{USERS}/1?fields={fields}")).answer().await;
        assert_eq!((one.body(200), one.header("etag")), (expected.clone(), "\"1\""));
        let list = app.get(&format!("{USERS}?fields={fields}&email=a@b.co")).answer().await.body(200);
        assert_eq!(list["users"], json!([expected]));
        let batch = app.post(&format!("{USERS}:batchGet?fields={fields}"), &json!({ "ids": [1, 2] }));
        assert_eq!(batch.answer().await.body(200), json!({ "users": [expected], "missing": [2] }));
    }
    for wrong in ["", "id,", "Id", "attributes.", "etag", "id%20"] {
        for path in [USERS.to_owned(), format!("{USERS}/1")] {
            let problem = app.get(&format!("{path}?fields={wrong}")).answer().await.problem(400, "invalid_query");
            assert_eq!(
                problem["detail"],
                "query parameter fields: must be names of a user's fields, or attributes.NAME"
            );
        }
    }
    // What a route has always passed over it still passes over.
    assert_eq!(app.get(&format!("{USERS}/1?_=1")).answer().await.body(200), whole);
}
