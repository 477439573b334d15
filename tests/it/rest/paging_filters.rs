//! Version 2: `email=` and `name_prefix=`.

use reqwest::RequestBuilder;
use rstest::rstest;
use serde_json::Value;

use crate::support::{Answered, App, Db, query_string, user};

const USERS: &str = "/api/v2/users";

async fn with_names(db: Db, names: &[&str]) -> App {
    let app = App::start(db).await;
    for (number, name) in names.iter().enumerate() {
        app.post(USERS, &user(name, &format!("user{number}@example.com"))).answer().await.body(201);
    }
    app
}

fn list(app: &App, query: &[(&str, &str)]) -> RequestBuilder {
    app.get(&format!("{USERS}?{}", query_string(query)))
}

async fn names(app: &App, query: &[(&str, &str)]) -> Vec<String> {
    names_of(&list(app, query).answer().await.body(200))
}

fn names_of(page: &Value) -> Vec<String> {
    let users = page["users"].as_array().expect("users").iter();
    users.map(|user| user["name"].as_str().expect("a name").to_owned()).collect()
}

/// The names on all pages, following the links.
async fn walk(app: &App, query: &[(&str, &str)]) -> Vec<String> {
    let mut answer = list(app, query).answer().await;
    let mut all = names_of(&answer.body(200));
    while let Some(next) = answer.next_link() {
        answer = app.get(&next).answer().await;
        all.extend(names_of(&answer.body(200)));
    }
    all
}

#[rstest]
#[tokio::test]
async fn an_email_is_matched_whole_and_in_any_case(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    app.create("John", "John@Example.com").await;
    app.create("Joan", "joan@example.com").await;
    app.create("Élise", "Élise+tag@example.com").await;
    for email in ["john@example.com", "John@Example.com", "JOHN@EXAMPLE.COM"] {
        assert_eq!(names(&app, &[("email", email)]).await, ["John"]);
    }
    assert_eq!(names(&app, &[("email", "éLISE+TAG@example.com")]).await, ["Élise"]);
    for email in ["j@example.com", "ohn@example.com", "john@example.com.org", "j%@example.com", "jo_n@example.com"] {
        assert!(names(&app, &[("email", email)]).await.is_empty(), "{email}");
    }
}

