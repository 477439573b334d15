//! The stack of most new Rust services: axum, and one pooled `SQLx` query for each request.
#![forbid(unsafe_code)]

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use peers::{INSERT, NewUser, SELECT, User};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::net::TcpListener;

async fn read(State(db): State<PgPool>, Path(id): Path<i64>) -> Result<Json<User>, StatusCode> {
    let found = sqlx::query_as::<_, (i64, String, String)>(SELECT).bind(id).fetch_optional(&db).await;
    let found = found.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    found.map(|(id, name, email)| Json(User { id, name, email })).ok_or(StatusCode::NOT_FOUND)
}

async fn create(State(db): State<PgPool>, Json(new): Json<NewUser>) -> Result<(StatusCode, Json<User>), StatusCode> {
    let made = sqlx::query_as::<_, (i64, String, String)>(INSERT).bind(&new.name).bind(&new.email).fetch_one(&db).await;
    let (id, name, email) = made.map_err(|_| StatusCode::CONFLICT)?;
    Ok((StatusCode::CREATED, Json(User { id, name, email })))
}

#[tokio::main]
async fn main() {
    let options = PgPoolOptions::new().min_connections(20).max_connections(20);
    let db = options.connect(&peers::database_url()).await.unwrap();
    let app = Router::new().route("/users/{id}", get(read)).route("/users", post(create)).with_state(db);
    axum::serve(TcpListener::bind(peers::address()).await.unwrap(), app).await.unwrap();
}
