//! Version 2: which page tokens are valid, and for which filters.

use rstest::rstest;

use crate::support::{Answered, App, Db, at_once};

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~=!";

async fn seeded(db: Db) -> App {
    let database = db.fresh();
    database.program().args(["seed", "--count", "200"]).run().succeeded();
    App::on(database, &[]).await
}

async fn token(app: &App, query: &str) -> String {
    let page = app.get(&format!("/api/v2/users?page_size=1&{query}")).answer().await.body(200);
    page["next_page_token"].as_str().expect("a token").to_owned()
}

async fn is_refused(app: &App, query: &str, token: &str) {
    let answer = app.get(&format!("/api/v2/users?page_token={token}&{query}")).answer().await;
    assert_eq!(answer.status, 400, "{query} with {token}: {answer:?}");
    answer.problem(400, "invalid_page_token");
}

/// A letter with which at least two of the 200 names start.
async fn common_letter(app: &App) -> String {
    for letter in 'a'..='z' {
        let page = app.get(&format!("/api/v2/users?name_prefix={letter}")).answer().await.body(200);
        if page["users"].as_array().expect("users").len() > 1 {
            return letter.to_string();
        }
    }
    panic!("200 users share no first letter");
}

#[rstest]
#[tokio::test]
async fn any_other_character_spoils_it(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db).await;
    let by_name = format!("name_prefix={}", common_letter(&app).await);
    for query in ["", &by_name] {
        let good = token(&app, query).await;
        let changed = (0..good.len()).flat_map(|place| {
            let good = good.as_str();
            // The last character may hold bits that many decoders ignore.
            let others = if place + 1 == good.len() { ALPHABET } else { "AQgw1-" };
            let others = others.chars().filter(move |other| !good[place..].starts_with(*other));
            others.map(move |other| format!("{}{other}{}", &good[..place], &good[place + 1..]))
        });
        for some in changed.collect::<Vec<_>>().chunks(64) {
            at_once(some.len(), |number| is_refused(&app, query, &some[number])).await;
        }
    }
}

#[rstest]
#[tokio::test]
async fn it_is_whole(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db).await;
    let good = token(&app, "").await;
    for length in 1..good.len() {
        is_refused(&app, "", &good[..length]).await;
        is_refused(&app, "", &good[length..]).await;
    }
    for longer in [format!("{good}A"), format!("{good}="), format!("{good}=="), format!("A{good}"), good.repeat(2)] {
        is_refused(&app, "", &longer).await;
    }
    for made_up in ["abc", "1", "2", "0", "-1", "%00", "%EF%BF%BD", "%20", "MQ", "eyJpZCI6MX0"] {
        is_refused(&app, "", made_up).await;
    }
}

#[rstest]
#[tokio::test]
async fn it_belongs_to_its_filters(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db).await;
    let letter = common_letter(&app).await;
    let by_name = format!("name_prefix={letter}");
    let (of_all, of_some) = (token(&app, "").await, token(&app, &by_name).await);
    is_refused(&app, &by_name, &of_all).await;
    is_refused(&app, "email=john@example.com", &of_all).await;
    is_refused(&app, "", &of_some).await;
    is_refused(&app, &format!("{by_name}x"), &of_some).await;
    is_refused(&app, &format!("{by_name}&email=john@example.com"), &of_some).await;
    app.get(&format!("/api/v2/users?page_token={of_all}")).answer().await.body(200);
    app.get(&format!("/api/v2/users?page_token={of_some}&{by_name}")).answer().await.body(200);
    app.get(&format!("/api/v2/users?page_token={of_some}&{by_name}&page_size=3")).answer().await.body(200);
    let counted = format!("/api/v2/users?page_token={of_all}&include_total=true");
    app.get(&counted).answer().await.body(200);
}

#[rstest]
#[tokio::test]
async fn it_outlives_the_process(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = seeded(db).await;
    let by_name = format!("name_prefix={}", common_letter(&app).await);
    for query in ["", &by_name] {
        let path = format!("/api/v2/users?page_token={}&{query}", token(&app, query).await);
        let before = app.get(&path).answer().await.body(200);
        app.restart().await;
        assert_eq!(app.get(&path).answer().await.body(200), before);
    }
}
