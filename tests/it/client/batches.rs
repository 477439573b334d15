//! Batches with the client, against the real server.

use std::time::Duration;

use rstest::rstest;
use user_service_client::{Client, Code, Error, Operation, User, UserFields, UserPatch};

use crate::support::{App, Db, Faults, Speaks};

fn named(name: &str) -> UserFields {
    UserFields::new(name, format!("{name}@example.com"))
}

/// Creates Ada with the id 1, and Lee with the id 2.
async fn ada_and_lee(client: &Client) -> (User, User) {
    (client.create_user(&named("ada")).await.unwrap(), client.create_user(&named("lee")).await.unwrap())
}

/// The code, the operation and the pointer of an error.
#[track_caller]
fn refused(error: &Error) -> (Code, Option<usize>, &str) {
    let problem = error.problem().unwrap_or_else(|| panic!("{error:?}"));
    let pointer = problem.fields.first().map_or("none", |wrong| wrong.pointer.as_str());
    (problem.code.clone(), problem.operation, pointer)
}

async fn count(app: &App) -> usize {
    app.everyone().await.len()
}

#[rstest]
#[tokio::test]
async fn each_operation_has_its_own_outcome(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
) {
    let app = App::start(db).await;
    let client = speaks.client(&app);
    let (ada, _) = ada_and_lee(&client).await;
    let kim = client.create_user(&named("kim")).await.unwrap();
    let rename = |name: &str| UserPatch::default().name(name);
    let wrong = named("joe").attribute("a", serde_json::json!({ "b": { "c": { "d": { "e": 1 } } } }));
    let outcomes = client
        .write_users(&[
            Operation::create(named("eve")),
            Operation::update(ada.id, rename("Ada II"), Some(&ada.etag())),
            Operation::update(ada.id, rename("Ada III"), Some(&ada.etag())),
            Operation::create(UserFields::new("Lee", "LEE@example.com")),
            Operation::update(ada.id, UserPatch::default().email("lee@example.com"), None),
            Operation::create(UserFields::new("", "joe@example.com")),
            Operation::create(wrong),
            Operation::delete(99, None),
            Operation::delete(kim.id, Some(&kim.etag())),
        ])
        .await
        .unwrap();
    let created = outcomes[0].as_ref().unwrap();
    assert_eq!(created.user.as_ref(), Some(&client.get_user(kim.id + 1).await.unwrap()));
    let updated = outcomes[1].as_ref().unwrap().user.as_ref().unwrap();
    assert_eq!((updated.name.as_str(), updated.version), ("Ada II", 2));
    assert_eq!(client.get_user(ada.id).await.unwrap(), *updated);
    assert_eq!(outcomes[8].as_ref().unwrap().user, None);
    let errors = Vec::from_iter(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).map(refused));
    assert_eq!(
        errors,
        [
            (Code::VersionMismatch, Some(2), "/etag"),
            (Code::EmailTaken, Some(3), "/email"),
            (Code::EmailTaken, Some(4), "/email"),
            (Code::InvalidUser, Some(5), "/name"),
            (Code::InvalidUser, Some(6), "/attributes/a/b/c/d"),
            (Code::UserNotFound, Some(7), "/id"),
        ]
    );
    assert_eq!(client.get_user(kim.id).await.unwrap_err().code(), Some(&Code::UserNotFound));
    assert_eq!(count(&app).await, 3);
}

#[rstest]
#[tokio::test]
async fn an_atomic_batch_is_executed_as_a_whole_or_not_at_all(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
) {
    let app = App::start(db).await;
    let client = speaks.client(&app);
    let (ada, lee) = ada_and_lee(&client).await;
    let rename = || Operation::update(ada.id, UserPatch::default().name("Ada II"), Some(&ada.etag()));
    let create = || Operation::create(named("eve"));
    for (last, error) in [
        (Operation::delete(99, None), (Code::UserNotFound, Some(2), "/id")),
        (Operation::create(named("lee")), (Code::EmailTaken, Some(2), "/email")),
        (Operation::create(named("eve")), (Code::InvalidBatch, Some(2), "/email")),
        (Operation::delete(0, None), (Code::InvalidBatch, Some(2), "/id")),
    ] {
        let failed = client.write_users_atomically(&[create(), rename(), last]).await.unwrap_err();
        assert_eq!(refused(&failed), error, "{failed}");
        assert_eq!((client.get_user(ada.id).await.unwrap(), count(&app).await), (ada.clone(), 2));
    }
    // The deletion comes first: it frees the email.
    let lee_anew = Operation::create(named("lee").external_id("hr-1"));
    let written = client.write_users_atomically(&[lee_anew, rename(), Operation::delete(lee.id, None)]).await.unwrap();
    let ids = Vec::from_iter(written.iter().map(|written| written.user.as_ref().map(|user| user.id)));
    assert!(ids[0].is_some_and(|id| id > lee.id), "{written:?}");
    assert_eq!(ids[1..], [Some(ada.id), None]);
    assert_eq!(count(&app).await, 2);
}

