//! Those who answer, each as a function from a request to an answer: the type of some has no name.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service as Answers};
use tonic_reflection::server::Builder;

use super::endpoint::Service;
use super::generated::DESCRIPTORS;
use super::generated::health::health_server::HealthServer;
use super::generated::users::user_service_server::UserServiceServer;
use super::health::Health;
use super::methods::Users;
use super::reflection::Reflection;

/// Answers the calls of one service.
pub(super) type Answer = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<Response<Body>, Infallible> + Send + Sync>;

/// The most that a message may have that holds a name, in bytes: strangers may send it.
const NAME: usize = 4 << 10;

pub(super) struct Services {
    users: Answer,
    health: Answer,
    reflection: Answer,
    reflection_alpha: Answer,
}

impl Services {
    /// `max_bytes` is the most that a message to the service of users may have; `silence` how long whoever asks by reflection may
    /// take to ask for more.
    pub(super) fn new(users: Users, max_bytes: usize, silence: Duration) -> io::Result<Self> {
        // With the details of statuses, for tools that show them.
        let known = [DESCRIPTORS, tonic_types::pb::FILE_DESCRIPTOR_SET];
        let files = || known.iter().fold(Builder::configure(), |it, set| it.register_encoded_file_descriptor_set(set));
        let reflection = Reflection::new(silence);
        let health = Health { storage: users.storage.clone(), draining: users.draining.clone() };
        Ok(Self {
            users: answer(UserServiceServer::new(users).max_decoding_message_size(max_bytes)),
            health: answer(HealthServer::new(health).max_decoding_message_size(NAME)),
            reflection: reflection.by(files().build_v1().map_err(io::Error::other)?.max_decoding_message_size(NAME)),
            reflection_alpha: reflection
                .by(files().build_v1alpha().map_err(io::Error::other)?.max_decoding_message_size(NAME)),
        })
    }

    pub(super) fn of(&self, service: Service) -> Answer {
        Arc::clone(match service {
            Service::Users => &self.users,
            Service::Health => &self.health,
            Service::Reflection => &self.reflection,
            Service::ReflectionAlpha => &self.reflection_alpha,
        })
    }
}

fn answer<S>(service: S) -> Answer
where
    S: Answers<
            Request<Incoming>,
            Response = Response<Body>,
            Error = Infallible,
            Future = BoxFuture<Response<Body>, Infallible>,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    // These are always ready.
    Arc::new(move |request| service.clone().call(request))
}
