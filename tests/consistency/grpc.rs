use std::error::Error;
use std::io;

use prost_types::FieldMask;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};
use tonic_types::StatusExt as _;
use user_service_checker::{Operation, Outcome, User};

use crate::outcome::{Answer, at_most_one, outcome_of};
use crate::rest::TIMEOUT;
use crate::support::proto::user_service_client::UserServiceClient;
use crate::support::proto::{
    CreateUserRequest, DeleteUserRequest, GetUserRequest, ListUsersRequest, UpdateUserRequest, User as Message,
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

    /// Sends an operation, and says what became of it.
    pub async fn call(&mut self, operation: &Operation) -> Answer {
        match self.send(operation).await {
            Ok(answer) => answer,
            Err(status) => read(operation, &status),
        }
    }

    async fn send(&mut self, operation: &Operation) -> Result<Answer, Status> {
        let client = &mut self.client;
        Ok(match operation {
            Operation::Create { name, email } => {
                let request = CreateUserRequest { name: name.clone(), email: email.clone() };
                one(client.create_user(request).await?.into_inner().user)
            }
            Operation::Get { id } => one(client.get_user(GetUserRequest { id: number(*id) }).await?.into_inner().user),
            Operation::GetByEmail { email } => {
                let request = ListUsersRequest { email: Some(email.clone()), ..ListUsersRequest::default() };
                at_most_one(many(client.list_users(request).await?))
            }
            Operation::List { name_prefix } => {
                let name_prefix = Some(name_prefix.clone());
                let request = ListUsersRequest { page_size: 100, name_prefix, ..ListUsersRequest::default() };
                Answer::Known(Outcome::Users { users: many(client.list_users(request).await?) })
            }
            Operation::Put { id, name, email, if_match } => {
                let request = update(*id, Some(name), Some(email), *if_match);
                one(client.update_user(request).await?.into_inner().user)
            }
            Operation::Patch { id, name, email, if_match } => {
                let request = update(*id, name.as_ref(), email.as_ref(), *if_match);
                one(client.update_user(request).await?.into_inner().user)
            }
            Operation::Delete { id, if_match } => {
                client.delete_user(DeleteUserRequest { id: number(*id), etag: etag(*if_match) }).await?;
                Answer::Known(Outcome::Done)
            }
            Operation::Rename { .. } => panic!("the API has no {operation}"),
        })
    }
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
    }
}

fn etag(if_match: Option<u64>) -> String {
    if_match.map(|version| format!("\"{version}\"")).unwrap_or_default()
}

fn one(message: Option<Message>) -> Answer {
    message.map_or_else(
        || Answer::Impossible("an answer without a user".to_owned()),
        |message| Answer::Known(Outcome::User(user(message))),
    )
}

fn many(response: Response<crate::support::proto::ListUsersResponse>) -> Vec<User> {
    response.into_inner().users.into_iter().map(user).collect()
}

fn user(message: Message) -> User {
    User { id: id(message.id), name: message.name, email: message.email, version: id(message.version) }
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
