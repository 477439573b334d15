//! Imports with the client, against the real server.

use std::convert::Infallible;
use std::ops::Range;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt as _};
use rstest::rstest;
use tokio::time::{sleep, timeout};
use user_service_client::{Client, Code, Error, Import, ImportState, OnConflict, Status, UserFields};

use crate::support::{App, Db, Speaks};

fn john(n: usize) -> UserFields {
    UserFields::new(format!("John {n}"), format!("john{n}@example.com")).external_id(format!("hr-{n}"))
}

fn johns(range: Range<usize>) -> impl Stream<Item = Result<UserFields, Infallible>> + Send + 'static {
    stream::iter(range.map(|n| Ok(john(n))))
}

#[track_caller]
fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> Code {
    let error = result.expect_err("an error");
    error.code().unwrap_or_else(|| panic!("not a problem: {error:?}")).clone()
}

/// Counts of an import: records, created, updated, skipped, failed.
const fn counts(import: &Import) -> [u64; 5] {
    [import.records, import.created, import.updated, import.skipped, import.failed]
}

#[rstest]
#[tokio::test]
async fn a_stream_is_imported(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let client = Speaks::Rest.client(&app);
    let first = client.import_users("monday", johns(0..2500), OnConflict::Fail).await.unwrap();
    assert_eq!((first.state, counts(&first), first.next_line), (ImportState::Completed, [2500, 2500, 0, 0, 0], 2501));
    assert_eq!(client.import("monday").await.unwrap(), first);
    assert_eq!(app.everyone().await.len(), 2500);

    // Once more it changes nothing; another file is none of this import.
    assert_eq!(client.import_users("monday", johns(0..2500), OnConflict::Fail).await.unwrap(), first);
    assert_eq!(code(client.import_users("monday", johns(1..2501), OnConflict::Fail).await), Code::ImportConflict);
    assert_eq!(code(client.import_users("monday", johns(0..2500), OnConflict::Skip).await), Code::ImportConflict);

    client.forget_import("monday").await.unwrap();
    assert_eq!(code(client.import("monday").await), Code::ImportNotFound);
    assert_eq!(code(client.forget_import("monday").await), Code::ImportNotFound);
    assert_eq!(app.everyone().await.len(), 2500);
}

#[rstest]
#[tokio::test]
async fn users_that_fail_are_named(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let client = Speaks::Rest.client(&app);
    client.create_user(&john(1)).await.unwrap();
    let users = || {
        let disabled = john(1).status(Status::Disabled).attribute("a", 1);
        stream::iter([john(0), disabled, UserFields::new("", "x@example.com")].map(Ok::<_, Infallible>))
    };
    let import = client.import_users("fail", users(), OnConflict::Fail).await.unwrap();
    assert_eq!(counts(&import), [3, 1, 0, 0, 2]);
    let failures = Vec::from_iter(import.failures.iter().map(|it| (it.line, &it.code, it.pointer.as_deref())));
    assert_eq!(failures, [(2, &Code::EmailTaken, Some("/email")), (3, &Code::InvalidUser, Some("/name"))]);
    let import = client.import_users("update", users(), OnConflict::Update).await.unwrap();
    assert_eq!(counts(&import), [3, 0, 1, 1, 1]);
    let updated = client.get_user(1).await.unwrap();
    assert_eq!((updated.status, updated.attributes["a"].as_i64()), (Status::Disabled, Some(1)));
}

/// How far an import has come that was cut, once the service has noticed.
async fn interrupted(client: &Client, id: &str) -> Import {
    let asked = async {
        loop {
            match client.import(id).await {
                Ok(import) if import.state == ImportState::Interrupted => return import,
                _ => sleep(Duration::from_millis(50)).await,
            }
        }
    };
    timeout(Duration::from_secs(30), asked).await.expect("the service notices the cut")
}

#[rstest]
#[tokio::test]
async fn a_cut_import_goes_on(#[values(Db::Sqlite, Db::Postgres)] db: Db) {
    let app = App::start(db).await;
    let client = Speaks::Rest.client(&app);
    let broken = johns(0..3000).map(|user| user.map_err(|never| match never {}));
    let broken = broken.chain(stream::iter([Err("the source is lost")]));
    let error = client.import_users("monday", broken, OnConflict::Fail).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown { .. }), "{error:?}");
    let stored = interrupted(&client, "monday").await;
    let next = usize::try_from(stored.next_line).unwrap();
    assert!(next > 1, "some users are stored");
    let elsewhere = client.resume_import("monday", stored.next_line + 1, johns(next..4000), OnConflict::Fail).await;
    assert_eq!(code(elsewhere), Code::ImportConflict);
    let import = client.resume_import("monday", stored.next_line, johns(next - 1..4000), OnConflict::Fail).await;
    let import = import.unwrap();
    assert_eq!((import.state, counts(&import)), (ImportState::Completed, [4000, 4000, 0, 0, 0]));
    assert_eq!(app.everyone().await.len(), 4000);
}

#[rstest]
#[tokio::test]
async fn grpc_has_no_imports() {
    let app = App::start(Db::Sqlite).await;
    let client = Speaks::Grpc.client(&app);
    let imported = client.import_users("monday", johns(0..1), OnConflict::Fail).await;
    assert!(matches!(imported, Err(Error::InvalidCall(_))), "{imported:?}");
    assert!(matches!(client.import("monday").await, Err(Error::InvalidCall(_))));
    assert_eq!(app.everyone().await.len(), 0);
}
