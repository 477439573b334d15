//! What the peers share: the wire types, the statements, and the addresses. All use the system's allocator, as the
//! service does.
#![forbid(unsafe_code)]

use std::env;

use serde::{Deserialize, Serialize};

#[derive(Serialize)]
pub struct User {
    pub id: i64,
    pub name: String,
    pub email: String,
}

#[derive(Deserialize)]
pub struct NewUser {
    pub name: String,
    pub email: String,
}

pub const SELECT: &str = "SELECT id, name, email FROM peer_users WHERE id = $1";
pub const INSERT: &str = "INSERT INTO peer_users (name, email) VALUES ($1, $2) RETURNING id, name, email";

/// # Panics
/// When `DATABASE_URL` is not set.
#[must_use]
pub fn database_url() -> String {
    env::var("DATABASE_URL").expect("DATABASE_URL is set")
}

/// # Panics
/// When `SERVER_PORT` is not set.
#[must_use]
pub fn address() -> String {
    format!("127.0.0.1:{}", env::var("SERVER_PORT").expect("SERVER_PORT is set"))
}
