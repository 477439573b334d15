use std::time::Duration;

use reqwest::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, IF_MATCH};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Map, Value};
use user_service_checker::{Operation, Outcome, User};

use crate::attributes;
use crate::freshness::Asked;
use crate::outcome::{Answer, at_most_one, outcome_of};
use crate::support::http;

const AT_LEAST_POSITION: HeaderName = HeaderName::from_static("at-least-position");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Longer than the service may take to answer by itself, also when it is frozen for a moment.
pub const TIMEOUT: Duration = Duration::from_secs(6);

/// A client of version 2 of the API.
pub struct Rest {
    http: Client,
    token: String,
}

impl Rest {
    pub fn new(token: &str) -> Self {
        let http = http().timeout(TIMEOUT).build().expect("an HTTP client");
        Self { http, token: token.to_owned() }
    }

    /// Sends an operation to a replica, and says what became of it, with the position of the answer.
    pub async fn call(&self, address: &str, operation: &Operation, asked: &Asked) -> (Answer, Option<i64>) {
        let cache_control = asked.cache_control.map(|value| (CACHE_CONTROL, value.to_owned()));
        let at_least = asked.at_least.map(|position| (AT_LEAST_POSITION, position.to_string()));
        let key = asked.idempotency_key.as_ref().map(|key| (IDEMPOTENCY_KEY, key.clone()));
        let request = self.request(address, operation);
        let request = cache_control
            .into_iter()
            .chain(at_least)
            .chain(key)
            .fold(request, |it, (name, value)| it.header(name, value));
        let response = match request.send().await {
            Ok(response) => response,
            // It did not get as far as a connection.
            Err(error) if error.is_connect() => return (Answer::Unsent, None),
            Err(_) => return (Answer::Lost, None),
        };
        let (status, position) = (response.status().as_u16(), response.headers().get("events-position").cloned());
        let position = position.and_then(|position| position.to_str().ok()?.parse().ok());
        match response.text().await {
            Ok(text) => (read(operation, status, &text), position),
            Err(_) => (Answer::Lost, None),
        }
    }

    fn request(&self, address: &str, operation: &Operation) -> RequestBuilder {
        let start = |method: Method, path: &str| {
            self.http.request(method, format!("http://{address}/api/v2/users{path}")).bearer_auth(&self.token)
        };
        let on = |method: Method, id: u64, if_match: &Option<u64>| {
            let request = start(method, &format!("/{id}"));
            if_match.iter().fold(request, |request, version| request.header(IF_MATCH, format!("\"{version}\"")))
        };
        match operation {
            Operation::Create { name, email } => start(Method::POST, "").json(&body(Some(name), Some(email))),
            Operation::Get { id } => start(Method::GET, &format!("/{id}")),
            Operation::GetByEmail { email } => start(Method::GET, &format!("?email={email}")),
            Operation::List { name_prefix } => start(Method::GET, &format!("?page_size=100&name_prefix={name_prefix}")),
            Operation::Put { id, name, email, if_match } => {
                on(Method::PUT, *id, if_match).json(&body(Some(name), Some(email)))
            }
            Operation::Patch { id, name, email, if_match } => on(Method::PATCH, *id, if_match)
                .header(CONTENT_TYPE, "application/merge-patch+json")
                .json(&body(name.as_ref(), email.as_ref())),
            Operation::Delete { id, if_match } => on(Method::DELETE, *id, if_match),
            Operation::Rename { .. } => panic!("the API has no {operation}"),
        }
    }
}

fn body(name: Option<&String>, email: Option<&String>) -> Value {
    let text = |text: &String| Value::from(text.as_str());
    let members =
        [("name", name.map(text)), ("email", email.map(text)), ("attributes", name.map(|name| attributes::of(name)))];
    let given = members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(Map::from_iter(given))
}

fn read(operation: &Operation, status: u16, text: &str) -> Answer {
    let impossible = || Answer::Impossible(format!("{operation}: {status} {text}"));
    if status == 204 {
        return Answer::Known(Outcome::Done);
    }
    let Ok(value) = serde_json::from_str::<Value>(text) else { return impossible() };
    if status >= 400 {
        let outcome = value["code"].as_str().and_then(outcome_of);
        return outcome.map_or_else(impossible, Answer::Known);
    }
    if !matches!(operation, Operation::GetByEmail { .. } | Operation::List { .. }) {
        return user(&value).map_or_else(impossible, |user| Answer::Known(Outcome::User(user)));
    }
    let users = value["users"].as_array().and_then(|users| users.iter().map(user).collect::<Option<Vec<_>>>());
    match (users, operation) {
        (Some(users), Operation::List { .. }) => Answer::Known(Outcome::Users { users }),
        (Some(users), _) => at_most_one(users),
        (None, _) => impossible(),
    }
}

/// A user as the API shows it.
fn user(value: &Value) -> Option<User> {
    let text = |name: &str| value[name].as_str().map(str::to_owned);
    let (id, version, name) = (value["id"].as_u64()?, value["version"].as_u64()?, text("name")?);
    attributes::belong_to(&name, &value["attributes"]).then_some(())?;
    Some(User { id, name, email: text("email")?, version })
}
