//! The API's description, and a page to try it on.

use std::borrow::Cow;
use std::io::{Cursor, Read as _};
use std::iter;
use std::sync::{Arc, LazyLock};

use actix_web::body::{MessageBody, SizedStream};
use actix_web::http::header::{
    ACCEPT_ENCODING, AcceptEncoding, CONTENT_SECURITY_POLICY, ContentEncoding, ContentType, Encoding, LOCATION, VARY,
};
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use flate2::bufread::GzDecoder;
use futures_util::stream;
use utoipa_swagger_ui::{Config, SwaggerFile};

use super::failure::Failure;
use super::openapi::openapi;
use super::pieces::PIECE;
use super::security_headers::PAGE;
use super::timed::Turns;

/// Made once, when somebody first asks.
static OPENAPI_JSON: LazyLock<String> = LazyLock::new(|| openapi().to_json().unwrap_or_default());
/// Without the badge that an outside validator would draw.
static CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json").validator_url("none")));

/// This description (OpenAPI 3.1).
#[utoipa::path(get, path = "/openapi.json", tag = "operations",
    responses((status = OK, description = "The description.", body = serde_json::Value)))]
pub(super) async fn openapi_json() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(OPENAPI_JSON.as_str())
}

/// Leads to the page where the API can be tried.
#[utoipa::path(get, path = "/docs", tag = "operations", responses(
    (status = PERMANENT_REDIRECT, description = "It is at `/docs/`.", headers(("Location" = String)))))]
pub(super) async fn to_swagger_ui() -> HttpResponse {
    // Relative, so that it holds behind a proxy that adds a path of its own.
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "docs/")).finish()
}

/// The page where the API can be tried (Swagger UI), and its assets, which come with the binary.
#[utoipa::path(get, path = "/docs/{file}", tag = "operations",
    params(("file" = String, Path, description = "Empty for the page itself.")),
    responses(
        (status = OK, description = "The page or the asset.", content_type = "text/html", body = String),
        (status = NOT_FOUND, description = "There is no such asset.", content_type = "application/problem+json", body = super::problem::Problem)))]
pub(super) async fn swagger_ui(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let name = request.match_info().get("file").unwrap_or_default();
    match utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)) {
        Ok(Some(file)) => respond(file, &request),
        Ok(None) => Err(Failure::RouteNotFound),
        Err(error) => {
            log::error!("cannot serve the API's page: {error}");
            Err(crate::domain::Error::Internal.into())
        }
    }
}

/// The file as it lies in the binary, which is compressed, or for a client that would not understand that, unpacked.
fn respond(file: SwaggerFile<'static>, request: &HttpRequest) -> Result<HttpResponse, Failure> {
    let unpacked_length = if file.gzpipped { unpacked_length(&file.bytes) } else { file.bytes.len() as u64 };
    // Those that are empty were left out, see .cargo/config.toml.
    if unpacked_length == 0 {
        return Err(Failure::RouteNotFound);
    }
    let mut response = HttpResponse::Ok();
    response.content_type(file.content_type).insert_header((CONTENT_SECURITY_POLICY, PAGE));
    if !file.gzpipped {
        return Ok(response.body(bytes(file.bytes)));
    }
    response.insert_header((VARY, ACCEPT_ENCODING.as_str()));
    if takes_gzip(request) {
        response.insert_header(ContentEncoding::Gzip);
        return Ok(response.body(bytes(file.bytes)));
    }
    Ok(response.body(unpacked(bytes(file.bytes), unpacked_length, request)))
}

fn takes_gzip(request: &HttpRequest) -> bool {
    let supported = [Encoding::gzip(), Encoding::identity()];
    let accepted = request.get_header::<AcceptEncoding>();
    accepted.and_then(|accepted| accepted.negotiate(supported.iter())) == Some(Encoding::gzip())
}

/// A gzip file ends with it.
fn unpacked_length(gzip: &[u8]) -> u64 {
    gzip.last_chunk().map_or(0, |length| u32::from_le_bytes(*length).into())
}

/// What a gzip file holds, unpacked while it is sent.
fn unpacked(gzip: Bytes, length: u64, request: &HttpRequest) -> impl MessageBody + use<> {
    let streaming = request.conn_data::<Turns>().map(Turns::stream);
    let mut reader = GzDecoder::new(Cursor::new(gzip));
    let pieces = iter::from_fn(move || {
        let _until_the_last = &streaming;
        let mut piece = Vec::with_capacity(PIECE);
        let read = reader.by_ref().take(PIECE as u64).read_to_end(&mut piece);
        read.map(|length| (length > 0).then(|| piece.into())).transpose()
    });
    SizedStream::new(length, stream::iter(pieces))
}

fn bytes(document: Cow<'static, [u8]>) -> Bytes {
    match document {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    }
}
