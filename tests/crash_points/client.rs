use std::cell::RefCell;
use std::time::Duration;

use tokio::time::sleep;
use user_service_checker::{Call, Operation, Outcome, Protocol};

use crate::clock::now;
use crate::freshness::Asked;
use crate::outcome::Answer;
use crate::rest::Rest;
use crate::support::TOKEN;

/// How often a call is repeated that has to be executed in the end, ten times a second.
const TRIES: usize = 150;

/// All calls of a trial, and answers that the service must never give.
#[derive(Default)]
pub struct Record {
    pub calls: RefCell<Vec<Call>>,
    pub objections: RefCell<Vec<String>>,
}

/// Clients of one process of the service.
pub struct Clients<'record> {
    rest: Rest,
    address: String,
    record: &'record Record,
    /// Whether the process may be killed at any moment. Otherwise each call has an answer.
    may_die: bool,
}

impl Record {
    pub fn object(&self, what: String) {
        self.objections.borrow_mut().push(what);
    }
}

impl<'record> Clients<'record> {
    pub fn of(address: &str, record: &'record Record, may_die: bool) -> Self {
        Self { rest: Rest::new(&TOKEN), address: address.to_owned(), record, may_die }
    }

    /// Makes a client's call, and records it. `None` when nobody listens any more.
    pub async fn call(&self, client: u32, operation: Operation) -> Option<Call> {
        let start = now();
        let (answer, _) = self.rest.call(&self.address, &operation, &Asked::default()).await;
        let mut is_gone = false;
        let (end, outcome) = match answer {
            Answer::Known(outcome) => (Some(now()), outcome),
            Answer::Unsent => {
                is_gone = true;
                (Some(now()), Outcome::Refused)
            }
            Answer::Lost => (None, Outcome::Unknown),
            Answer::Impossible(what) => {
                self.record.object(format!("ImpossibleAnswer: {what}"));
                (None, Outcome::Unknown)
            }
        };
        if end.is_none() || is_gone {
            self.expect_an_answer(&operation);
        }
        let call = Call { client, protocol: Protocol::Rest, operation, start, end, outcome };
        self.record.calls.borrow_mut().push(call.clone());
        (!is_gone).then_some(call)
    }

    /// Makes a call until it is executed; each attempt has a number.
    pub async fn insist(&self, operation: impl Fn(usize) -> Operation) -> Option<Call> {
        for attempt in 1..=TRIES {
            let call = self.call(0, operation(attempt)).await?;
            if !matches!(call.outcome, Outcome::Refused | Outcome::Unknown) {
                return Some(call);
            }
            sleep(Duration::from_millis(100)).await;
        }
        self.record.object(format!("NotServed: {} is still refused", operation(TRIES)));
        None
    }

    fn expect_an_answer(&self, operation: &Operation) {
        if !self.may_die {
            self.record.object(format!("NoAnswer: {operation} was not answered, although nobody killed the service"));
        }
    }
}
