//! What one thread sends, request by request.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request};

use super::{Kind, Names, Scenario, Users};

const PAGE: &str = "/api/v2/users?page_size=20";

/// A request to send.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all calls are large ones, and a box would cost each an allocation"
)]
pub(crate) enum Call {
    Http { kind: Kind, request: Request<Full<Bytes>> },
    Grpc { id: i64 },
}

pub(crate) struct Script {
    pub scenario: Scenario,
    pub names: Names,
    pub users: Arc<Users>,
    pub random: fastrand::Rng,
    /// The thread's number, for addresses that no other thread makes.
    pub thread: usize,
    pub authorization: HeaderValue,
    pub host: HeaderValue,
    /// What stands before `/api` in the service's address.
    pub base: String,
    /// The share of requests that ask where their time goes.
    pub sampled: f64,
    /// Times in names are counted from here.
    pub zero: Instant,
    pub made: u64,
}

impl Script {
    /// The next request, which is due at `due`. `page` is where the connection's list goes on.
    pub(crate) fn next(&mut self, due: Instant, page: Option<&str>) -> Call {
        let kind = self.kind();
        let request = match kind {
            Kind::GrpcRead => return Call::Grpc { id: self.users.pick(&mut self.random).1 },
            Kind::Read | Kind::Delivery => {
                let (_, id) = self.users.pick(&mut self.random);
                self.request(Method::GET, &format!("/api/v2/users/{id}"), None)
            }
            Kind::Page => self.request(Method::GET, page.unwrap_or(PAGE), None),
            Kind::Update => {
                let (number, id) = self.users.pick(&mut self.random);
                // The readers of the live stream learn from the name when it was due.
                let since = due.saturating_duration_since(self.zero).as_nanos();
                let body = self.names.body(number, since);
                self.request(Method::PUT, &format!("/api/v2/users/{id}"), Some(body))
            }
            Kind::Create => {
                self.made += 1;
                let number = format!("{}-{}", self.thread, self.made);
                let body = self.names.body(&number, &number);
                self.request(Method::POST, "/api/v2/users", Some(body))
            }
        };
        Call::Http { kind, request }
    }

    fn kind(&mut self) -> Kind {
        match self.scenario {
            Scenario::Read => Kind::Read,
            Scenario::Create => Kind::Create,
            Scenario::Page => Kind::Page,
            Scenario::Update | Scenario::Watch => Kind::Update,
            Scenario::GrpcRead => Kind::GrpcRead,
            Scenario::Crud => match self.random.u32(..100) {
                0..75 => Kind::Read,
                75..90 => Kind::Update,
                90..95 => Kind::Page,
                _ => Kind::Create,
            },
        }
    }

    fn request(&mut self, method: Method, path: &str, body: Option<String>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::from(Bytes::new()));
        *request.method_mut() = method;
        // A path of the service itself, or one that it has sent.
        *request.uri_mut() = format!("{}{path}", self.base).parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(AUTHORIZATION, self.authorization.clone());
        if self.sampled > 0.0 && self.random.f64() < self.sampled {
            headers.insert("server-timing", HeaderValue::from_static("request"));
        }
        if let Some(body) = body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Full::from(Bytes::from(body));
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(scenario: Scenario, sampled: f64) -> Script {
        Script {
            scenario,
            names: "0000abcd".parse().unwrap(),
            users: Arc::new(Users::Made(vec![7, 8, 9])),
            random: fastrand::Rng::with_seed(1),
            thread: 0,
            authorization: HeaderValue::from_static("Bearer x"),
            host: HeaderValue::from_static("localhost"),
            base: String::new(),
            sampled,
            zero: Instant::now(),
            made: 0,
        }
    }

    #[test]
    fn crud_is_the_mix_that_it_says() {
        let mut script = script(Scenario::Crud, 0.1);
        let (mut counts, mut sampled) = ([0_i32; 4], 0_i32);
        for _ in 0..20_000 {
            let Call::Http { kind, request } = script.next(Instant::now(), None) else { panic!("a call over gRPC") };
            let (at, method) = match kind {
                Kind::Read => (0, Method::GET),
                Kind::Update => (1, Method::PUT),
                Kind::Page => (2, Method::GET),
                _ => (3, Method::POST),
            };
            counts[at] += 1;
            sampled += i32::from(request.headers().contains_key("server-timing"));
            assert_eq!(request.method(), method);
        }
        for (count, share) in counts.iter().zip([0.75, 0.15, 0.05, 0.05]) {
            assert!((f64::from(*count) / 20_000.0 - share).abs() < 0.01, "{counts:?}");
        }
        assert!((f64::from(sampled) / 20_000.0 - 0.1).abs() < 0.01, "{sampled}");
    }

    #[test]
    fn no_address_is_made_twice_by_two_threads() {
        let mut addresses = std::collections::HashSet::new();
        for thread in [0, 1, 11] {
            let mut script = Script { thread, ..script(Scenario::Create, 0.0) };
            for _ in 0..200 {
                script.made += 1;
                assert!(addresses.insert(script.names.email(format!("{thread}-{}", script.made))));
            }
        }
    }
}
