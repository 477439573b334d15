//! Swagger UI, a page on which people try the API. The binary holds all of it.

use std::borrow::Cow;
use std::io::{Cursor, Read as _};
use std::iter;
use std::sync::{Arc, LazyLock};

use actix_web::body::{MessageBody, SizedStream};
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_SECURITY_POLICY, ContentEncoding, HeaderValue, LOCATION, VARY};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use flate2::bufread::GzDecoder;
use futures_util::stream;
use utoipa_swagger_ui::{Config, SwaggerFile};

use crate::domain;
use crate::http::extract::accepts_gzip;
use crate::http::problem::{Failure, Problem};

/// Only the page's own assets. Swagger UI sets styles from its script, and has images within its styles.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// How many bytes of an asset are unpacked at once.
const CHUNK: usize = 7 << 10;
/// Without a badge, which a validator on the internet would draw.
static CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json").validator_url("none")));

/// Redirects to Swagger UI.
#[utoipa::path(get, path = "/docs", tag = "operations", responses(
    (status = PERMANENT_REDIRECT, description = "Swagger UI is at `/docs/`.", headers(("Location" = String)))))]
pub(crate) async fn to_swagger_ui() -> HttpResponse {
    // A relative location also holds behind a proxy that adds a prefix to the path.
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "docs/")).finish()
}

/// Returns Swagger UI, a page on which people try the API, or one of its assets.
#[utoipa::path(get, path = "/docs/{file}", tag = "operations",
    params(("file" = String, Path, description = "The name of an asset, or empty for the page itself.")),
    responses(
        (status = OK, description = "The page or the asset.", content_type = "text/html", body = String),
        (status = NOT_FOUND, description = "The page has no such asset.", content_type = "application/problem+json", body = Problem)))]
pub(crate) async fn swagger_ui(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let name = request.match_info().get("file").unwrap_or_default();
    match utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)) {
        Ok(Some(file)) => respond(file, &request),
        Ok(None) => Err(Failure::RouteNotFound),
        Err(error) => {
            log::error!("cannot serve the API's page: {error}");
            Err(domain::Error::Internal.into())
        }
    }
}

/// Sends the file compressed, as the binary holds it, or unpacked if the client does not accept that.
fn respond(file: SwaggerFile<'static>, request: &HttpRequest) -> Result<HttpResponse, Failure> {
    let unpacked_length = if file.gzpipped { unpacked_length(&file.bytes) } else { file.bytes.len() as u64 };
    // An empty file replaces one that the page does not use, see .cargo/config.toml.
    if unpacked_length == 0 {
        return Err(Failure::RouteNotFound);
    }
    let mut response = HttpResponse::Ok();
    response.content_type(file.content_type).insert_header((CONTENT_SECURITY_POLICY, POLICY));
    if !file.gzpipped {
        return Ok(response.body(bytes(file.bytes)));
    }
    response.insert_header((VARY, ACCEPT_ENCODING.as_str()));
    if accepts_gzip(request) {
        response.insert_header(ContentEncoding::Gzip);
        return Ok(response.body(bytes(file.bytes)));
    }
    Ok(response.body(unpacked(bytes(file.bytes), unpacked_length)))
}

/// The last four bytes of a gzip file (RFC 1952, 2.3.1).
fn unpacked_length(gzip: &[u8]) -> u64 {
    gzip.last_chunk().map_or(0, |length| u32::from_le_bytes(*length).into())
}

/// The content of a gzip file, which is unpacked while it is sent.
fn unpacked(gzip: Bytes, length: u64) -> impl MessageBody {
    let mut reader = GzDecoder::new(Cursor::new(gzip));
    let chunks = iter::from_fn(move || {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = reader.by_ref().take(CHUNK as u64).read_to_end(&mut chunk);
        read.map(|length| (length > 0).then(|| chunk.into())).transpose()
    });
    SizedStream::new(length, stream::iter(chunks))
}

fn bytes(file: Cow<'static, [u8]>) -> Bytes {
    match file {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    }
}
