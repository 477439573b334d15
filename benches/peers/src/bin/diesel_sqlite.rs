//! `diesel_block` on `SQLite`: a pooled connection inside `web::block`, and one statement for each request.
#![forbid(unsafe_code)]

use actix_web::{App, HttpResponse, HttpServer, Result, web};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Error, Pool};
use peers::{NewUser, User};

diesel::table! {
    peer_users (id) {
        id -> BigInt,
        name -> Text,
        email -> Text,
    }
}

type Db = web::Data<Pool<ConnectionManager<SqliteConnection>>>;
type Row = (i64, String, String);

fn user((id, name, email): Row) -> User {
    User { id, name, email }
}

async fn read(id: web::Path<i64>, db: Db) -> Result<HttpResponse> {
    let find = move || peer_users::table.find(*id).first::<Row>(&mut db.get().unwrap()).optional();
    Ok(match web::block(find).await? {
        Ok(Some(row)) => HttpResponse::Ok().json(user(row)),
        Ok(None) => HttpResponse::NotFound().finish(),
        Err(_) => HttpResponse::InternalServerError().finish(),
    })
}

async fn create(web::Json(NewUser { name, email }): web::Json<NewUser>, db: Db) -> Result<HttpResponse> {
    let values = (peer_users::name.eq(name), peer_users::email.eq(email));
    let insert = diesel::insert_into(peer_users::table).values(values);
    Ok(match web::block(move || insert.get_result::<Row>(&mut db.get().unwrap())).await? {
        Ok(row) => HttpResponse::Created().json(user(row)),
        Err(_) => HttpResponse::Conflict().finish(),
    })
}

/// The service's durability, with a longer busy timeout: without batches, writers wait long for each other.
#[derive(Debug)]
struct Durable;

impl CustomizeConnection<SqliteConnection, Error> for Durable {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> std::result::Result<(), Error> {
        let setup = "PRAGMA busy_timeout = 30000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
        connection.batch_execute(setup).map_err(Error::QueryError)
    }
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    // With more connections, writers only sleep while another one writes.
    let pool = Pool::builder().max_size(2).test_on_check_out(false).connection_customizer(Box::new(Durable));
    let db = web::Data::new(pool.build(ConnectionManager::<SqliteConnection>::new(peers::database_url())).unwrap());
    let app = move || {
        let users = web::resource("/users/{id}").get(read);
        App::new().app_data(db.clone()).service(users).route("/users", web::post().to(create))
    };
    HttpServer::new(app).bind(peers::address())?.run().await
}
