//! [`Client::write_users`], [`Client::write_users_atomically`] and [`Client::get_users_by_email`]: many users at once.

use tokio::time::sleep;

use crate::call::{Attempt, Call, Kind};
use crate::client::Client;
use crate::error::{Error, Failed};
use crate::operation::{MAX_BATCH, Operation};
use crate::outcomes::{Results, Written};
#[cfg(doc)]
use crate::problem::{Code, Problem};
use crate::transport::Transport;
use crate::user::User;

impl Client {
    /// Executes up to 1,000 creates, updates and deletes with one request of at most 1 MiB. Each is executed by itself
    /// and has an outcome of its own, in the order of the operations. Those on one user, one email or one external id
    /// are executed in their order.
    ///
    /// When the service has refused some operations for now, such as with [`Code::Overloaded`], or does not know an
    /// outcome, the client sends the whole batch again, with the same idempotency key: the service executes what it has
    /// refused, and answers the rest as before. So a later call with the same
    /// [key](Client::with_idempotency_key) makes no change twice either.
    ///
    /// ```no_run
    /// use user_service_client::{Client, Operation, User, UserFields, UserPatch};
    ///
    /// # async fn example(client: Client, ada: User) -> Result<(), user_service_client::Error> {
    /// let operations = [
    ///     Operation::create(UserFields::new("Lee", "lee@example.com")),
    ///     Operation::update(ada.id, UserPatch::default().name("Ada II"), Some(&ada.etag())),
    ///     Operation::delete(99, None),
    /// ];
    /// for (operation, outcome) in operations.iter().zip(client.write_users(&operations).await?) {
    ///     match outcome {
    ///         Ok(written) => println!("{:?}", written.user),
    ///         Err(error) => println!("{operation:?}: {error}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// An outcome has the error that the operation would have had as a call of its own, and its fields are those of the
    /// operation: `name`, `id`, `etag` and so on. The call itself fails with [`Code::InvalidBatch`] for a malformed
    /// operation, such as one with the id 0, and with [`Error::InvalidCall`] for more than 1,000: then nothing was
    /// executed. After [`Error::OutcomeUnknown`] any of them may have been.
    pub async fn write_users(&self, operations: &[Operation]) -> Result<Vec<Result<Written, Error>>, Error> {
        if is_empty(operations)? {
            return Ok(Vec::new());
        }
        let call = &self.begin(Kind::Write);
        let send = || self.caller().call(call, Kind::Write, |attempt| self.write(attempt, operations, false));
        let mut results = send().await?;
        let mut pauses = self.caller().batch_pauses();
        while let Some(pause) = pauses.before_repeating(&results, call.deadline) {
            sleep(pause).await;
            match send().await {
                Ok(again) => results = again,
                Err(failed) => return Ok(results.outcomes_after(&failed, &call.request_id)),
            }
        }
        Ok(results.outcomes(&call.request_id))
    }

    /// Executes up to 1,000 creates, updates and deletes, all or none, in one transaction: first the deletes, then the
    /// updates, then the creates. No two may touch the same user, email or external id.
    ///
    /// # Errors
    /// That of an operation, which [`Problem::operation`] names; [`Code::InvalidBatch`], [`Error::InvalidCall`] for more
    /// than 1,000. Nothing was changed then. [`Error::OutcomeUnknown`].
    pub async fn write_users_atomically(&self, operations: &[Operation]) -> Result<Vec<Written>, Error> {
        if is_empty(operations)? {
            return Ok(Vec::new());
        }
        let call: &Call = &self.begin(Kind::Write);
        let write =
            |attempt| async move { self.write(attempt, operations, true).await?.all().map_err(Failed::Problem) };
        self.caller().call(call, Kind::Write, write).await
    }

    async fn write(&self, attempt: Attempt, operations: &[Operation], atomic: bool) -> Result<Results, Failed> {
        match self.transport() {
            Transport::Rest(rest) => rest.write_users(attempt, operations, atomic).await,
            Transport::Grpc(grpc) => grpc.write_users(attempt, operations, atomic).await,
        }
    }

    /// Gets several users by their emails, in the order of these, and leaves out those that do not exist. One request
    /// gets up to 1,000 users. The timeout of the call covers all requests.
    ///
    /// # Errors
    /// [`Code::InvalidBatch`] for what is no email. The call returns either all users or an error.
    pub async fn get_users_by_email<E: AsRef<str> + Sync>(&self, emails: &[E]) -> Result<Vec<User>, Error> {
        let call = &self.begin(Kind::Read);
        let mut users = Vec::with_capacity(emails.len());
        for emails in emails.chunks(MAX_BATCH) {
            let emails = &Vec::from_iter(emails.iter().map(AsRef::as_ref));
            let get = |attempt| async move {
                match self.transport() {
                    Transport::Rest(rest) => rest.get_users_by_email(attempt, emails).await,
                    Transport::Grpc(grpc) => grpc.get_users_by_email(attempt, emails).await,
                }
            };
            users.extend(self.caller().call(call, Kind::Read, get).await?);
        }
        Ok(users)
    }
}

/// Whether there is nothing to send. Too many are an error.
fn is_empty(operations: &[Operation]) -> Result<bool, Error> {
    if operations.len() > MAX_BATCH {
        let count = operations.len();
        return Err(Error::InvalidCall(format!("{count} operations are more than {MAX_BATCH}").into()));
    }
    Ok(operations.is_empty())
}
