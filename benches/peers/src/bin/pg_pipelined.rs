//! The way of the fastest benchmark entries: no ORM, one tokio-postgres connection for each worker, and prepared,
//! pipelined statements.
#![forbid(unsafe_code)]

use std::convert::Infallible;

use actix_web::{App, HttpResponse, HttpServer, web};
use peers::{INSERT, NewUser, SELECT, User};
use tokio_postgres::{Client, NoTls, Row, Statement};

struct Db {
    client: Client,
    select: Statement,
    insert: Statement,
}

impl Db {
    async fn connect() -> Result<Self, Infallible> {
        let (client, connection) = tokio_postgres::connect(&peers::database_url(), NoTls).await.unwrap();
        actix_web::rt::spawn(async { connection.await.unwrap() });
        let select = client.prepare(SELECT).await.unwrap();
        let insert = client.prepare(INSERT).await.unwrap();
        Ok(Self { client, select, insert })
    }
}

fn user(row: &Row) -> User {
    User { id: row.get(0), name: row.get(1), email: row.get(2) }
}

async fn read(id: web::Path<i64>, db: web::Data<Db>) -> HttpResponse {
    match db.client.query_opt(&db.select, &[&*id]).await {
        Ok(Some(row)) => HttpResponse::Ok().json(user(&row)),
        Ok(None) => HttpResponse::NotFound().finish(),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

async fn create(new: web::Json<NewUser>, db: web::Data<Db>) -> HttpResponse {
    match db.client.query_one(&db.insert, &[&new.name, &new.email]).await {
        Ok(row) => HttpResponse::Created().json(user(&row)),
        Err(_) => HttpResponse::Conflict().finish(),
    }
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let app = || {
        let users = web::resource("/users/{id}").get(read);
        App::new().data_factory(Db::connect).service(users).route("/users", web::post().to(create))
    };
    HttpServer::new(app).bind(peers::address())?.run().await
}
