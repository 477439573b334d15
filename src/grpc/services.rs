//! The gRPC services and their handlers.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service as HttpService};
use tonic_reflection::server::Builder;

use super::endpoint::Service;
use super::generated::DESCRIPTORS;
use super::generated::health::health_server::HealthServer;
use super::generated::users::user_service_server::UserServiceServer;
use super::handler::Handler;
use super::health::Health;
use super::methods::Users;
use super::reflection::Reflection;

/// The largest message to the health and reflection services, in bytes. Unauthenticated clients may send it, and it
/// contains only a name.
const MAX_NAME_BYTES: usize = 4 << 10;

/// The largest batch, in bytes: that of REST.
pub(super) const MAX_BATCH_BYTES: usize = 1 << 20;

pub(super) struct Services {
    users: Handler,
    user_batches: Handler,
    health: Handler,
    reflection: Handler,
    reflection_alpha: Handler,
}

impl Services {
    /// `max_bytes` is the largest message to the user service, unless it is a batch. `idle_timeout` is how long a reflection stream may be
    /// silent.
    pub(super) fn new(users: Users, max_bytes: usize, idle_timeout: Duration) -> io::Result<Self> {
        // Includes the types of error details, for tools that display them.
        let known = [DESCRIPTORS, tonic_types::pb::FILE_DESCRIPTOR_SET];
        let files = || known.iter().fold(Builder::configure(), |it, set| it.register_encoded_file_descriptor_set(set));
        let reflection = Reflection::new(idle_timeout);
        let health = Health { storage: users.storage.clone(), draining: users.draining.clone() };
        Ok(Self {
            user_batches: handler(UserServiceServer::new(users.clone()).max_decoding_message_size(MAX_BATCH_BYTES)),
            users: handler(UserServiceServer::new(users).max_decoding_message_size(max_bytes)),
            health: handler(HealthServer::new(health).max_decoding_message_size(MAX_NAME_BYTES)),
            reflection: reflection
                .handler(files().build_v1().map_err(io::Error::other)?.max_decoding_message_size(MAX_NAME_BYTES)),
            reflection_alpha: reflection
                .handler(files().build_v1alpha().map_err(io::Error::other)?.max_decoding_message_size(MAX_NAME_BYTES)),
        })
    }

    pub(super) fn handler(&self, service: Service) -> Handler {
        Arc::clone(match service {
            Service::Users => &self.users,
            Service::UserBatches => &self.user_batches,
            Service::Health => &self.health,
            Service::Reflection => &self.reflection,
            Service::ReflectionAlpha => &self.reflection_alpha,
        })
    }
}

fn handler<S>(service: S) -> Handler
where
    S: HttpService<
            Request<Incoming>,
            Response = Response<Body>,
            Error = Infallible,
            Future = BoxFuture<Response<Body>, Infallible>,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    // tonic's services are always ready.
    Arc::new(move |request| service.clone().call(request))
}
