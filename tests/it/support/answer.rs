use reqwest::header::{CONTENT_TYPE, HeaderMap, LINK};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;

/// Words that no error may contain, because they reveal internals.
const INTERNAL: [&str; 12] = [
    "diesel",
    "sqlite",
    "postgres",
    "libpq",
    "r2d2",
    "serde",
    "panicked",
    "constraint",
    "select ",
    "insert ",
    "src/",
    ".rs",
];

const PROBLEM_MEMBERS: [&str; 8] = ["type", "title", "status", "detail", "instance", "code", "errors", "trace_id"];

/// A response that was read to its end and keeps the rules for every response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

pub trait Answered {
    async fn answer(self) -> Answer;
    async fn try_answer(self) -> reqwest::Result<Answer>;
}

impl Answered for RequestBuilder {
    async fn answer(self) -> Answer {
        self.try_answer().await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    async fn try_answer(self) -> reqwest::Result<Answer> {
        Answer::read(self.send().await?).await
    }
}

impl Answer {
    async fn read(response: Response) -> reqwest::Result<Self> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self::checked(status, headers, read_text(response).await?))
    }

    pub fn checked(status: u16, headers: HeaderMap, text: String) -> Self {
        let answer = Self { status, headers, text };
        assert!(answer.headers.contains_key("x-request-id"), "X-Request-Id is missing: {answer:?}");
        if status >= 400 {
            answer.hides_internals();
        }
        answer
    }

    fn hides_internals(&self) {
        let text = self.text.to_lowercase();
        for word in INTERNAL {
            assert!(!text.contains(word), "{word:?} is an internal detail: {self:?}");
        }
    }

    #[track_caller]
    pub fn expect(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    /// The JSON body of an answer with this status.
    #[track_caller]
    pub fn body(&self, status: u16) -> Value {
        self.expect(status);
        self.content_type("application/json");
        self.json()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("not JSON: {error}: {self:#?}"))
    }

    #[track_caller]
    pub fn empty(&self, status: u16) -> &Self {
        self.expect(status);
        assert_eq!(self.text, "", "no body is expected");
        self
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no {name}: {self:#?}"));
        value.to_str().expect("a readable header")
    }

    /// Checks an error of version 1.
    #[track_caller]
    pub fn error(&self, status: u16) -> &Self {
        let body = self.body(status);
        let members = body.as_object().expect("an object");
        assert!(members.len() == 1 && members["error"].as_str().is_some_and(|error| !error.is_empty()), "{self:#?}");
        self.retry_after_when_unavailable();
        self
    }

    /// Checks a problem, which is the error of every route but version 1's, and returns it.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        self.retry_after_when_unavailable();
        self.any_problem(status, code)
    }

    /// Checks a problem without `Retry-After`: an operator must repair something first.
    #[track_caller]
    pub fn unusable(&self) -> Value {
        assert!(!self.headers.contains_key("retry-after"), "Retry-After is present: {self:#?}");
        self.any_problem(503, "unavailable")
    }

    #[track_caller]
    fn any_problem(&self, status: u16, code: &str) -> Value {
        self.expect(status);
        self.content_type("application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{self:#?}");
        assert_eq!(problem["status"], status, "{self:#?}");
        for member in ["type", "title", "detail", "instance"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {self:#?}");
        }
        for member in problem.as_object().expect("an object").keys() {
            assert!(PROBLEM_MEMBERS.contains(&member.as_str()), "{member} is not a problem's member: {self:#?}");
        }
        problem
    }

    /// The pointers of the fields that a 422 reports, sorted.
    #[track_caller]
    pub fn invalid_fields(&self) -> Vec<String> {
        let problem = self.problem(422, "invalid_user");
        let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("errors: {self:#?}"));
        let mut pointers: Vec<String> = errors.iter().map(|error| text(&error["pointer"])).collect();
        assert!(errors.iter().all(|error| !text(&error["detail"]).is_empty()), "an error has no detail: {self:#?}");
        pointers.sort();
        pointers
    }

    /// The URL of the next page, from `Link`.
    #[track_caller]
    pub fn next_link(&self) -> Option<String> {
        let link = self.headers.get(LINK)?.to_str().expect("a readable Link");
        let target = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(r#">; rel="next""#));
        Some(target.unwrap_or_else(|| panic!("not a link to the next page: {link}")).to_owned())
    }

    #[track_caller]
    fn content_type(&self, expected: &str) {
        let essence = self.header(CONTENT_TYPE.as_str()).split(';').next().map(str::trim);
        assert_eq!(essence, Some(expected), "{self:#?}");
    }

    #[track_caller]
    fn retry_after_when_unavailable(&self) {
        if self.status == 503 {
            let seconds = self.header("retry-after").parse::<u32>();
            assert!(seconds.is_ok_and(|seconds| seconds > 0), "Retry-After in seconds: {self:#?}");
        }
    }
}

/// Reads the whole body, or the first chunk of a stream that does not end.
async fn read_text(mut response: Response) -> reqwest::Result<String> {
    if response.headers().get(CONTENT_TYPE).is_none_or(|media| media != "text/event-stream") {
        return response.text().await;
    }
    let piece = response.chunk().await?.unwrap_or_default();
    Ok(String::from_utf8(piece.to_vec()).expect("a stream is UTF-8"))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}")).to_owned()
}
