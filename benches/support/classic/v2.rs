use actix_web::error::{ErrorBadRequest, ErrorInternalServerError, ErrorPreconditionFailed};
use actix_web::http::header::{ETAG, IfMatch, LINK};
use actix_web::{HttpResponse, Result, web};
use serde::{Deserialize, Serialize};
use user_service::domain::{Filter, Last, PageSize, PageToken, UserId};

use super::UserBody;
use super::row::VersionedUser;
use super::storage::Storage;

pub(super) async fn update_user(
    storage: web::Data<Storage>,
    id: web::Path<i64>,
    if_match: web::Header<IfMatch>,
    body: web::Json<UserBody>,
) -> Result<HttpResponse> {
    let stale = || ErrorPreconditionFailed("the user is in another version");
    let version = version(&if_match).ok_or_else(stale)?;
    let new = body.into_inner().parse()?;
    let updated = web::block(move || storage.update_user(*id, version, new)).await?;
    let user = updated.map_err(ErrorInternalServerError)?.ok_or_else(stale)?;
    let etag = format!("\"{}\"", user.version);
    Ok(HttpResponse::Ok().insert_header((ETAG, etag)).json(user))
}

/// The version in the single tag that every client here sends.
fn version(if_match: &IfMatch) -> Option<i64> {
    match if_match {
        IfMatch::Items(tags) => tags.first()?.tag().parse().ok(),
        IfMatch::Any => None,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    page_size: Option<u64>,
    page_token: Option<String>,
}

#[derive(Serialize)]
struct UserPage {
    users: Vec<VersionedUser>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

pub(super) async fn list_users(storage: web::Data<Storage>, query: web::Query<ListQuery>) -> Result<HttpResponse> {
    let filter = Filter::default();
    let size = query.page_size.and_then(PageSize::at_most_max).unwrap_or(PageSize::DEFAULT).get();
    let token = query.page_token.as_deref().map(|text| PageToken::decode(text, &filter));
    let after = token.transpose().map_err(ErrorBadRequest)?.map_or(0, |PageToken(last)| last.id.get());
    // One user more than requested shows whether there is a next page.
    let listed = web::block(move || storage.list_users(after, i64::from(size) + 1)).await?;
    let mut users = listed.map_err(ErrorInternalServerError)?;
    let more = users.len() > usize::from(size);
    users.truncate(size.into());
    let last = users.last().filter(|_| more);
    let next_page_token = last.map(|user| PageToken(Last { id: UserId::stored(user.id), key: None }).encode(&filter));
    let mut response = HttpResponse::Ok();
    if let Some(token) = &next_page_token {
        let link = format!("</api/v2/users?page_size={size}&page_token={token}>; rel=\"next\"");
        response.insert_header((LINK, link));
    }
    Ok(response.json(UserPage { users, next_page_token }))
}
