use std::error::Error;
use std::io;

use prost_types::FieldMask;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};
use tonic_types::StatusExt as _;
use user_service_checker::{Operation, Outcome, User};

use crate::attributes;
use crate::freshness::Asked;
use crate::outcome::{Answer, at_most_one, outcome_of};
use crate::rest::TIMEOUT;
use crate::support::proto::user_service_client::UserServiceClient;
use crate::support::proto::{
    CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest, ListUsersResponse, UpdateUserRequest,
    User as Message,
};
use crate::support::{Authorized, Grpc as Client};

/// A client on a connection of its own.
pub struct Grpc {
    client: Client,
}

impl Grpc {
    pub fn new(address: &str, token: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL").timeout(TIMEOUT);
        Self { client: client(endpoint.connect_lazy(), token) }
    }

    /// Sends an operation, and says what became of it, with the position of the answer.
    pub async fn call(&mut self, operation: &Operation, asked: &Asked) -> (Answer, Option<i64>) {
        match self.send(operation, asked).await {
            Ok(answered) => answered,
            Err(status) => (read(operation, &status), None),
        }
    }

    async fn send(&mut self, operation: &Operation, asked: &Asked) -> Result<(Answer, Option<i64>), Status> {
        let client = &mut self.client;
        Ok(match operation {
            Operation::Create { name, email } => {
                let attributes = attributes::of(name).to_string();
                let request =
                    CreateUserRequest { name: name.clone(), email: email.clone(), attributes, ..Default::default() };
                answered(client.create_user(fresh(request, asked)).await?, |created| one(created.user))
            }
            Operation::Get { id } => {
                let request = fresh(GetUserRequest { id: number(*id), ..Default::default() }, asked);
                answered(client.get_user(request).await?, |got| one(got.user))
            }
            Operation::GetByEmail { email } => {
                let request = ListUsersRequest { email: Some(email.clone()), ..ListUsersRequest::default() };
                let one = |list| many(list).map_or_else(torn, at_most_one);
                answered(client.list_users(fresh(request, asked)).await?, one)
            }
            Operation::List { name_prefix } => {
                let name_prefix = Some(name_prefix.clone());
                let request = ListUsersRequest { page_size: 100, name_prefix, ..ListUsersRequest::default() };
                let all = |list| many(list).map_or_else(torn, |users| Answer::Known(Outcome::Users { users }));
                answered(client.list_users(request).await?, all)
            }
            Operation::Put { id, name, email, if_match } => {
                let mut request = update(*id, Some(name), Some(email), *if_match);
                request.attributes = attributes::of(name).to_string();
                mask(&mut request, "attributes");
                answered(client.update_user(fresh(request, asked)).await?, |updated| one(updated.user))
            }
            Operation::Patch { id, name, email, if_match } => {
                let mut request = update(*id, name.as_ref(), email.as_ref(), *if_match);
                if let Some(name) = name {
                    request.attributes_patch = attributes::of(name).to_string();
                    mask(&mut request, "attributes_patch");
                }
                answered(client.update_user(fresh(request, asked)).await?, |updated| one(updated.user))
            }
            Operation::Delete { id, if_match } => {
                let request = DeleteUserRequest { id: number(*id), etag: etag(*if_match) };
                answered(client.delete_user(fresh(request, asked)).await?, |_| Answer::Known(Outcome::Done))
            }
            Operation::Rename { .. } => panic!("the API has no {operation}"),
        })
    }
}

/// The request, with what it says about how fresh its answer has to be.
fn fresh<T>(message: T, asked: &Asked) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(cache_control) = asked.cache_control {
        request.metadata_mut().insert("cache-control", MetadataValue::from_static(cache_control));
    }
    if let Some(position) = asked.at_least {
        request.metadata_mut().insert("at-least-position", position.into());
    }
    if let Some(key) = &asked.idempotency_key {
        request.metadata_mut().insert("idempotency-key", key.parse().expect("a header"));
    }
    request
}

fn answered<T>(response: Response<T>, read: impl FnOnce(T) -> Answer) -> (Answer, Option<i64>) {
    let position = response.metadata().get("events-position").and_then(|position| position.to_str().ok()?.parse().ok());
    (read(response.into_inner()), position)
}

/// A client that sends a token.
pub fn client(channel: Channel, token: &str) -> Client {
    UserServiceClient::with_interceptor(channel, Authorized(token.to_owned()))
}

fn update(id: u64, name: Option<&String>, email: Option<&String>, if_match: Option<u64>) -> UpdateUserRequest {
    let given = [("name", name), ("email", email)].into_iter().filter(|(_, value)| value.is_some());
    let paths = given.map(|(path, _)| path.to_owned()).collect();
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    UpdateUserRequest {
        id: number(id),
        name: text(name),
        email: text(email),
        update_mask: Some(FieldMask { paths }),
        etag: etag(if_match),
        ..Default::default()
    }
}

/// Has the update change this field, too.
fn mask(request: &mut UpdateUserRequest, path: &str) {
    request.update_mask.get_or_insert_default().paths.push(path.to_owned());
}

fn etag(if_match: Option<u64>) -> String {
    if_match.map(|version| format!("\"{version}\"")).unwrap_or_default()
}

fn one(message: Option<Message>) -> Answer {
    message.map_or_else(
        || Answer::Impossible("an answer without a user".to_owned()),
        |message| user(message).map_or_else(torn, |user| Answer::Known(Outcome::User(user))),
    )
}

fn torn() -> Answer {
    Answer::Impossible("a user whose attributes belong to another name".to_owned())
}

/// `None` if the attributes of a user belong to another name.
fn many(list: ListUsersResponse) -> Option<Vec<User>> {
    list.users.into_iter().map(user).collect()
}

fn user(message: Message) -> Option<User> {
    let attributes = message.attributes.parse().unwrap_or_default();
    attributes::belong_to(&message.name, &attributes).then_some(())?;
    Some(User { id: id(message.id), name: message.name, email: message.email, version: id(message.version) })
}

fn number(id: u64) -> i64 {
    i64::try_from(id).expect("an id of the service")
}

fn id(number: i64) -> u64 {
    u64::try_from(number).expect("an id of the service")
}

fn read(operation: &Operation, status: &Status) -> Answer {
    let details = status.get_error_details();
    let Some(info) = details.error_info().filter(|info| info.domain == "user-service") else {
        // The library made it: no connection, or one that broke.
        return if was_not_connected(status) { Answer::Unsent } else { Answer::Lost };
    };
    let outcome = outcome_of(&info.reason.to_ascii_lowercase());
    outcome.map_or_else(|| Answer::Impossible(format!("{operation}: {status:?}")), Answer::Known)
}

/// Whether the call did not get as far as a connection.
fn was_not_connected(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        let is_refused =
            error.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == io::ErrorKind::ConnectionRefused);
        if is_refused || error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}
