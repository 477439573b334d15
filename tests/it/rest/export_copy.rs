//! An export, and the live stream after it, make a whole copy: whatever is written meanwhile.

use std::cell::Cell;
use std::collections::BTreeMap;

use futures::future::{join, join_all};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{Answered, App, Db, Export, LiveStream, Told, seeded, user};

const SEEDED: u32 = 2500;
const WRITERS: u64 = 4;

/// A copy of the users, as docs/events.md tells a consumer to keep one.
struct Copy(BTreeMap<i64, Value>);

impl Copy {
    fn begin(export: &Export) -> Self {
        let entry = |user: &Value| (user["id"].as_i64().unwrap(), user.clone());
        let copy = BTreeMap::from_iter(export.users.iter().map(entry));
        assert_eq!(copy.len(), export.users.len(), "everybody is there once");
        Self(copy)
    }

    fn apply(&mut self, told: &Told) {
        let known = self.0.get(&told.user_id()).map_or(0, |user| user["version"].as_i64().unwrap());
        if told.version() <= known {
            return;
        }
        if told.name == "user.deleted" {
            self.0.remove(&told.user_id());
        } else {
            self.0.insert(told.user_id(), told.data["data"].clone());
        }
    }
}

/// Creates, changes and deletes users all over the table, until it is stopped. Returns how many changes it has made.
async fn write(app: &App, number: u64, stopped: &Cell<bool>) -> u64 {
    let mut changes = 0;
    for turn in 0.. {
        if stopped.get() {
            return changes;
        }
        let email = format!("writer{number}.{turn}@example.com");
        let created = app.post("/api/v2/users", &user("New", &email)).answer().await;
        let path = |id: u64| format!("/api/v2/users/{id}");
        let id = (turn * 37 + number * 625) % u64::from(SEEDED) + 1;
        let patched = app.patch(&path(id), &json!({ "name": format!("Changed {turn}") })).answer().await;
        let id = (turn * 53 + number * 625 + 300) % u64::from(SEEDED) + 1;
        let deleted = app.delete(&path(id)).answer().await;
        changes += [created, patched, deleted].iter().filter(|answer| answer.status < 300).count() as u64;
    }
    changes
}

/// Follows the stream until a last change that is made here.
async fn follow(app: &App, copy: &mut Copy, resume_after: i64, last: &str) {
    let mut stream = LiveStream::resume(app, resume_after).await;
    loop {
        let told = stream.next().await.expect("an event");
        copy.apply(&told);
        if told.data["data"]["email"] == last {
            return;
        }
    }
}

#[rstest]
#[tokio::test]
async fn an_export_and_the_stream_make_a_copy(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = seeded(db, SEEDED, &[]).await;
    let stopped = Cell::new(false);
    let exports = async {
        let mut exports = Vec::new();
        for _ in 0..6 {
            exports.push(Export::of(&app).await);
        }
        stopped.set(true);
        exports
    };
    let writers = join_all((0..WRITERS).map(|number| write(&app, number, &stopped)));
    let (exports, changes) = join(exports, writers).await;
    assert!(changes.iter().sum::<u64>() > 50, "{changes:?}");
    let last = "last@example.com";
    app.create("Last", last).await;
    let everyone = app.everyone().await;
    assert!(exports[0].users != everyone);
    for export in exports {
        let mut copy = Copy::begin(&export);
        follow(&app, &mut copy, export.resume_after, last).await;
        assert!(copy.0.into_values().eq(everyone.iter().cloned()), "after {}", export.resume_after);
    }
}
