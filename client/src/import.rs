//! [`Client::import_users`]: users from a stream of any length.

use futures_util::stream::Stream;

use crate::call::Kind;
use crate::client::Client;
use crate::error::Error;
use crate::fields::UserFields;
use crate::imported::{Import, OnConflict};
use crate::problem::Code;
use crate::rest::Rest;
use crate::token::BoxError;
use crate::transport::Transport;
use crate::upload::Upload;

impl Client {
    /// Imports users from a stream of any length, which is sent while it is read. The id is your own name for the
    /// import: 1 to 100 letters, digits, `.`, `_` or `-`. Imports need REST.
    ///
    /// A stream cannot be read twice, so the client sends it once and repeats nothing, and neither the timeout of the
    /// call nor that of an attempt applies: to give up, drop the future. After a cut ask [`import`](Self::import) how far
    /// it has come, and call [`resume_import`](Self::resume_import) with the rest. Or call this method with all users
    /// again: the service passes over what it has stored. Nothing is imported twice. An error of the stream cuts the
    /// import in the same way.
    ///
    /// ```no_run
    /// use futures_util::{StreamExt as _, stream};
    /// use user_service_client::{Client, OnConflict, UserFields};
    ///
    /// # async fn example(client: Client) -> Result<(), user_service_client::Error> {
    /// let names = stream::iter(["Ada", "Lee"]);
    /// let users = names.map(|name| Ok::<_, std::io::Error>(UserFields::new(name, format!("{name}@example.com"))));
    /// let import = client.import_users("2026-12-01", users, OnConflict::Skip).await?;
    /// println!("{} created, {} failed", import.created, import.failed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Code::ImportConflict`] if the users differ from those that an import with this id has stored, or another upload
    /// of it is under way, for up to 5 s after a cut; [`Code::InvalidFile`]; [`Error::OutcomeUnknown`] after a cut. What
    /// comes before an error may be stored. [`Error::InvalidCall`] for a malformed id, and over gRPC.
    pub async fn import_users<S, E>(&self, id: &str, users: S, on_conflict: OnConflict) -> Result<Import, Error>
    where
        S: Stream<Item = Result<UserFields, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.upload(Upload::new(id, None, users, on_conflict)).await
    }

    /// Goes on with an import: `users` begin at its line `next_line`, see [`Import::next_line`]. In other words, leave out
    /// the first `next_line - 1`.
    ///
    /// # Errors
    /// As [`import_users`](Self::import_users); [`Code::ImportConflict`] also if it is another line.
    pub async fn resume_import<S, E>(
        &self,
        id: &str,
        next_line: u64,
        users: S,
        on_conflict: OnConflict,
    ) -> Result<Import, Error>
    where
        S: Stream<Item = Result<UserFields, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.upload(Upload::new(id, Some(next_line), users, on_conflict)).await
    }

    async fn upload(&self, upload: Upload) -> Result<Import, Error> {
        check(&upload.id)?;
        let rest = self.rest_for_imports()?;
        let call = self.begin(Kind::Write);
        self.caller().once(&call, |headers| rest.upload(headers, upload)).await
    }

    /// How far an import has come.
    ///
    /// # Errors
    /// [`Code::ImportNotFound`]; [`Error::InvalidCall`] for a malformed id, and over gRPC.
    pub async fn import(&self, id: &str) -> Result<Import, Error> {
        check(id)?;
        let rest = self.rest_for_imports()?;
        let call = &self.begin(Kind::Read);
        self.caller().call(call, Kind::Read, |attempt| rest.import(attempt, id)).await
    }

    /// Forgets an import, so that its id is free; its users stay. Imports are forgotten by themselves a week after their
    /// last change.
    ///
    /// # Errors
    /// [`Code::ImportNotFound`], [`Code::ImportConflict`] while it is under way; [`Error::OutcomeUnknown`];
    /// [`Error::InvalidCall`] for a malformed id, and over gRPC.
    pub async fn forget_import(&self, id: &str) -> Result<(), Error> {
        check(id)?;
        let rest = self.rest_for_imports()?;
        let call = &self.begin(Kind::Write);
        let result = self.caller().call(call, Kind::Write, |attempt| rest.forget_import(attempt, id)).await;
        match result {
            // An earlier attempt, whose answer was lost, has forgotten it.
            Err(error @ Error::OutcomeUnknown { .. }) if error.code() == Some(&Code::ImportNotFound) => Ok(()),
            result => result,
        }
    }

    fn rest_for_imports(&self) -> Result<&Rest, Error> {
        match self.transport() {
            Transport::Rest(rest) => Ok(rest),
            Transport::Grpc(_) => Err(Error::InvalidCall("gRPC has no imports: use a client for REST".into())),
        }
    }
}

/// Refuses what cannot be an id. Dots alone would be taken for another path.
fn check(id: &str) -> Result<(), Error> {
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=100).contains(&id.len()) && id.bytes().all(sane) && !matches!(id, "." | "..") {
        return Ok(());
    }
    Err(Error::InvalidCall("the id of an import must be 1 to 100 letters, digits, `.`, `_` or `-`".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_stays_in_its_path() {
        for id in ["1", "2026-12-01", "a.b_c-D", &"a".repeat(100)] {
            assert!(check(id).is_ok(), "{id}");
        }
        for id in ["", ".", "..", "a/b", "a?b", "é", &"a".repeat(101)] {
            assert!(check(id).is_err(), "{id}");
        }
    }
}
