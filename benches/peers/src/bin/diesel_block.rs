//! The classic actix-web and Diesel service: a pooled connection inside `web::block`, and one statement for each
//! request.
#![forbid(unsafe_code)]

use actix_web::{App, HttpResponse, HttpServer, Result, web};
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool};
use peers::{NewUser, User};

diesel::table! {
    peer_users (id) {
        id -> BigInt,
        name -> Text,
        email -> Text,
    }
}

type Db = web::Data<Pool<ConnectionManager<PgConnection>>>;
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

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    // A test of the connection would be a second statement for each request.
    let pool = Pool::builder().max_size(20).test_on_check_out(false);
    let db = web::Data::new(pool.build(ConnectionManager::<PgConnection>::new(peers::database_url())).unwrap());
    let app = move || {
        let users = web::resource("/users/{id}").get(read);
        App::new().app_data(db.clone()).service(users).route("/users", web::post().to(create))
    };
    HttpServer::new(app).bind(peers::address())?.run().await
}
