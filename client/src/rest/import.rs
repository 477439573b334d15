//! Imports: users in NDJSON.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use reqwest::Body;

use super::answer::Answer;
use super::{NDJSON, Rest};
use crate::call::Attempt;
use crate::error::Failed;
use crate::imported::Import;
use crate::upload::Upload;

impl Rest {
    /// Has no deadline.
    pub(crate) async fn upload(&self, headers: HeaderMap, upload: Upload) -> Result<Import, Failed> {
        let mut query = vec![("on_conflict", upload.on_conflict.as_str().to_owned())];
        query.extend(upload.from_line.map(|line| ("from_line", line.to_string())));
        let request = self.request(Method::PUT, &path(&upload.id), headers).query(&query);
        let request = request.header(CONTENT_TYPE, NDJSON).body(Body::wrap_stream(upload.chunks));
        Answer::of(request).await?.json(200)
    }

    pub(crate) async fn import(&self, attempt: Attempt, id: &str) -> Result<Import, Failed> {
        Answer::of(self.request(Method::GET, &path(id), attempt.headers)).await?.json(200)
    }

    pub(crate) async fn forget_import(&self, attempt: Attempt, id: &str) -> Result<(), Failed> {
        Answer::of(self.request(Method::DELETE, &path(id), attempt.headers)).await?.empty(204)
    }
}

/// The id needs no escapes.
fn path(id: &str) -> String {
    format!("/api/v2/imports/{id}")
}
