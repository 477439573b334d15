//! [`Client::export_users`]: all users at once, and where their changes go on.

use std::fmt;

use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _};

use crate::client::Client;
use crate::error::{Error, Failed};
use crate::event::WatchUsers;
use crate::list::ListUsers;
use crate::transport::Transport;
use crate::user::User;

/// An export of users, which is whole when its stream has ended without an error.
#[non_exhaustive]
pub struct Export {
    /// Where to go on with [`WatchUsers::after`]: no change is missed that was made since the export began.
    pub resume_after: i64,
    /// The users, by id, or with a name prefix by name and id.
    pub users: BoxStream<'static, Result<User, Error>>,
}

impl Client {
    /// Exports users: over REST with one request, which takes much less time than to list them. Over gRPC, which has no
    /// export, the users are listed page by page. The page size of `list` does not matter.
    ///
    /// To mirror all users: export them, then watch from `resume_after` on, and apply the events whose version is higher
    /// than the one you have.
    ///
    /// # Errors
    /// Those of [`list_users`](Self::list_users). The stream ends with an error if the connection is lost before the end of
    /// the export: begin anew.
    pub async fn export_users(&self, list: ListUsers) -> Result<Export, Error> {
        if let Transport::Rest(_) = self.transport() {
            let (resume_after, users) = self.open_export(&list).await?;
            let client = self.clone();
            let users = users.map_err(move |failed| client.stream_error(failed)).boxed();
            return Ok(Export { resume_after, users });
        }
        let first = self.watch_users(WatchUsers::new()).next().await;
        let no_beginning = || self.stream_error(Failed::foreign("a stream without a beginning"));
        let resume_after = first.ok_or_else(no_beginning)??.position;
        Ok(Export { resume_after, users: self.list_users(list) })
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").field("resume_after", &self.resume_after).finish_non_exhaustive()
    }
}
