use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures::future::{join_all, pending, select};
use tokio::time::sleep;

use crate::client::{Clients, Record};
use crate::clock::now;
use crate::group::Group;
use crate::origin::{GROUPS, Origin};
use crate::plan;
use crate::point::Fault;
use crate::support::{Server, Strace};

/// How many clients there are: two of each group.
const CLIENTS: usize = 2 * GROUPS;
/// How many steps each client takes while nothing happens; in a trial it then waits for the fault so many times longer.
const STEPS: usize = 14;
const PATIENCE: usize = 4;
/// How many steps each client takes when a call has failed.
const AFTERWARDS: usize = 5;
const POLL: Duration = Duration::from_millis(10);

/// Has clients change users, in a trial until a while after the fault has struck. Returns when a call of the thread that writes
/// was seen to have failed.
pub async fn run(
    server: &Server,
    origin: &Origin,
    record: &Record,
    fault: Option<(Fault, &Strace)>,
    seed: u64,
) -> Option<u64> {
    let groups = Vec::from_iter(origin.groups.iter().cloned().map(RefCell::new));
    let (is_struck, writer_struck) = (Cell::new(false), Cell::new(None));
    let watch = async {
        let Some((_, strace)) = fault else { return pending().await };
        while !strace.has_failed_a_call() {
            sleep(POLL).await;
        }
        is_struck.set(true);
        while !strace.has_failed_a_call_of("writes") {
            sleep(POLL).await;
        }
        writer_struck.set(Some(now()));
        pending::<()>().await;
    };
    let clients = run_clients(server, &groups, record, fault.map(|(fault, _)| (fault, &is_struck)), seed);
    drop(select(Box::pin(clients), Box::pin(watch)).await);
    writer_struck.get()
}

/// Has clients take their steps.
pub async fn run_clients(
    server: &Server,
    groups: &[RefCell<Group>],
    record: &Record,
    fault: Option<(Fault, &Cell<bool>)>,
    seed: u64,
) {
    let may_die = fault.is_some_and(|(fault, _)| fault.kills());
    let clients = Clients::of(server.address(), record, may_die);
    let most = if fault.is_some() { STEPS * PATIENCE } else { STEPS };
    join_all((1..=CLIENTS).map(async |number: usize| {
        let (client, group) = (u32::try_from(number).expect("few clients"), &groups[number % groups.len()]);
        let mut left = most;
        for step in plan::steps(seed, client) {
            if fault.is_some_and(|(_, is_struck)| is_struck.get()) {
                left = left.min(AFTERWARDS);
            }
            if left == 0 {
                return;
            }
            left -= 1;
            let operation = group.borrow_mut().operation(&step);
            let Some(call) = clients.call(client, operation).await else { return };
            group.borrow_mut().note(step.place, &call);
        }
    }))
    .await;
}
