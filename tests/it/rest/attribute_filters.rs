//! Lists that are filtered by attributes.

use std::collections::HashMap;
use std::time::Duration;

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::proto::ListUsersRequest;
use crate::support::{Answered, App, Db, until};

const USERS: &str = "/api/v2/users";

/// Attributes of which some look alike.
fn attributes() -> [Value; 12] {
    [
        json!({ "department": "Sales", "level": 1 }),
        json!({ "department": "sales", "level": "1" }),
        json!({ "department": "Sales", "level": 2, "remote": true }),
        json!({ "department": "", "remote": "true" }),
        json!({ "department": "Ventes & Gä\"\\", "level": 1.5e-7 }),
        json!({ "department": null, "level": [1] }),
        json!({ "department": { "level": 1 } }),
        json!({ "department": "x".repeat(256), "remote": false }),
        json!({ "department": "é".repeat(255), "level": 12_345_678_901_234_567_i64 }),
        json!({ "color": "Sales" }),
        json!({}),
        json!({ "department": "Sales", "level": 1 }),
    ]
}

async fn with_people(db: Db) -> App {
    let app = App::start_with(db, &[("ATTRIBUTES_INDEXED", "department, level,remote")]).await;
    for (n, attributes) in attributes().iter().enumerate() {
        let status = if n % 2 == 0 { "disabled" } else { "active" };
        let user = json!({ "name": format!("N{}", n % 3), "email": format!("{n}@b.co"), "attributes": attributes, "status": status });
        app.post(USERS, &user).answer().await.body(201);
    }
    app.indexed().await;
    app
}

fn ids(users: &[Value]) -> Vec<i64> {
    Vec::from_iter(users.iter().map(|user| user["id"].as_i64().unwrap()))
}

/// The users of all pages.
async fn pages(app: &App, query: &str) -> Vec<i64> {
    let mut found = Vec::new();
    let mut path = format!("{USERS}?{query}");
    loop {
        let page = app.get(&path).answer().await;
        found.extend(ids(page.body(200)["users"].as_array().unwrap()));
        let Some(next) = page.next_link() else { return found };
        path = next;
    }
}

#[rstest]
#[tokio::test]
async fn a_value_finds_what_is_written_so(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_people(db).await;
    let long = format!("department={}", "%C3%A9".repeat(255));
    for (filter, expected) in [
        ("department=Sales", vec![1, 3, 12]),
        ("department=sales", vec![2]),
        ("department=", vec![4]),
        ("department=Ventes+%26+G%C3%A4%22%5C", vec![5]),
        ("department=null", vec![]),
        (&long, vec![9]),
        ("level=1", vec![1, 2, 12]),
        ("level=1.0", vec![]),
        ("level=1.5e-7", vec![5]),
        ("level=12345678901234567", vec![9]),
        ("remote=true", vec![3, 4]),
        ("remote=false", vec![8]),
        ("department=Sales&attributes.level=1", vec![1, 12]),
        ("remote=true&attributes.department=Sales&attributes.level=2", vec![3]),
        ("department=Sales&status=disabled", vec![1, 3]),
        ("department=Sales&name_prefix=n2", vec![3, 12]),
        ("department=Sales&email=2@b.co", vec![3]),
        ("department=Sales&email=1@b.co", vec![]),
    ] {
        for (order, reversed) in [("", false), ("&order_by=-id", true), ("&order_by=email", false)] {
            let mut expected = expected.clone();
            if reversed {
                expected.reverse();
            }
            for size in [1, 2, 100] {
                let mut found = pages(&app, &format!("attributes.{filter}{order}&page_size={size}")).await;
                if order.ends_with("email") {
                    found.sort_unstable();
                }
                assert_eq!(found, expected, "{filter}{order} {size}");
            }
        }
        let total = app.get(&format!("{USERS}?attributes.{filter}&include_total=true")).answer().await;
        if filter.contains("attributes.") {
            total.problem(400, "invalid_query");
        } else {
            assert_eq!(total.body(200)["total"], expected.len(), "{filter}");
        }
    }
    let export = app.get(&format!("{USERS}:export?attributes.department=Sales")).answer().await;
    assert_eq!(export.expect(200).text.lines().count(), 4, "three users and the end");
}

