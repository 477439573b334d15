use tonic::Status;

/// A callback for the end of a call. Runs with the call's status, or with `CANCELLED` if it is dropped before.
pub(super) struct Completion(Option<Callback>);

type Callback = Box<dyn FnOnce(&Status)>;

impl Completion {
    pub(super) fn new(callback: impl FnOnce(&Status) + 'static) -> Self {
        Self(Some(Box::new(callback)))
    }

    pub(super) fn complete(mut self, status: &Status) {
        self.run(status);
    }

    fn run(&mut self, status: &Status) {
        if let Some(callback) = self.0.take() {
            callback(status);
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.run(&Status::cancelled(""));
    }
}
