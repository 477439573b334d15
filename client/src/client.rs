//! The client: what it can be asked for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use crate::builder::{Builder, Protocol};
use crate::call::{Attempt, Call, Options, RequestId, TraceParent};
use crate::error::{Error, Failed, Kind};
use crate::event::{Notice, WatchUsers};
use crate::grpc::Grpc;
use crate::list::{ListUsers, Page};
use crate::problem::Code;
use crate::rest::Rest;
use crate::retry::Caller;
use crate::user::{Etag, User, UserFields, UserPatch};
use crate::watch;

/// A client of the service. To clone it costs little, and clones share their connections and what they may repeat.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    options: Options,
}

struct Shared {
    transport: Transport,
    caller: Caller,
}

/// The two ways to the service.
pub(crate) enum Transport {
    Rest(Rest),
    Grpc(Grpc),
}

/// What one connection tells, up to the first failure.
pub(crate) type Notices = BoxStream<'static, Result<Notice, Failed>>;

/// The most that the service gets at once over gRPC.
const BATCH: usize = 100;
/// How many users are got side by side over REST, which gets them one by one.
const SIDE_BY_SIDE: usize = 8;

impl Client {
    /// Builds a client that speaks REST, version 2, to the service at this address, such as `https://users.example.com`.
    pub fn rest(base_url: impl Into<String>) -> Builder {
        Builder::new(Protocol::Rest, base_url.into())
    }

    /// Builds a client that speaks gRPC to the service at this address, such as `https://users.example.com:50051`.
    pub fn grpc(base_url: impl Into<String>) -> Builder {
        Builder::new(Protocol::Grpc, base_url.into())
    }

    pub(crate) fn new(transport: Transport, caller: Caller, options: Options) -> Self {
        Self { shared: Arc::new(Shared { transport, caller }), options }
    }

