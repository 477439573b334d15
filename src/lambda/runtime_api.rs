//! The Lambda Runtime API, by which a process asks for its next event and returns the response.

use serde::Serialize;
use ureq::Agent;
use ureq::http::StatusCode;

use super::answer::Answer;

/// The largest event, in bytes: more than Lambda lets through.
const MAX_EVENT: u64 = 8 << 20;
const REQUEST_ID: &str = "lambda-runtime-aws-request-id";

/// Where it is. Blocks. Clones share their connections.
#[derive(Clone, Debug)]
pub struct RuntimeApi {
    agent: Agent,
    url: String,
}

/// What is asked.
pub(super) struct Invocation {
    pub(super) id: String,
    /// JSON.
    pub(super) event: Vec<u8>,
}

/// Why there is no answer, in words that whoever sent the event may read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failed {
    NoRequest,
    Internal,
}

/// A failure as the Runtime API takes it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    error_type: &'static str,
    error_message: &'static str,
}

impl RuntimeApi {
    /// At the host and port that Lambda names.
    #[must_use]
    pub fn at(host: &str) -> Self {
        let host = host.trim_start_matches("http://").trim_end_matches('/');
        // No time limit: to wait for the next event is to be frozen.
        let agent = Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
        Self { agent, url: format!("http://{host}/2018-06-01/runtime/invocation") }
    }

    /// Waits for the next event.
    pub(super) fn next(&self) -> Result<Invocation, ureq::Error> {
        let response = self.agent.get(format!("{}/next", self.url)).call()?;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            return Err(ureq::Error::StatusCode(head.status.as_u16()));
        }
        let id = head.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let id = id.ok_or(ureq::Error::Other("an event without an id".into()))?.to_owned();
        let event = body.into_with_config().limit(MAX_EVENT).read_to_vec()?;
        Ok(Invocation { id, event })
    }

    /// Tells what became of an event.
    pub(super) fn tell(&self, id: &str, answer: &Result<Answer, Failed>) -> Result<(), ureq::Error> {
        let told = match answer {
            Ok(answer) => self.post(id, "response", answer)?,
            Err(failed) => return self.fail(id, *failed),
        };
        if told.is_success() {
            return Ok(());
        }
        log::error!("Lambda takes no such answer: {told}");
        self.fail(id, Failed::Internal)
    }

    fn fail(&self, id: &str, failed: Failed) -> Result<(), ureq::Error> {
        let told = self.post(id, "error", &Report::from(failed))?;
        if !told.is_success() {
            log::error!("Lambda does not take the failure of a request: {told}");
        }
        Ok(())
    }

    fn post(&self, id: &str, what: &str, body: &impl Serialize) -> Result<StatusCode, ureq::Error> {
        let body = serde_json::to_vec(body).map_err(std::io::Error::from)?;
        let request = self.agent.post(format!("{}/{id}/{what}", self.url)).content_type("application/json");
        let mut response = request.send(&body)?;
        // To its end, or the connection would not be used again.
        response.body_mut().read_to_vec()?;
        Ok(response.status())
    }
}

impl From<Failed> for Report {
    fn from(failed: Failed) -> Self {
        let (error_type, error_message) = match failed {
            Failed::NoRequest => {
                ("NoRequest", "not an event of API Gateway, of a function URL or of an Application Load Balancer")
            }
            Failed::Internal => ("Internal", "the request could not be answered"),
        };
        Self { error_type, error_message }
    }
}