#[rstest]
#[tokio::test]
async fn a_prefix_is_matched_in_any_case(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_names(db, &["Anna", "annabel", "Hannah", "AN", "Éva", "éVARISTE", "Eva", "ЖАННА"]).await;
    assert_eq!(names(&app, &[("name_prefix", "ann")]).await, ["Anna", "annabel"]);
    assert_eq!(names(&app, &[("name_prefix", "AN")]).await, ["AN", "Anna", "annabel"]);
    assert_eq!(names(&app, &[("name_prefix", "éV")]).await, ["Éva", "éVARISTE"]);
    assert_eq!(names(&app, &[("name_prefix", "жан")]).await, ["ЖАННА"]);
    assert!(names(&app, &[("name_prefix", "annabella")]).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_prefix_has_no_pattern_characters(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let all = ["100% sure", "100 percent", "a_b", "axb", "a*b", r"a\b", "a[b]", "a'b", "a?b"];
    let app = with_names(db, &all).await;
    for name in all {
        for prefix in [name, &name[..2]] {
            let expected = all.iter().filter(|other| other.starts_with(prefix)).count();
            assert_eq!(names(&app, &[("name_prefix", prefix)]).await.len(), expected, "{prefix}");
        }
    }
    for prefix in ["%", "_", "*", "?", r"\", "["] {
        assert!(names(&app, &[("name_prefix", prefix)]).await.is_empty(), "{prefix}");
    }
}

#[rstest]
#[tokio::test]
async fn a_prefix_may_end_in_the_last_character_there_is(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_names(db, &["Z\u{10ffff}a", "Z\u{10ffff}", "Z", "Z\u{d7ff}", "Z\u{e000}", "ZZ"]).await;
    assert_eq!(names(&app, &[("name_prefix", "z\u{10ffff}")]).await, ["Z\u{10ffff}", "Z\u{10ffff}a"]);
    assert_eq!(names(&app, &[("name_prefix", "z\u{d7ff}")]).await, ["Z\u{d7ff}"]);
    assert_eq!(names(&app, &[("name_prefix", "\u{10ffff}")]).await, Vec::<String>::new());
}

/// Both databases give the same order, whatever their collation.
#[rstest]
#[case(&[("name_prefix", "a")])]
#[case(&[("name_prefix", "a"), ("page_size", "1")])]
#[case(&[("name_prefix", "A"), ("page_size", "3")])]
#[tokio::test]
async fn a_prefix_orders_by_name_then_id(#[case] query: &[(&str, &str)], #[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_names(db, &["b", "aä", "ab", "A", "a-c", "AA", "a b", "a", "Ab", "aB", "a\u{1f600}", "a1"]).await;
    let ordered = ["A", "a", "a b", "a-c", "a1", "AA", "ab", "Ab", "aB", "aä", "a\u{1f600}"];
    assert_eq!(walk(&app, query).await, ordered);
}

#[rstest]
#[tokio::test]
async fn filters_combine_and_are_counted(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_names(db, &["Anna", "Annabel", "Bob", "Anton"]).await;
    let email = ("email", "USER1@example.com");
    assert_eq!(names(&app, &[email, ("name_prefix", "ann")]).await, ["Annabel"]);
    assert!(names(&app, &[email, ("name_prefix", "bob")]).await.is_empty());
    for (query, total) in [
        (vec![("name_prefix", "an")], 3),
        (vec![("name_prefix", "ann")], 2),
        (vec![email], 1),
        (vec![email, ("name_prefix", "bob")], 0),
        (vec![], 4),
    ] {
        let counted = list(&app, &[query.as_slice(), &[("include_total", "true"), ("page_size", "1")]].concat());
        let first = counted.answer().await;
        assert_eq!(first.body(200)["total"], total, "{query:?}");
        if let Some(next) = first.next_link() {
            assert_eq!(app.get(&next).answer().await.body(200)["total"], total, "{next}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn a_link_carries_its_filters(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let names = ["R&D = 100% #1 é+ü \"x\" <y>", "R&D = 100% #2 é+ü", "R&D", "Other"];
    let app = with_names(db, &names).await;
    assert_eq!(walk(&app, &[("name_prefix", "r&d = 100% #"), ("page_size", "1")]).await, names[..2]);
}

#[rstest]
#[tokio::test]
async fn a_changed_name_moves(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = with_names(db, &["Anna", "Berta"]).await;
    app.put("/api/v2/users/1", &user("Bea", "bea@example.com")).answer().await.body(200);
    assert!(names(&app, &[("name_prefix", "anna")]).await.is_empty());
    assert_eq!(names(&app, &[("name_prefix", "b")]).await, ["Bea", "Berta"]);
    assert_eq!(names(&app, &[("email", "BEA@example.com")]).await, ["Bea"]);
    assert!(names(&app, &[("email", "user0@example.com")]).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_bad_query_is_400(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let (too_long, long_email) = ("a".repeat(101), format!("{}@example.com", "a".repeat(300)));
    for query in [
        ("page_size", "0"),
        ("page_size", "-1"),
        ("page_size", "abc"),
        ("page_size", ""),
        ("page_size", "1.5"),
        ("include_total", "maybe"),
        ("include_total", "1"),
        ("email", "nowhere"),
        ("email", ""),
        ("email", &long_email),
        ("name_prefix", &too_long),
        ("page", "1"),
        ("limit", "1"),
        ("unknown", "1"),
        ("Page_Size", "1"),
    ] {
        let answer = list(&app, &[query]).answer().await;
        assert_eq!(answer.status, 400, "{query:?}: {answer:?}");
        answer.problem(400, "invalid_query");
    }
    for raw in ["email=%FF", "name_prefix=%FF", "name_prefix=%00", "page_size=1&page_size=2", "&&", "=", "email"] {
        assert!(app.get(&format!("{USERS}?{raw}")).answer().await.status < 500, "{raw}");
    }
}
