//! Makes the users of a run, and deletes them. With the project's client, which repeats what may be repeated.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use user_service_client::{Client, Code, Error, ListUsers, Token, UserFields};

use crate::scenario::Names;

const AT_ONCE: usize = 64;

pub(crate) fn client(url: &str, token: &str) -> Result<Client, String> {
    Client::rest(url).token(Token::fixed(token)).build().map_err(|error| error.to_string())
}

/// Makes so many users, and returns their ids in the order of their numbers. `progress` hears of each.
pub(crate) async fn make(client: &Client, names: Names, count: u64, progress: impl Fn()) -> Result<Vec<i64>, String> {
    let each = stream::iter(0..count).map(async |number| {
        let fields = UserFields::new(format!("{}{number}", names.prefix()), names.email(number));
        let user = client.create_user(&fields).await;
        progress();
        user.map(|user| user.id)
    });
    let ids: Result<Vec<i64>, Error> = each.buffered(AT_ONCE).try_collect().await;
    ids.map_err(|error| format!("cannot make the users of the run: {error}"))
}

/// Deletes all users of a run, and returns how many there were.
pub(crate) async fn delete(client: &Client, names: Names) -> Result<u64, String> {
    let all = client.list_users(ListUsers::new().name_prefix(names.prefix()));
    // A list goes on behind the last user of its page, also when that is gone.
    let gone = all.map(|user| async move {
        match client.delete_user(user?.id, None).await {
            Err(error) if error.code() == Some(&Code::UserNotFound) => Ok(0),
            deleted => deleted.map(|()| 1),
        }
    });
    let gone = gone.buffer_unordered(AT_ONCE).try_fold(0, async |sum, one| Ok::<u64, Error>(sum + one));
    gone.await.map_err(|error| format!("cannot delete all users of run {names}: {error}"))
}
