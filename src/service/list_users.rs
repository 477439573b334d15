//! The use cases of listing users.

use super::freshness::check;
use crate::domain::{AsOf, Error, Filter, Freshness, PageFilter, PageQuery, PageSize, PageToken, Start, User};
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
        let list = if let Some(found) = find_the_one(storage, filter, freshness).await? {
            found.map(|found| the_one(found, count))
        } else {
            let query = PageQuery { start: start(filter, after), filter: page_filter(filter), size, count };
            storage.list_users(query).await?.map(|page| UserList {
                next_page_token: page.next.map(|last| PageToken(last).encode(filter)),
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
    let query = PageQuery::of_all(Start::Offset(offset), size);
    let list = async { storage.list_users(query).await.map(|page| page.value.users) };
    use_case("list_users_by_offset", list).await
}

/// Finds the user that a filter names, by a look-up instead of a page query: at most one user has its email or external
/// id. `None` if the filter names no user.
pub(super) async fn find_the_one(
    storage: &Storage,
    filter: &Filter,
    freshness: &Freshness,
) -> Result<Option<AsOf<Option<User>>>, Error> {
    let found = match (&filter.email, &filter.external_id) {
        (Some(email), _) => storage.get_user_by_email(email.clone(), freshness).await?,
        (None, Some(external_id)) => storage.get_user_by_external_id(external_id.clone(), freshness).await?,
        (None, None) => return Ok(None),
    };
    Ok(Some(found.map(|found| found.filter(|user| filter.matches(user)))))
}

fn the_one(found: Option<User>, count: bool) -> UserList {
    let users = Vec::from_iter(found);
    let total = count.then(|| i64::from(!users.is_empty()));
    UserList { users, next_page_token: None, total }
}

pub(super) fn start(filter: &Filter, after: Option<PageToken>) -> Start {
    Start::After { order: filter.order(), last: after.map(|PageToken(last)| last) }
}

pub(super) fn page_filter(filter: &Filter) -> PageFilter {
    let Filter { name_prefix, status, attributes, .. } = filter.clone();
    PageFilter { name_prefix, status, attributes }
}
