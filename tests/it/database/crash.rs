//! `kill -9` under load.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use rstest::rstest;
use serde_json::Value;

use crate::support::{Answered, App, CLIENTS, Db, at_once, email, until, user};

const ENOUGH: usize = 1000;

/// Creates users until the server is gone, and records those that it acknowledged.
async fn create_until_cut_off(app: &App, client: usize, acknowledged: &RefCell<Vec<Value>>) {
    for turn in 0.. {
        let john = user("John", &format!("john{client}.{turn}@example.com"));
        match app.post("/api/v2/users", &john).try_answer().await {
            Ok(answer) => acknowledged.borrow_mut().push(answer.body(201)),
            Err(_) => return,
        }
    }
}

#[rstest]
#[tokio::test]
async fn every_acknowledged_user_is_there_afterwards(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let mut app = App::start(db).await;
    let acknowledged = RefCell::new(Vec::new());
    let at_kill = Cell::new(0);
    let work = at_once(CLIENTS, async |client: usize| {
        create_until_cut_off(&app, client, &acknowledged).await;
    });
    let kill = async {
        until("enough users are acknowledged", Duration::from_mins(1), async || acknowledged.borrow().len() >= ENOUGH)
            .await;
        app.signal("KILL");
        at_kill.set(acknowledged.borrow().len());
    };
    futures::join!(work, kill);
    assert!(at_kill.get() >= ENOUGH, "the server was killed under load");

    app.restart().await;
    let found = app.by_email().await;
    for user in acknowledged.borrow().iter() {
        assert_eq!(found.get(email(user)), Some(user), "an acknowledged user is lost");
    }
    let created = app.create("Late", "late@example.com").await;
    assert!(found.values().all(|user| user["id"] != created["id"]), "an id is used once");
}
