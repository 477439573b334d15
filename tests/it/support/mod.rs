//! What every test stands on: a fresh database, a running server, and answers that check themselves.

mod answer;
mod app;
mod at_once;
mod certificates;
mod database;
mod issuer;
mod json_schema;
mod metrics;
mod otlp;
mod postgres;
mod program;
mod prometheus;
mod raw;
mod schema_facts;
mod server;
mod signal;
mod token;
mod until;

pub use answer::{Answer, Answered};
pub use app::App;
pub use at_once::{CLIENTS, at_once, count};
pub use certificates::{Authority, Signed};
pub use database::{Connection, Database, Db};
pub use issuer::Issuer;
pub use json_schema::Spec;
pub use otlp::{Otlp, Seen};
pub use postgres::Postgres;
pub use program::{Output, Program};
pub use prometheus::{Prometheus, file_of, promtool};
pub use raw::Raw;
pub use schema_facts::SchemaFacts;
pub use server::{Server, email, query_string, user};
pub use token::{SECRET, TOKEN, claims, now, signed, token};
pub use until::until;
