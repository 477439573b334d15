use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::as_of::with_freshness;
use super::batch_caller::BatchCaller;
use super::error_responses::{BatchErrors, CommonErrors, JsonErrors, PositionErrors};
use super::held_body::holding;
use super::user::{ShownUser, User};
use crate::domain::{self, AsOf, FieldMask};
use crate::http::extract::{BatchGetBody, Body, Fields, freshness};
use crate::http::problem::Failure;
use crate::service;
use crate::storage::Storage;

/// The users that were found, and what was not.
#[derive(Serialize, ToSchema)]
pub(crate) struct BatchGetAnswer {
    /// In the order of the request.
    #[schema(value_type = Vec<User>)]
    users: Vec<ShownUser>,
    missing: Missing,
}

/// The ids or the emails that no user has, in the order of the request.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Missing {
    Ids(Vec<i64>),
    Emails(Vec<String>),
}

/// Gets up to 1,000 users by their ids or by their emails.
///
/// A user that is asked for twice is answered twice.
#[utoipa::path(post, path = "/api/v2/users:batchGet", tag = "version 2", operation_id = "v2_batch_get_users",
    params(
        ("fields" = Option<String>, Query, nullable = false, example = "id,name,attributes.department",
            description = "Only these fields of a user, separated by commas; `attributes.NAME` is one of the attributes. By default all."),
        ("At-Least-Position" = Option<i64>, Header, minimum = 0, nullable = false,
            description = "Show at least all changes up to this `Events-Position`."),
        ("Cache-Control" = Option<String>, Header, nullable = false,
            description = "Where `MAX_STALENESS` is set: `no-cache` refuses a stale answer, `max-stale` allows up to a minute.")),
    request_body = BatchGetBody,
    responses(
        (status = OK, description = "The users.", body = BatchGetAnswer,
            headers(("Events-Position" = i64, description = "Up to where the log of events was read, or further."),
                ("Age" = u64, description = "How many seconds old the answer may be, if it may be stale."))),
        BatchErrors, JsonErrors, PositionErrors, CommonErrors))]
pub(crate) async fn batch_get_users(
    storage: web::Data<Storage>,
    caller: BatchCaller,
    fields: Fields,
    request: HttpRequest,
    body: Body<BatchGetBody>,
) -> Result<HttpResponse, Failure> {
    let freshness = freshness(request.headers())?;
    let BatchGetBody { ids, emails } = body.0;
    let answer = if let Some(emails) = emails {
        let (texts, keys): (Vec<_>, Vec<_>) = emails.into_iter().map(|email| (email.text, email.key)).unzip();
        let found = service::batch_get_users_by_email(&storage, keys, &freshness, &caller.id).await?;
        answer(found, fields.0.as_ref(), texts, Missing::Emails)
    } else {
        let ids = ids.unwrap_or_default();
        let asked = ids.iter().map(|id| id.get()).collect();
        let found = service::batch_get_users(&storage, ids, &freshness, &caller.id).await?;
        answer(found, fields.0.as_ref(), asked, Missing::Ids)
    };
    let freshness = answer.freshness();
    let response = HttpResponse::Ok().json(answer.value);
    Ok(holding(with_freshness(response, &freshness), caller.slot))
}

fn answer<T>(
    found: AsOf<Vec<Option<domain::User>>>,
    mask: Option<&FieldMask>,
    asked: Vec<T>,
    missing_of: impl FnOnce(Vec<T>) -> Missing,
) -> AsOf<BatchGetAnswer> {
    found.map(|found| {
        let (mut users, mut missing) = (Vec::with_capacity(found.len()), Vec::new());
        for (user, asked) in found.into_iter().zip(asked) {
            match user {
                Some(user) => users.push(ShownUser::new(user, mask)),
                None => missing.push(asked),
            }
        }
        BatchGetAnswer { users, missing: missing_of(missing) }
    })
}
