use std::sync::{Condvar, Mutex};

/// What threads of a model wait for.
#[derive(Default)]
pub(crate) struct Flag {
    raised: Mutex<bool>,
    changes: Condvar,
}

impl Flag {
    pub(crate) fn raise(&self) {
        *self.raised.lock().unwrap() = true;
        self.changes.notify_all();
    }

    pub(crate) fn wait(&self) {
        let mut raised = self.raised.lock().unwrap();
        while !*raised {
            raised = self.changes.wait(raised).unwrap();
        }
    }
}
