//! The client's methods. `builder.rs` has its constructors, and `watch.rs` has [`Client::watch_users`],
//! `export.rs` [`Client::export_users`], and `batch.rs` what writes many users.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use crate::call::{Attempt, Call, IdempotencyKey, Kind, Options, RequestId, TraceParent};
use crate::error::{Error, Failed};
use crate::event::{Notices, WatchUsers};
use crate::fields::{UserFields, UserPatch};
use crate::list::{ListUsers, Page, Users};
use crate::operation::MAX_BATCH;
#[cfg(doc)]
use crate::problem::Code;
use crate::retry::Caller;
use crate::transport::Transport;
use crate::user::{Etag, User};

/// A client of the service. Clones are cheap, and share their connections and their retry budget.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    options: Options,
}

struct Shared {
    transport: Transport,
    caller: Caller,
}

impl Client {
    pub(crate) fn new(transport: Transport, caller: Caller, options: Options) -> Self {
        Self { shared: Arc::new(Shared { transport, caller }), options }
    }

    /// The same client, for calls that may take so long, with all of their attempts.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        self.with(Options { timeout, ..self.options.clone() })
    }

    /// Returns a client whose calls carry this request id. The service logs it, and errors contain it. Otherwise each
    /// call gets a random id.
    #[must_use]
    pub fn with_request_id(&self, request_id: RequestId) -> Self {
        self.with(Options { request_id: Some(request_id), ..self.options.clone() })
    }

    /// Returns a client whose calls belong to this span.
    #[must_use]
    pub fn with_traceparent(&self, traceparent: TraceParent) -> Self {
        self.with(Options { traceparent: Some(traceparent), ..self.options.clone() })
    }

    /// Returns a client whose changes carry this idempotency key, for one change that may have to be repeated by another
    /// process: over the same protocol, as the same caller, and with the same arguments. Otherwise each change gets a key
    /// of its own, which all its attempts share.
    #[must_use]
    pub fn with_idempotency_key(&self, key: IdempotencyKey) -> Self {
        self.with(Options { idempotency_key: Some(key), ..self.options.clone() })
    }

    fn with(&self, options: Options) -> Self {
        Self { shared: Arc::clone(&self.shared), options }
    }

    /// Creates a user.
    ///
    /// # Errors
    /// [`Code::InvalidUser`], [`Code::EmailTaken`], [`Code::ExternalIdTaken`]; [`Error::OutcomeUnknown`].
    pub async fn create_user(&self, fields: &UserFields) -> Result<User, Error> {
        self.call(Kind::Write, |attempt| async move {
            match self.transport() {
                Transport::Rest(rest) => rest.create_user(attempt, fields).await,
                Transport::Grpc(grpc) => grpc.create_user(attempt, fields).await,
            }
        })
        .await
    }

    /// Gets one user.
    ///
    /// # Errors
    /// [`Code::UserNotFound`], [`Code::InvalidId`].
    pub async fn get_user(&self, id: i64) -> Result<User, Error> {
        self.call(Kind::Read, |attempt| async move {
            match self.transport() {
                Transport::Rest(rest) => rest.get_user(attempt, id).await,
                Transport::Grpc(grpc) => grpc.get_user(attempt, id).await,
            }
        })
        .await
    }

    /// Gets several users, in the order of the given ids, and leaves out those that do not exist. One request gets up to
    /// 1,000 users. The timeout of the call covers all requests.
    ///
    /// # Errors
    /// [`Code::InvalidId`]. The call returns either all users or an error.
    pub async fn get_users(&self, ids: &[i64]) -> Result<Vec<User>, Error> {
        let call = &self.begin(Kind::Read);
        let mut users = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MAX_BATCH) {
            let get = |attempt| async move {
                match self.transport() {
                    Transport::Rest(rest) => rest.get_users(attempt, ids).await,
                    Transport::Grpc(grpc) => grpc.get_users(attempt, ids).await,
                }
            };
            users.extend(self.shared.caller.call(call, Kind::Read, get).await?);
        }
        Ok(users)
    }

    /// Lists users page by page. Each page is a call of its own, with its own timeout. The stream ends after an error.
    ///
    /// A user that is created or deleted meanwhile may or may not appear. Every other user appears exactly once.
    ///
    /// ```no_run
    /// use futures_util::TryStreamExt as _;
    /// use user_service_client::{Client, ListUsers};
    ///
    /// # async fn example(client: Client) -> Result<(), user_service_client::Error> {
    /// let mut adas = client.list_users(ListUsers::new().name_prefix("ada"));
    /// while let Some(ada) = adas.try_next().await? {
    ///     println!("{} <{}>", ada.name, ada.email);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Code::InvalidQuery`] for a filter that no user can match.
    #[must_use]
    pub fn list_users(&self, list: ListUsers) -> BoxStream<'static, Result<User, Error>> {
        let first = (self.clone(), list, Some(String::new()));
        let pages = stream::try_unfold(first, async |(client, list, token)| {
            let Some(token) = token else { return Ok(None) };
            let page = client.page(&list, &token).await?;
            Ok(Some((stream::iter(page.users).map(Ok), (client, list, page.next_page_token))))
        });
        pages.try_flatten().boxed()
    }

    async fn page(&self, list: &ListUsers, token: &str) -> Result<Page, Error> {
        self.call(Kind::Read, |attempt| async move {
            match self.transport() {
                Transport::Rest(rest) => rest.list_users(attempt, list, token).await,
                Transport::Grpc(grpc) => grpc.list_users(attempt, list, token).await,
            }
        })
        .await
    }

    /// Replaces a user's name and email, and those of its other fields that are given. With an etag, does so only if the
    /// user is still in that state.
    ///
    /// # Errors
    /// [`Code::UserNotFound`], [`Code::VersionMismatch`], [`Code::InvalidUser`], [`Code::EmailTaken`],
    /// [`Code::ExternalIdTaken`]; [`Error::OutcomeUnknown`].
    pub async fn update_user(&self, id: i64, fields: &UserFields, etag: Option<&Etag>) -> Result<User, Error> {
        self.call(Kind::Write, |attempt| async move {
            match self.transport() {
                Transport::Rest(rest) => rest.update_user(attempt, id, fields, etag).await,
                Transport::Grpc(grpc) => grpc.update_user(attempt, id, fields, etag).await,
            }
        })
        .await
    }

    /// Changes some fields of a user. With an etag, does so only if the user is still in that state. Even a patch that
    /// changes nothing increments the version.
    ///
    /// # Errors
    /// As [`update_user`](Self::update_user).
    pub async fn patch_user(&self, id: i64, patch: &UserPatch, etag: Option<&Etag>) -> Result<User, Error> {
        self.call(Kind::Write, |attempt| async move {
            match self.transport() {
                Transport::Rest(rest) => rest.patch_user(attempt, id, patch, etag).await,
                Transport::Grpc(grpc) => grpc.patch_user(attempt, id, patch, etag).await,
            }
        })
        .await
    }

    /// Deletes a user. With an etag, does so only if the user is still in that state.
    ///
    /// # Errors
    /// [`Code::UserNotFound`], [`Code::VersionMismatch`]; [`Error::OutcomeUnknown`].
    pub async fn delete_user(&self, id: i64, etag: Option<&Etag>) -> Result<(), Error> {
        self.call(Kind::Write, |attempt| async move {
            match self.transport() {
                Transport::Rest(rest) => rest.delete_user(attempt, id, etag).await,
                Transport::Grpc(grpc) => grpc.delete_user(attempt, id, etag).await,
            }
        })
        .await
    }

    /// Opens an export over REST: where to go on, and the users.
    pub(crate) async fn open_export(&self, list: &ListUsers) -> Result<(i64, Users), Error> {
        self.call(Kind::Read, |attempt| async move {
            match self.transport() {
                Transport::Rest(rest) => rest.export_users(attempt, list).await,
                Transport::Grpc(_) => Err(Failed::foreign("gRPC has no export")),
            }
        })
        .await
    }

    /// Opens one connection of a stream of changes.
    pub(crate) async fn open_watch(&self, watch: &WatchUsers) -> Result<Notices, Error> {
        self.call(Kind::Read, |attempt| async move {
            match self.transport() {
                Transport::Rest(rest) => rest.watch_users(attempt, watch).await,
                Transport::Grpc(grpc) => grpc.watch_users(attempt, watch).await,
            }
        })
        .await
    }

    /// The error of a stream that failed for good.
    pub(crate) fn stream_error(&self, failed: Failed) -> Error {
        failed.into_error(Kind::Read, self.begin(Kind::Read).request_id)
    }

    async fn call<T, F>(&self, kind: Kind, send: impl Fn(Attempt) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        self.shared.caller.call(&self.begin(kind), kind, send).await
    }

    pub(crate) fn begin(&self, kind: Kind) -> Call {
        Call::begin(&self.options, kind)
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.shared.transport
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.shared.caller
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}
