//! The use cases of listing users.

use super::freshness::check;
use crate::domain::{
    AsOf, EmailKey, Error, Filter, Freshness, Page, PageQuery, PageSize, PageToken, Start, User, UserId,
};
use crate::storage::Storage;
use crate::telemetry::use_case;

/// One page of a list, and how to get the next one.
#[derive(Clone, Debug)]
pub struct UserList {
    pub users: Vec<User>,
    /// `None` on the last page.
    pub next_page_token: Option<String>,
    /// How many users match the filter, if that was asked for.
    pub total: Option<i64>,
}

/// Lists the users that match a filter, page by page. All pages cost the same.
///
/// # Errors
/// [`Error::InvalidPageToken`], [`Error::PositionUnknown`] if the log does not reach as far as the answer is to, or the
/// storage's errors.
pub async fn list_users(
    storage: &Storage,
    filter: &Filter,
    size: PageSize,
    page_token: Option<&str>,
    count: bool,
    freshness: &Freshness,
) -> Result<AsOf<UserList>, Error> {
    let list = async {
        let after = page_token.map(|text| PageToken::decode(text, filter)).transpose()?;
        let list = if let Some(email) = &filter.email {
            list_the_one_with(storage, email, filter, count, freshness).await?
        } else {
            let page = storage.list_users(PageQuery { start: start(filter, after), size, count }).await?;
            page.map(|page| UserList {
                next_page_token: next_page_token(&page, filter),
                users: page.users,
                total: page.total,
            })
        };
        check(storage, &list, freshness).await?;
        Ok(list)
    };
    use_case("list_users", list).await
}

/// Lists all users by id, after the first `offset` ones. Costs as much as the users it skips.
///
/// # Errors
/// The storage's errors.
pub async fn list_users_by_offset(storage: &Storage, offset: i64, size: PageSize) -> Result<Vec<User>, Error> {
    let query = PageQuery { start: Start::Offset(offset), size, count: false };
    let list = async { storage.list_users(query).await.map(|page| page.value.users) };
    use_case("list_users_by_offset", list).await
}

/// Lists the user with an address, by a look-up instead of a page query: at most one user has it.
async fn list_the_one_with(
    storage: &Storage,
    email: &EmailKey,
    filter: &Filter,
    count: bool,
    freshness: &Freshness,
) -> Result<AsOf<UserList>, Error> {
    let found = storage.get_user_by_email(email.clone(), freshness).await?;
    let matches = |user: &User| filter.name_prefix.as_ref().is_none_or(|prefix| prefix.matches(user));
    Ok(found.map(|found| {
        let users = Vec::from_iter(found.filter(matches));
        let total = count.then(|| i64::from(!users.is_empty()));
        UserList { users, next_page_token: None, total }
    }))
}

fn start(filter: &Filter, after: Option<PageToken>) -> Start {
    match &filter.name_prefix {
        None => after.map_or(Start::AfterId(UserId::stored(0)), |token| Start::AfterId(token.id)),
        Some(prefix) => {
            Start::ByName { prefix: prefix.clone(), after: after.and_then(|token| Some((token.name?, token.id))) }
        }
    }
}

fn next_page_token(page: &Page, filter: &Filter) -> Option<String> {
    let last = page.users.last().filter(|_| page.more)?;
    Some(PageToken { id: last.id, name: page.last_name.clone() }.encode(filter))
}