#[rstest]
#[tokio::test]
async fn the_same_key_makes_no_change_twice(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
) {
    let app = App::start(db).await;
    let client = speaks.client(&app);
    let (ada, _) = ada_and_lee(&client).await;
    let rename = Operation::update(ada.id, UserPatch::default().name("Ada II"), None);
    let operations = [rename, Operation::delete(99, None), Operation::create(named("eve"))];
    let (first, atomic) = ("monday".parse().unwrap(), "tuesday".parse().unwrap());
    let client = client.with_idempotency_key(first);
    let before = client.write_users(&operations).await.unwrap();
    let again = client.write_users(&operations).await.unwrap();
    for (before, again) in before.iter().zip(&again).filter_map(|(a, b)| Some((a.as_ref().ok()?, b.as_ref().ok()?))) {
        assert_eq!((before.is_replay, again.is_replay, &before.user), (false, true, &again.user));
    }
    assert!(before[1].is_err() && again[1].is_err());
    let other = client.write_users(&operations[..2]).await.unwrap_err();
    assert_eq!(other.code(), Some(&Code::IdempotencyKeyReused));
    assert_eq!(client.get_user(ada.id).await.unwrap().version, 2);

    let client = client.with_idempotency_key(atomic);
    let kim = [Operation::create(named("kim"))];
    let before = client.write_users_atomically(&kim).await.unwrap();
    let again = client.write_users_atomically(&kim).await.unwrap();
    assert_eq!((&before[0].user, again[0].is_replay), (&again[0].user, true));
    assert_eq!(count(&app).await, 4);
}

/// The network loses requests and answers, and the client sends batches again.
#[rstest]
#[tokio::test]
async fn a_lost_answer_makes_nothing_twice(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
    #[values(false, true)] atomic: bool,
) {
    const BATCHES: usize = 30;
    const SIZE: usize = 20;
    let app = App::start(db).await;
    let (ada, _) = ada_and_lee(&speaks.client(&app)).await;
    let faults = Faults::before(speaks.address(&app), 30, 4).await;
    let patient = speaks.to(faults.address()).attempt_timeout(Duration::from_secs(20)).timeout(Duration::from_mins(1));
    for batch in 0..BATCHES {
        // Each has a connection and a retry budget of its own.
        let client = patient.clone().build().unwrap();
        let creates = (0..SIZE).map(|n| Operation::create(named(&format!("john{batch}.{n}"))));
        let rename = Operation::update(ada.id, UserPatch::default().name(format!("Ada {batch}")), None);
        let operations = Vec::from_iter(creates.chain([rename]));
        let written = if atomic {
            client.write_users_atomically(&operations).await.unwrap()
        } else {
            client.write_users(&operations).await.unwrap().into_iter().map(Result::unwrap).collect()
        };
        let renamed = written[SIZE].user.as_ref().unwrap();
        // One more with every batch, not with every attempt.
        assert_eq!(renamed.version, i64::try_from(batch).unwrap() + 2);
    }
    assert_eq!(count(&app).await, BATCHES * SIZE + 2);
    assert!(faults.spoilt() > 0);
}

#[rstest]
#[tokio::test]
async fn a_batch_has_up_to_a_thousand_operations(#[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks) {
    let app = App::start(Db::Sqlite).await;
    let client = speaks.client(&app).with_timeout(Duration::from_mins(1));
    let mut operations = Vec::from_iter((0..1000).map(|n| Operation::create(named(&format!("john{n}")))));
    let outcomes = client.write_users(&operations).await.unwrap();
    let emails = outcomes.into_iter().map(|outcome| outcome.unwrap().user.unwrap().email);
    assert!(emails.eq((0..1000).map(|n| format!("john{n}@example.com"))), "in the order of the operations");
    operations.push(Operation::delete(1, None));
    assert!(matches!(client.write_users(&operations).await, Err(Error::InvalidCall(_))));
    assert!(matches!(client.write_users_atomically(&operations).await, Err(Error::InvalidCall(_))));
    assert_eq!(count(&app).await, 1000);
}

#[rstest]
#[tokio::test]
async fn users_are_got_by_their_emails(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
) {
    let app = App::start(db).await;
    let client = speaks.client(&app);
    let (ada, lee) = ada_and_lee(&client).await;
    let got = client.get_users_by_email(&["LEE@example.com", "eve@example.com", "ada@example.com"]).await.unwrap();
    assert_eq!(got, [lee, ada]);
    assert_eq!(client.get_users_by_email::<&str>(&[]).await.unwrap(), []);
    let error = client.get_users_by_email(&["ada@example.com", "nobody"]).await.unwrap_err();
    assert_eq!(refused(&error), (Code::InvalidBatch, None, "/emails/1"));
}