#[rstest]
#[tokio::test]
async fn grpc_filters_alike(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_people(db).await;
    let mut grpc = app.grpc();
    let request = |attributes: &[(&str, &str)], page_token: &str| ListUsersRequest {
        attributes: HashMap::from_iter(attributes.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()))),
        page_size: 1,
        page_token: page_token.to_owned(),
        ..ListUsersRequest::default()
    };
    let page = grpc.list_users(request(&[("department", "Sales"), ("level", "1")], "")).await.unwrap().into_inner();
    assert_eq!(page.users[0].id, 1);
    // REST takes the token.
    let query = format!("attributes.level=1&attributes.department=Sales&page_token={}", page.next_page_token);
    assert_eq!(pages(&app, &query).await, [12]);
    let counted = ListUsersRequest { include_total: true, ..request(&[("level", "1")], "") };
    assert_eq!(grpc.list_users(counted).await.unwrap().into_inner().total, Some(3));
    let counted = ListUsersRequest { include_total: true, ..request(&[("level", "1"), ("remote", "true")], "") };
    assert_eq!(grpc.list_users(counted).await.unwrap_err().code(), tonic::Code::InvalidArgument);
    let wrong = grpc.list_users(request(&[("color", "x")], "")).await.unwrap_err();
    assert_eq!(wrong.code(), tonic::Code::InvalidArgument);
    assert!(wrong.message().contains("attributes[color]"), "{wrong:?}");
}

