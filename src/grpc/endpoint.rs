//! All methods, with the scope that each needs and whether it streams.

use crate::auth::Scope;

/// A method that this server implements.
pub(super) struct Endpoint {
    /// The full name, with the service.
    pub(super) method: &'static str,
    pub(super) service: Service,
    /// The scope that the token must have. `None` if the method needs no token.
    pub(super) scope: Option<Scope>,
    /// Whether the method responds with a stream, which may have no end.
    pub(super) streams: bool,
    /// Whether the message is a batch, which may be large and takes a slot.
    pub(super) is_batch: bool,
}

/// The service that handles the method.
#[derive(Clone, Copy)]
pub(super) enum Service {
    Users,
    /// The methods of the same service that take batches.
    UserBatches,
    Health,
    Reflection,
    ReflectionAlpha,
}

pub(super) const ENDPOINTS: [Endpoint; 13] = [
    users("users.v1.UserService/GetUser", Scope::UsersRead),
    batch("users.v1.UserService/BatchGetUsers", Scope::UsersRead),
    users("users.v1.UserService/ListUsers", Scope::UsersRead),
    users("users.v1.UserService/CreateUser", Scope::UsersWrite),
    users("users.v1.UserService/UpdateUser", Scope::UsersWrite),
    users("users.v1.UserService/DeleteUser", Scope::UsersWrite),
    batch("users.v1.UserService/BatchWriteUsers", Scope::UsersWrite),
    Endpoint { streams: true, ..users("users.v1.UserService/WatchUsers", Scope::UsersRead) },
    open("grpc.health.v1.Health/Check", Service::Health),
    open("grpc.health.v1.Health/List", Service::Health),
    Endpoint { streams: true, ..open("grpc.health.v1.Health/Watch", Service::Health) },
    Endpoint { streams: true, ..open("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Service::Reflection) },
    Endpoint {
        streams: true,
        ..open("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Service::ReflectionAlpha)
    },
];

const fn users(method: &'static str, scope: Scope) -> Endpoint {
    Endpoint { method, service: Service::Users, scope: Some(scope), streams: false, is_batch: false }
}

const fn batch(method: &'static str, scope: Scope) -> Endpoint {
    Endpoint { method, service: Service::UserBatches, scope: Some(scope), streams: false, is_batch: true }
}

const fn open(method: &'static str, service: Service) -> Endpoint {
    Endpoint { method, service, scope: None, streams: false, is_batch: false }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::grpc::generated::DESCRIPTORS;

    /// All methods in the descriptors, and whether each streams.
    fn described() -> Vec<(String, bool)> {
        let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
        let mut described = Vec::new();
        for file in &files {
            for service in &file.service {
                let name = |method: &str| format!("{}.{}/{method}", file.package(), service.name());
                described.extend(service.method.iter().map(|it| (name(it.name()), it.server_streaming())));
            }
        }
        described
    }

    #[test]
    fn every_method_of_the_descriptors_is_listed() {
        let is_reflection = |endpoint: &&Endpoint| endpoint.method.starts_with("grpc.reflection.");
        let here = ENDPOINTS.iter().filter(|endpoint| !is_reflection(endpoint));
        let mut here = Vec::from_iter(here.map(|endpoint| (endpoint.method.to_owned(), endpoint.streams)));
        let mut described = described();
        here.sort();
        described.sort();
        assert_eq!(here, described);
    }
}
