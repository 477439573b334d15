//! The REST transport: version 2 of the API.

mod answer;
mod batch;
mod events;
mod export;
mod import;
mod problem;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, IF_MATCH};
use http::{HeaderMap, Method};
use reqwest::{RequestBuilder, Url, redirect};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde::{Deserialize, Serialize};

use crate::call::{Attempt, USER_AGENT};
use crate::error::Failed;
use crate::event::{Notices, WatchUsers};
use crate::fields::{UserFields, UserPatch};
use crate::list::{ListUsers, Page, Users};
use crate::token::BoxError;
use crate::user::{Etag, User};
use answer::Answer;

const USERS: &str = "/api/v2/users";
const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// The service closes a connection after a minute without a request. A change that is sent at that moment would get no
/// response, so the client closes the connection first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes attempts over REST.
pub(crate) struct Rest {
    http: reqwest::Client,
    /// The service's address, without a trailing slash.
    base: String,
}

impl Rest {
    pub(crate) fn new(base_url: &str, connect_timeout: Duration) -> Result<Self, BoxError> {
        let base = base(base_url)?;
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(connect_timeout)
            // With HTTP/1.1 a broken connection affects only one call.
            .http1_only()
            // A proxy must not see the token.
            .no_proxy()
            .pool_idle_timeout(IDLE_TIMEOUT)
            // The service never redirects. Following a redirect would send changes and the token to another server.
            .redirect(redirect::Policy::none())
            .tls_backend_preconfigured(tls(base.starts_with("https:"))?);
        Ok(Self { http: http.build()?, base })
    }

    pub(crate) async fn create_user(&self, attempt: Attempt, fields: &UserFields) -> Result<User, Failed> {
        let request = body(self.request(Method::POST, USERS, attempt.headers), JSON, fields)?;
        Answer::of(request).await?.json(201)
    }

    pub(crate) async fn get_user(&self, attempt: Attempt, id: i64) -> Result<User, Failed> {
        Answer::of(self.request(Method::GET, &path(id), attempt.headers)).await?.json(200)
    }

    pub(crate) async fn list_users(&self, attempt: Attempt, list: &ListUsers, token: &str) -> Result<Page, Failed> {
        let mut query = vec![(Cow::Borrowed("page_size"), list.page_size.to_string())];
        query.extend(filters(list));
        query.extend((!token.is_empty()).then(|| (Cow::Borrowed("page_token"), token.to_owned())));
        let page: UserPage =
            Answer::of(self.request(Method::GET, USERS, attempt.headers).query(&query)).await?.json(200)?;
        Ok(Page { users: page.users, next_page_token: page.next_page_token })
    }

    pub(crate) async fn export_users(&self, attempt: Attempt, list: &ListUsers) -> Result<(i64, Users), Failed> {
        let request = self.request(Method::GET, "/api/v2/users:export", attempt.headers).header(ACCEPT, NDJSON);
        export::open(request.query(&Vec::from_iter(filters(list)))).await
    }

    pub(crate) async fn update_user(
        &self,
        attempt: Attempt,
        id: i64,
        fields: &UserFields,
        etag: Option<&Etag>,
    ) -> Result<User, Failed> {
        let request = if_match(self.request(Method::PUT, &path(id), attempt.headers), etag);
        Answer::of(body(request, JSON, fields)?).await?.json(200)
    }

    pub(crate) async fn patch_user(
        &self,
        attempt: Attempt,
        id: i64,
        patch: &UserPatch,
        etag: Option<&Etag>,
    ) -> Result<User, Failed> {
        let request = if_match(self.request(Method::PATCH, &path(id), attempt.headers), etag);
        Answer::of(body(request, MERGE_PATCH, patch)?).await?.json(200)
    }

    pub(crate) async fn delete_user(&self, attempt: Attempt, id: i64, etag: Option<&Etag>) -> Result<(), Failed> {
        let request = if_match(self.request(Method::DELETE, &path(id), attempt.headers), etag);
        Answer::of(request).await?.empty(204)
    }

    pub(crate) async fn watch_users(&self, attempt: Attempt, watch: &WatchUsers) -> Result<Notices, Failed> {
        let mut request = self.request(Method::GET, "/api/v2/events", attempt.headers);
        if let Some(after) = watch.after {
            request = request.header("last-event-id", after);
        }
        if !watch.types.is_empty() {
            let types = Vec::from_iter(watch.types.iter().map(|known| known.as_str()));
            request = request.query(&[("type", types.join(","))]);
        }
        events::open(request).await
    }

    fn request(&self, method: Method, path: &str, headers: HeaderMap) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).headers(headers)
    }
}

/// A page in JSON.
#[derive(Deserialize)]
struct UserPage {
    users: Vec<User>,
    #[serde(default)]
    next_page_token: Option<String>,
}

fn path(id: i64) -> String {
    format!("{USERS}/{id}")
}

fn filters(list: &ListUsers) -> impl Iterator<Item = (Cow<'static, str>, String)> {
    let status = list.status.map(|status| status.as_str().to_owned());
    let filters = [
        ("email", list.email.clone()),
        ("name_prefix", list.name_prefix.clone()),
        ("external_id", list.external_id.clone()),
        ("status", status),
    ];
    let attributes = list.attributes.clone().into_iter();
    let attributes = attributes.map(|(name, value)| (Cow::Owned(format!("attributes.{name}")), value));
    filters.into_iter().filter_map(|(name, value)| Some((Cow::Borrowed(name), value?))).chain(attributes)
}

fn if_match(request: RequestBuilder, etag: Option<&Etag>) -> RequestBuilder {
    match etag {
        Some(etag) => request.header(IF_MATCH, etag.as_str()),
        None => request,
    }
}

fn body(request: RequestBuilder, media_type: &str, body: &impl Serialize) -> Result<RequestBuilder, Failed> {
    let json = serde_json::to_vec(body).map_err(|error| Failed::foreign(error.to_string()))?;
    Ok(request.header(CONTENT_TYPE, media_type).body(json))
}

/// Validates the service's address and removes its trailing slash.
fn base(url: &str) -> Result<String, BoxError> {
    let parsed = Url::parse(url)?;
    let is_http = matches!(parsed.scheme(), "http" | "https");
    let is_bare = parsed.query().is_none() && parsed.fragment().is_none() && parsed.username().is_empty();
    if is_http && is_bare {
        Ok(parsed.as_str().trim_end_matches('/').to_owned())
    } else {
        Err("the address must be http:// or https://, a host, and at most a path".into())
    }
}

/// TLS with ring and the platform's certificates. Loading those takes time, so a client of a plain HTTP address gets
/// none and trusts no certificate.
fn tls(is_used: bool) -> Result<ClientConfig, BoxError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config =
        if is_used { config.with_platform_verifier()? } else { config.with_root_certificates(RootCertStore::empty()) };
    Ok(config.with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_finds_its_certificates() {
        assert!(Rest::new("https://example.com", Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn an_address_may_have_a_path() {
        for (url, expected) in [
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("https://example.com/", "https://example.com"),
            ("https://example.com/people/", "https://example.com/people"),
        ] {
            assert_eq!(base(url).unwrap(), expected);
        }
        for url in ["", "127.0.0.1:3000", "ftp://example.com", "http://a:b@example.com", "http://example.com?a=b"] {
            assert!(base(url).is_err(), "{url}");
        }
    }
}