    /// The same client, for calls that may take so long, with all of their attempts.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        self.with(Options { timeout, ..self.options.clone() })
    }

    /// The same client, for calls that are to be known by this id: in the service's log and in errors. Otherwise each call
    /// gets one of its own.
    #[must_use]
    pub fn with_request_id(&self, request_id: RequestId) -> Self {
        self.with(Options { request_id: Some(request_id), ..self.options.clone() })
    }

    /// The same client, for calls that belong to this span.
    #[must_use]
    pub fn with_traceparent(&self, traceparent: TraceParent) -> Self {
        self.with(Options { traceparent: Some(traceparent), ..self.options.clone() })
    }

    fn with(&self, options: Options) -> Self {
        Self { shared: Arc::clone(&self.shared), options }
    }

    /// Creates a user.
    ///
    /// # Errors
    /// [`Code::InvalidUser`], [`Code::EmailTaken`]; [`Error::OutcomeUnknown`] when the answer was lost: it is not sent again.
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
        self.get_user_by(&self.begin(), id).await
    }

    async fn get_user_by(&self, call: &Call, id: i64) -> Result<User, Error> {
        let get = |attempt| async move {
            match self.transport() {
                Transport::Rest(rest) => rest.get_user(attempt, id).await,
                Transport::Grpc(grpc) => grpc.get_user(attempt, id).await,
            }
        };
        self.shared.caller.call(call, Kind::Read, get).await
    }

    /// Gets several users, in the order of their ids here. Those that do not exist are left out. gRPC gets up to 100 at once,
    /// REST each by itself, some of them side by side; the time of the call is for all of them.
    ///
    /// # Errors
    /// [`Code::InvalidId`]. There is an answer for all, or none.
    pub async fn get_users(&self, ids: &[i64]) -> Result<Vec<User>, Error> {
        let call = &self.begin();
        match self.transport() {
            Transport::Rest(_) => {
                let each = stream::iter(ids).map(|id| async move { found(self.get_user_by(call, *id).await) });
                each.buffered(SIDE_BY_SIDE).try_filter_map(async |user| Ok(user)).try_collect().await
            }
            Transport::Grpc(grpc) => {
                let mut users = Vec::with_capacity(ids.len());
                for ids in ids.chunks(BATCH) {
                    let get = |attempt| grpc.get_users(attempt, ids);
                    users.extend(self.shared.caller.call(call, Kind::Read, get).await?);
                }
                Ok(users)
            }
        }
    }

    /// Lists users, page after page; each page is a call of its own. The stream ends after an error.
    ///
    /// Users that are created or deleted meanwhile may be in it or not; all others are, once.
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

    /// Replaces a user's name and email; with an etag, only if the user is still in that state.
    ///
    /// # Errors
    /// [`Code::UserNotFound`], [`Code::VersionMismatch`], [`Code::InvalidUser`], [`Code::EmailTaken`];
    /// [`Error::OutcomeUnknown`] when the answer was lost: it is not sent again, with an etag neither.
    pub async fn update_user(&self, id: i64, fields: &UserFields, etag: Option<&Etag>) -> Result<User, Error> {
        self.call(Kind::Write, |attempt| async move {
            match self.transport() {
                Transport::Rest(rest) => rest.update_user(attempt, id, fields, etag).await,
                Transport::Grpc(grpc) => grpc.update_user(attempt, id, fields, etag).await,
            }
        })
        .await
    }

    /// Changes some fields of a user; with an etag, only if the user is still in that state. Even a patch that changes nothing
    /// raises the version.
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

    /// Deletes a user; with an etag, only if the user is still in that state.
    ///
    /// # Errors
    /// [`Code::UserNotFound`], [`Code::VersionMismatch`]; [`Error::OutcomeUnknown`] when the answer was lost: it is not sent
    /// again, with an etag neither.
    pub async fn delete_user(&self, id: i64, etag: Option<&Etag>) -> Result<(), Error> {
        self.call(Kind::Write, |attempt| async move {
            match self.transport() {
                Transport::Rest(rest) => rest.delete_user(attempt, id, etag).await,
                Transport::Grpc(grpc) => grpc.delete_user(attempt, id, etag).await,
            }
        })
        .await
    }

    /// Watches changes of users as they happen.
    ///
    /// When the connection is lost, the stream comes back by itself, after a pause, and goes on after the last position that it
    /// told: nothing is missed, and nothing told twice. Once it has begun it does so for as long as it is polled; whoever wants
    /// to know of a long outage waits for the next [`Notice`] with a timeout of a minute, which a stream without one does not
    /// reach.
    ///
    /// To have all users and follow them: watch, wait for the first notice, list all users, then take from the stream what has
    /// a higher version than what you have.
    ///
    /// # Errors
    /// [`Code::EventsGone`] when events after the position are forgotten: begin anew. What cannot be mended by coming back,
    /// such as [`Code::InsufficientScope`]. At the beginning, everything that a call can fail with. The stream ends after an
    /// error.
    #[must_use]
    pub fn watch_users(&self, watch: WatchUsers) -> BoxStream<'static, Result<Notice, Error>> {
        watch::watch(self.clone(), watch)
    }

    pub(crate) async fn open_watch(&self, watch: &WatchUsers) -> Result<Notices, Error> {
        self.call(Kind::Read, |attempt| async move {
            match self.transport() {
                Transport::Rest(rest) => rest.watch_users(attempt, watch).await,
                Transport::Grpc(grpc) => grpc.watch_users(attempt, watch).await,
            }
        })
        .await
    }

    /// What the stream tells cannot be understood.
    pub(crate) fn unreadable(&self, failed: Failed) -> Error {
        failed.into_error(Kind::Read, self.begin().request_id)
    }

    async fn call<T, F>(&self, kind: Kind, send: impl Fn(Attempt) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        self.shared.caller.call(&self.begin(), kind, send).await
    }

    fn begin(&self) -> Call {
        Call::begin(&self.options)
    }

    fn transport(&self) -> &Transport {
        &self.shared.transport
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("options", &self.options).finish_non_exhaustive()
    }
}

/// That there is no such user is no error.
fn found(user: Result<User, Error>) -> Result<Option<User>, Error> {
    match user {
        Err(error) if error.code() == Some(&Code::UserNotFound) => Ok(None),
        user => user.map(Some),
    }
}
