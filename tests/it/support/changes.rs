use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};

use super::{Answered, Delivery, Server, user};

/// Clients that change users, each its own, until they are told to stop, and note what they are told.
#[derive(Default)]
pub struct Changes {
    /// The user's id and version, for each change that was acknowledged.
    acknowledged: RefCell<Vec<(u64, u64)>>,
    arrived: RefCell<Arrived>,
    stopped: Cell<bool>,
}

#[derive(Default)]
struct Arrived {
    looked_at: usize,
    changes: HashSet<(u64, u64)>,
    /// So many of the acknowledged ones, from the first on, are among them.
    complete: usize,
}

/// It ended while it was asked.
struct ServerIsGone;

impl Changes {
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.borrow().len()
    }

    pub fn stop(&self) {
        self.stopped.set(true);
    }

    /// One client's work; `name` tells it from others. Ends when the server is gone, or when all are to stop.
    pub async fn make(&self, server: &Server, name: &str) {
        for turn in 0.. {
            if self.stopped.get() || self.change_a_user(server, &format!("{name}.{turn}@example.com")).await.is_err() {
                return;
            }
        }
    }

    async fn change_a_user(&self, server: &Server, email: &str) -> Result<(), ServerIsGone> {
        let Some(id) = self.note(server.post("/api/v2/users", &user("John", email))).await? else { return Ok(()) };
        let path = format!("/api/v2/users/{id}");
        for name in ["Jack", "Jim"] {
            self.note(server.patch(&path, &json!({ "name": name }))).await?;
        }
        Ok(())
    }

    /// The id of the user, if the change was acknowledged. On a busy machine the disk may take longer than the deadline: a
    /// client goes on after that, or a moment's stall would end them all.
    async fn note(&self, request: reqwest::RequestBuilder) -> Result<Option<u64>, ServerIsGone> {
        let answer = request.try_answer().await.map_err(|_| ServerIsGone)?;
        if matches!(answer.status, 503 | 504) {
            return Ok(None);
        }
        assert!(matches!(answer.status, 200 | 201), "neither acknowledged nor too late: {answer:?}");
        let user: Value = serde_json::from_str(&answer.text).map_err(|_| ServerIsGone)?;
        let number = |name: &str| user[name].as_u64().expect("a number");
        self.acknowledged.borrow_mut().push((number("id"), number("version")));
        Ok(Some(number("id")))
    }

    /// Whether all that was acknowledged has arrived. It is asked again and again, and there are many: it looks at each
    /// delivery once.
    pub fn have_arrived(&self, deliveries: &[Delivery]) -> bool {
        let Arrived { looked_at, changes, complete } = &mut *self.arrived.borrow_mut();
        changes.extend(deliveries.iter().skip(*looked_at).map(change));
        *looked_at = deliveries.len();
        let acknowledged = self.acknowledged.borrow();
        while acknowledged.get(*complete).is_some_and(|change| changes.contains(change)) {
            *complete += 1;
        }
        *complete == acknowledged.len()
    }

    /// All that was acknowledged has arrived; what arrived is in the database; what arrived twice was the same twice; and one
    /// user's changes came in order, and all of them.
    pub fn check(&self, deliveries: &[Delivery], everyone: &[Value]) {
        assert!(self.have_arrived(deliveries), "lost");
        let versions: HashMap<_, _> =
            everyone.iter().map(|user| (user["id"].as_u64().unwrap(), user["version"].as_u64().unwrap())).collect();
        let mut told: BTreeMap<(u64, u64), &Value> = BTreeMap::new();
        let mut last: HashMap<u64, u64> = HashMap::new();
        for delivery in deliveries {
            let (id, version) = change(delivery);
            assert!(versions.get(&id).is_some_and(|last| version <= *last), "not in the database: {delivery:?}");
            let first = told.entry((id, version)).or_insert(&delivery.body);
            assert_eq!(*first, &delivery.body, "the same event twice");
            let last = last.entry(id).or_default();
            assert!(version <= *last + 1, "user {id}: version {version} after {last}");
            *last = version.max(*last);
        }
        let ids: HashSet<_> = told.values().map(|body| body["id"].as_str().expect("an id")).collect();
        assert_eq!(ids.len(), told.len(), "an id is used once");
    }
}

fn change(delivery: &Delivery) -> (u64, u64) {
    let number = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).expect("a number");
    (number(&delivery.body["subject"]), number(&delivery.body["sequence"]))
}