#[rstest]
#[tokio::test]
async fn the_index_follows_every_write(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_people(db).await;
    let found = async |value: &str| pages(&app, &format!("attributes.department={value}&page_size=2")).await;
    app.patch(&format!("{USERS}/1"), &json!({ "attributes": { "department": "HR" } })).answer().await.body(200);
    app.patch(&format!("{USERS}/3"), &json!({ "name": "Renamed" })).answer().await.body(200);
    let put = json!({ "name": "A", "email": "11@b.co", "attributes": { "department": "HR", "level": 9 } });
    app.put(&format!("{USERS}/12"), &put).answer().await.body(200);
    assert_eq!((found("Sales").await, found("HR").await), (vec![3], vec![1, 12]));
    app.patch(&format!("{USERS}/1"), &json!({ "attributes": { "department": null } })).answer().await.body(200);
    app.patch(&format!("{USERS}/12"), &json!({ "attributes": {} })).answer().await.body(200);
    app.delete(&format!("{USERS}/3")).answer().await.expect(204);
    assert_eq!((found("Sales").await, found("HR").await), (vec![], vec![12]));
    app.patch(&format!("{USERS}/12"), &json!({ "attributes": null })).answer().await.body(200);
    assert_eq!(found("HR").await, [0; 0]);
    let operations = json!({ "atomic": true, "operations": [
        { "create": { "name": "A", "email": "x@b.co", "attributes": { "department": "HR" } } },
        { "update": { "id": 2, "patch": { "attributes": { "department": "HR" } } } },
        { "delete": { "id": 4 } },
    ]});
    app.post(&format!("{USERS}:batchWrite"), &operations).answer().await.body(200);
    assert_eq!((found("HR").await, found("").await), (vec![2, 13], vec![]));
    // What an operator types is followed, too.
    let mut sql = app.database.connect();
    sql.run(r#"UPDATE users SET attributes = '{"department":"Typed"}', version = version + 1 WHERE id IN (2, 5)"#);
    sql.run("DELETE FROM users WHERE id = 13");
    assert_eq!((found("HR").await, found("Typed").await), (vec![], vec![2, 5]));
    // Even what is no JSON, or what PostgreSQL cannot make a text of.
    for garbage in ["{garbage", "[]", r#"{"department":"a\u0000"}"#, r#"{"department":"\ud800"}"#] {
        sql.run(&format!("UPDATE users SET attributes = '{garbage}', version = version + 1 WHERE id = 2"));
        assert_eq!(found("Typed").await, [5], "{garbage}");
    }
}

#[rstest]
#[tokio::test]
async fn what_cannot_be_filtered_by_is_refused(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_people(db).await;
    let long = format!("attributes.level={}", "1".repeat(256));
    for (query, parameter, detail) in [
        ("attributes.color=x", "attributes.color", "ATTRIBUTES_INDEXED"),
        ("attributes.Department=x", "attributes.Department", "ATTRIBUTES_INDEXED"),
        ("attributes.department.x=x", "attributes.department.x", "ATTRIBUTES_INDEXED"),
        ("attributes.=x", "attributes.", "not known"),
        ("attributes=x", "attributes", "not known"),
        ("attributes.level=1&attributes.level=2", "attributes.level", "more than once"),
        ("attributes.level=%00", "attributes.level", "U+0000"),
        ("attributes.level=%ff", "attributes.level", "UTF-8"),
        (&long, "attributes.level", "255"),
    ] {
        for path in [USERS.to_owned(), format!("{USERS}:export")] {
            let problem = app.get(&format!("{path}?{query}")).answer().await.problem(400, "invalid_query");
            let text = problem["detail"].as_str().unwrap();
            assert!(text.starts_with(&format!("query parameter {parameter}: ")) && text.contains(detail), "{text}");
        }
    }
    // A token belongs to its filters.
    let page = app.get(&format!("{USERS}?attributes.department=Sales&page_size=1")).answer().await.body(200);
    let token = page["next_page_token"].as_str().unwrap();
    for other in
        ["", "&attributes.department=sales", "&attributes.level=1", "&attributes.department=Sales&attributes.level=1"]
    {
        app.get(&format!("{USERS}?page_token={token}{other}")).answer().await.problem(400, "invalid_page_token");
    }
}

/// A filter that no index serves as a whole looks at a bounded number of users.
#[rstest]
#[tokio::test]
async fn nobody_can_make_the_database_scan(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start_with(db, &[("ATTRIBUTES_INDEXED", "a,b")]).await;
    for chunk in 0..3 {
        let create = |n: i32| {
            let rare = if chunk == 2 && n == 999 { "rare" } else { "common" };
            json!({ "create": { "name": "N", "email": format!("{chunk}-{n}@b.co"), "attributes": { "a": "x", "b": rare } } })
        };
        let operations = Vec::from_iter((0..1_000).map(create));
        app.post(&format!("{USERS}:batchWrite"), &json!({ "operations": operations })).answer().await.body(200);
    }
    app.indexed().await;
    for query in ["attributes.a=x&attributes.b=rare", "attributes.b=rare&order_by=name"] {
        let first = app.get(&format!("{USERS}?{query}")).answer().await;
        assert_eq!(first.body(200)["users"], json!([]), "{query}");
        assert!(first.next_link().is_some(), "{query}");
        assert_eq!(pages(&app, query).await, [3_000], "{query}");
    }
    // The index has it next to nobody else.
    let one = app.get(&format!("{USERS}?attributes.b=rare")).answer().await;
    assert_eq!((ids(one.body(200)["users"].as_array().unwrap()), one.next_link()), (vec![3_000], None));
    if matches!(db, Db::Postgres) {
        // PostgreSQL says so itself, some time later.
        let mut sql = app.database.connect();
        let scans =
            "SELECT 'used' AS fact FROM pg_stat_user_indexes WHERE indexrelname = 'users_attribute_b' AND idx_scan > 0";
        until("the index is used", Duration::from_mins(1), async || !sql.facts(scans).is_empty()).await;
    }
}
