//! `X-Request-Id`: the caller's id if it is valid, otherwise a new one.

use std::collections::HashSet;

use crate::support::{Answered, App, Db};

const PATHS: [&str; 5] = ["/health", "/api/v1/users", "/api/v2/users/1", "/nothing", "/api/v2/users?page_size=0"];

async fn returned(app: &App, path: &str, sent: &str) -> String {
    app.get(path).header("X-Request-Id", sent).answer().await.header("x-request-id").to_owned()
}

#[tokio::test]
async fn a_sane_one_is_returned() {
    let app = App::start(Db::Sqlite).await;
    let longest = "a".repeat(64);
    for sent in ["1", "abc-DEF_1.2", &longest] {
        for path in PATHS {
            assert_eq!(returned(&app, path, sent).await, sent, "{path}");
        }
    }
}

#[tokio::test]
async fn any_other_is_replaced() {
    let app = App::start(Db::Sqlite).await;
    let too_long = "a".repeat(65);
    for sent in ["", "a b", "a/b", "<script>", "a;b", "é", &too_long] {
        let new = returned(&app, "/health", sent).await;
        assert_ne!(new, sent);
        assert!((1..=64).contains(&new.len()), "{new}");
    }
}

#[tokio::test]
async fn a_new_one_is_given_to_each() {
    let app = App::start(Db::Sqlite).await;
    let mut seen = HashSet::new();
    for path in PATHS.iter().cycle().take(50) {
        let new = app.get(path).answer().await.header("x-request-id").to_owned();
        assert!(seen.insert(new.clone()), "{new} is repeated");
    }
}
