use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt as _;
use serde::{Deserialize, Deserializer};
use tokio::select;
use tokio::time::{Instant, sleep_until};
use utoipa::IntoParams;

use super::caller::caller;
use super::error_responses::{CommonErrors, ImportErrors, UploadErrors, WriteErrors};
use super::import::{Conflict, Import as ImportBody, failure_of};
use crate::auth::{Denied, Refused};
use crate::domain::{self, OnConflict};
use crate::http::extract::{BodyLimits, PathImportId, Query, has_media_type, is_encoded, parse_text};
use crate::http::problem::Failure;
use crate::net::Draining;
use crate::service::{self, Import, ImportSettings, Imports};
use crate::storage::Storage;
use crate::transfer::Format;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportUsers {
    /// What becomes of a record whose email another user has: by default it has failed.
    #[serde(default, deserialize_with = "on_conflict")]
    #[param(value_type = Option<Conflict>, nullable = false)]
    on_conflict: OnConflict,
    /// The line at which the body begins, which must be the import's `next_line`; otherwise the body is the whole file. A CSV
    /// header stands before it all the same.
    #[param(minimum = 1, nullable = false)]
    from_line: Option<u64>,
}

fn on_conflict<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OnConflict, D::Error> {
    parse_text(deserializer, |text| OnConflict::parse(text).ok_or("must be fail, skip or update"))
}

/// Imports users from a file of any size.
///
/// The id is the caller's own choice. Users are stored while the body comes. After a cut, send the file again, or the rest of
/// it with `from_line`: nothing is imported twice.
#[utoipa::path(put, path = "/api/v2/imports/{id}", tag = "version 2", operation_id = "v2_import_users",
    params(("id" = String, Path, description = "The caller's name for the import.", max_length = 100), ImportUsers),
    request_body(description = "Users, each with `name` and `email`, as an export has them.",
        content((String = "application/x-ndjson"), (String = "text/csv"))),
    responses(
        (status = OK, description = "All of the file is imported; some of its records may have failed.", body = ImportBody),
        ImportErrors, UploadErrors, WriteErrors, CommonErrors))]
pub(crate) async fn import_users(
    imports: Option<web::Data<Imports>>,
    storage: web::Data<Storage>,
    draining: web::Data<Draining>,
    id: PathImportId,
    query: Query<ImportUsers>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, Failure> {
    // AWS Lambda may stop the process in the middle, and bounds the body.
    let imports = imports.ok_or(Failure::RouteNotFound)?;
    let format = format(&request)?;
    let (caller, time_left) = caller(&request)?;
    let timeout = request.app_data::<BodyLimits>().ok_or(domain::Error::Internal)?.timeout;
    let ImportUsers { on_conflict, from_line } = query.0;
    let settings = ImportSettings { format, on_conflict, from_line };
    let permit = imports.admit()?;
    let begun = service::begin_import(&storage, &caller, &id.0, settings, permit).await;
    let mut import = begun.map_err(failure_of)?;
    let upload =
        Upload { body, timeout, draining: Draining::clone(&draining), ends: Instant::now() + time_left.min(LONG) };
    match upload.receive(&mut import).await {
        Ok(()) => {
            let stored = import.finish().await.map_err(failure_of)?;
            Ok(HttpResponse::Ok().json(ImportBody::new(&id.0, stored)))
        }
        Err(failure) => {
            import.abandon().await;
            Err(failure)
        }
    }
}

/// Replaces times that would overflow the clock.
const LONG: Duration = Duration::from_hours(24 * 365);

fn format(request: &HttpRequest) -> Result<Format, Failure> {
    let sent = Format::ALL.into_iter().find(|format| has_media_type(request, format.media_type()));
    let accepted = "application/x-ndjson, text/csv";
    let format = sent.ok_or(Failure::UnsupportedMediaType { accepted, header: "accept" })?;
    if is_encoded(request) { Err(Failure::EncodedBody) } else { Ok(format) }
}

/// The body of an import, on its way.
struct Upload {
    body: web::Payload,
    /// How long no record may come to its end.
    timeout: Duration,
    draining: Draining,
    /// When the token expires.
    ends: Instant,
}

impl Upload {
    /// Receives the body to its end. Reads no more than the import takes in.
    async fn receive(mut self, import: &mut Import) -> Result<(), Failure> {
        let mut advanced = Instant::now();
        let mut hold_at = advanced + Import::HOLD_EVERY;
        loop {
            select! {
                piece = self.body.next() => {
                    let Some(piece) = piece else { return Ok(()) };
                    let piece: Bytes = piece.map_err(|_| Failure::MalformedBody("it ended early".to_owned()))?;
                    if import.feed(&piece).await.map_err(failure_of)? {
                        advanced = Instant::now();
                    }
                }
                () = sleep_until(hold_at) => {
                    // It fails as the next chunk may: that one decides. Another upload can do no harm.
                    let _ = import.hold().await;
                    hold_at = Instant::now() + Import::HOLD_EVERY;
                }
                () = sleep_until(advanced + self.timeout) => return Err(Failure::BodyTimeout),
                () = sleep_until(self.ends) => return Err(Refused::Denied(Denied::Expired).into()),
                () = self.draining.has_begun() => return Err(domain::Error::Unavailable.into()),
            }
        }
    }
}
