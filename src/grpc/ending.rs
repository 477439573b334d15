use tonic::Status;

/// What is to be done when a call has ended: with the status that it ended with, or as cancelled when it is dropped before.
pub(super) struct Ending(Option<Tell>);

type Tell = Box<dyn FnOnce(&Status)>;

impl Ending {
    pub(super) fn new(end: impl FnOnce(&Status) + 'static) -> Self {
        Self(Some(Box::new(end)))
    }

    pub(super) fn end(mut self, status: &Status) {
        self.tell(status);
    }

    fn tell(&mut self, status: &Status) {
        if let Some(end) = self.0.take() {
            end(status);
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.tell(&Status::cancelled(""));
    }
}
