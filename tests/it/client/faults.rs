//! The client and the real server with a bad network between them.

use std::collections::HashSet;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use rstest::rstest;
use tokio::time::timeout;
use user_service_client::{Client, Code, Error, ListUsers, User, UserFields, WatchUsers};

use crate::support::{App, Db, Faults, Speaks, email};

/// The percentage of exchanges with a fault.
const PERCENT: u64 = 10;
/// Each client has its own connection, even where a protocol needs only one.
const CLIENTS: usize = 16;

/// Clients that call through the proxy.
fn clients(speaks: Speaks, faults: &Faults) -> Vec<Client> {
    (0..CLIENTS).map(|_| client(speaks, faults)).collect()
}

/// A client with long timeouts. No fault leaves a call without an answer for ever, so even on a busy machine a call is
/// repeated only because of a fault.
fn client(speaks: Speaks, faults: &Faults) -> Client {
    let patient = speaks.to(faults.address()).attempt_timeout(Duration::from_secs(20)).timeout(Duration::from_mins(1));
    patient.build().unwrap()
}

#[rstest]
#[tokio::test]
async fn safe_calls_succeed(#[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks) {
    const CALLS: usize = 2048;
    let app = App::start(Db::Sqlite).await;
    let direct = speaks.client(&app);
    for n in 0..20 {
        direct.create_user(&UserFields::new("John", format!("john{n}@example.com"))).await.unwrap();
    }
    let faults = Faults::before(speaks.address(&app), PERCENT, 1).await;
    let clients = clients(speaks, &faults);
    let reads = async |client: &Client| {
        let results = futures::stream::iter(0..CALLS / CLIENTS).then(|turn| read(client, turn));
        results.filter_map(async |result| result.err()).collect::<Vec<_>>().await
    };
    let failed = futures::future::join_all(clients.iter().map(reads)).await.concat();
    assert!(faults.spoilt() > 100, "{}", faults.spoilt());
    assert!(failed.len() * 1000 <= CALLS, "{} of {CALLS}: {failed:#?}", failed.len());
}

/// Makes one of the safe calls and checks its answer.
async fn read(client: &Client, turn: usize) -> Result<(), String> {
    let right = match turn % 8 {
        0 => client.list_users(ListUsers::new().page_size(10)).try_collect::<Vec<_>>().await.map(|all| all.len() == 20),
        1 => {
            client.get_users(&[3, 99, 2]).await.map(|users| Vec::from_iter(users.iter().map(|user| user.id)) == [3, 2])
        }
        2 => client.get_user(99).await.map_or_else(is_not_found, |_| Ok(false)),
        _ => client.get_user(7).await.map(|user| user.id == 7),
    };
    assert!(right.map_err(|error| error.to_string())?, "call {turn}");
    Ok(())
}

fn is_not_found(error: Error) -> Result<bool, Error> {
    if error.code() == Some(&Code::UserNotFound) { Ok(true) } else { Err(error) }
}

#[rstest]
#[tokio::test]
async fn every_create_is_done_once(
    #[values(Db::Sqlite, Db::Postgres)] db: Db,
    #[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks,
) {
    const CREATES: usize = 50;
    let app = App::start(db).await;
    let faults = Faults::before(speaks.address(&app), PERCENT, 2).await;
    let create = async |(client, n): (Client, usize)| {
        let mut outcomes = Vec::new();
        for turn in 0..CREATES {
            let email = format!("john{n}.{turn}@example.com");
            let outcome = client.create_user(&UserFields::new("John", &email)).await;
            outcomes.push((email, outcome));
        }
        outcomes
    };
    let clients = clients(speaks, &faults).into_iter().zip(0..);
    let outcomes = futures::future::join_all(clients.map(create)).await;
    let outcomes = Vec::from_iter(outcomes.into_iter().flatten());
    let is_there = app.everyone().await.iter().map(|user| email(user).to_owned()).collect::<HashSet<_>>();
    for (email, outcome) in &outcomes {
        // The error is never `email_taken`, which a second attempt would cause if it were executed.
        let created = outcome.as_ref().unwrap_or_else(|error| panic!("{email}: {error:?}"));
        assert!(created.version == 1 && is_there.contains(email), "{email} was created");
    }
    assert_eq!(is_there.len(), outcomes.len());
    let metrics = app.metrics().await;
    assert!(faults.spoilt() > 0 && metrics.value("idempotency_replays_total") > 0.0, "some answers are lost");
    // The same holds for answers that were lost.
    assert_eq!(metrics.sum("http_requests_total", &[("status", "409")]), 0);
    assert_eq!(metrics.sum("grpc_requests_total", &[("code", "ALREADY_EXISTS")]), 0);
}

#[rstest]
#[tokio::test]
async fn no_event_is_missed(#[values(Speaks::Rest, Speaks::Grpc)] speaks: Speaks) {
    const USERS: usize = 40;
    let app = App::start(Db::Sqlite).await;
    let faults = Faults::before(speaks.address(&app), 30, 3).await;
    let client = client(speaks, &faults);
    let notices = client.watch_users(WatchUsers::new().after(0));
    let events = notices.try_filter_map(async |notice| Ok(notice.event)).take(USERS).try_collect::<Vec<_>>();
    let direct = speaks.client(&app);
    let create = async {
        let mut users = Vec::<User>::new();
        for n in 0..USERS {
            users.push(direct.create_user(&UserFields::new("John", format!("john{n}@example.com"))).await.unwrap());
            // A pause between changes sends each event by itself, so that the proxy can lose it.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        users
    };
    let (events, users) = tokio::join!(timeout(Duration::from_mins(1), events), create);
    let told = Vec::from_iter(events.expect("all events in time").unwrap().into_iter().filter_map(|event| event.user));
    assert_eq!(told, users);
    assert!(faults.spoilt() > 0);
}
