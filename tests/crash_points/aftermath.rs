use std::collections::BTreeSet;
use std::time::Duration;

use user_service_checker::{Operation, Outcome};

use crate::client::{Clients, Record};
use crate::evidence::Evidence;
use crate::flaws::flaws;
use crate::origin::{DECOMPOSED, OLD, Origin};
use crate::point::Phase;
use crate::rows::Rows;
use crate::support::{Connection, Db, Server, until};
use crate::trial::{Bench, Cut};
use crate::verdict;

const SOON: Duration = Duration::from_secs(15);

/// Starts the service anew on what the fault has left, without a fault, and judges all that clients, readers and the files
/// tell.
pub async fn judge(origin: &Origin, bench: &Bench, record: &Record, cut: &Cut, evidence: &mut Evidence) {
    if origin.phase == Phase::Pruning {
        judge_half_pruned(origin, bench, record);
    }
    let server = Server::listening(origin.program(&bench.database));
    server.ready().await;
    look_at_everything(origin, &Clients::of(server.address(), record, false), record).await;
    let mut connection = bench.database.connect();
    match origin.phase {
        Phase::Pruning => {
            let pruned_to = "SELECT CAST(pruned_to AS TEXT) AS fact FROM event_log";
            let all = [origin.last().to_string()];
            until("all old events are pruned", SOON, async || connection.facts(pruned_to) == all).await;
        }
        Phase::Upgrade => {
            let name_key = format!("SELECT name_key AS fact FROM users WHERE id = {DECOMPOSED} AND has_keys");
            let new = [format!("{OLD}jos\u{e9}")];
            until("the keys are computed", SOON, async || connection.facts(&name_key) == new).await;
        }
        Phase::Create | Phase::Changes => {}
    }
    for flaw in flaws_but_new_keys(origin, &mut connection) {
        record.object(format!("DatabaseFlaw: {flaw}"));
    }
    let rows = Rows::read(&mut connection);
    evidence.log = format!("{}\n=== another process ===\n{}", cut.log, server.log());
    verdict::judge(origin, record, &cut.told, &rows, evidence);
}

/// Before the service goes on: nothing is pruned that `pruned_to` does not tell of, and the reverse.
fn judge_half_pruned(origin: &Origin, bench: &Bench, record: &Record) {
    let copied = Db::Sqlite.fresh();
    crate::origin::copy(&bench.left(), &copied.file());
    let mut connection = copied.connect();
    for flaw in flaws(&mut connection) {
        record.object(format!("DatabaseFlaw: before the start: {flaw}"));
    }
    for what in verdict::log_complaints(origin, &Rows::read(&mut connection)) {
        record.object(format!("before the start: {what}"));
    }
}

/// Asks for every user that was ever seen, and for all of each group, and makes a last change of each kind.
async fn look_at_everything(origin: &Origin, clients: &Clients<'_>, record: &Record) {
    let ids = {
        let calls = record.calls.borrow();
        let shown = calls.iter().flat_map(|call| match &call.outcome {
            Outcome::User(user) => vec![user.id],
            Outcome::Users { users } => users.iter().map(|user| user.id).collect(),
            _ => Vec::new(),
        });
        BTreeSet::from_iter(shown)
    };
    let prefixes = origin.groups.iter().map(|group| group.prefix.clone());
    for name_prefix in prefixes.chain([OLD.to_owned(), "again-".to_owned()]) {
        clients.insist(|_| Operation::List { name_prefix: name_prefix.clone() }).await;
    }
    for id in ids {
        clients.insist(|_| Operation::Get { id }).await;
    }
    let create = |n| Operation::Create { name: format!("last-{n}"), email: format!("last-{n}@example.com") };
    let Some(created) = clients.insist(create).await else { return };
    let Outcome::User(user) = &created.outcome else {
        return record.object(format!("NotServed: {created}"));
    };
    let (id, if_match) = (user.id, Some(user.version));
    clients.insist(|n| Operation::Patch { id, name: Some(format!("late-{n}")), email: None, if_match }).await;
    clients.insist(|_| Operation::Delete { id, if_match: None }).await;
}

/// The key of the user whose name has another key by now is checked by itself: SQLite knows ASCII only.
fn flaws_but_new_keys(origin: &Origin, connection: &mut Connection) -> Vec<String> {
    let mut flaws = flaws(connection);
    if origin.phase == Phase::Upgrade {
        flaws.retain(|flaw| *flaw != format!("the keys of user {DECOMPOSED} do not fit"));
    }
    flaws
}
