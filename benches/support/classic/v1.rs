use actix_web::error::{ErrorInternalServerError, ErrorNotFound};
use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, Result, web};

use super::UserBody;
use super::storage::Storage;

pub(super) async fn get_user(storage: web::Data<Storage>, id: web::Path<i64>) -> Result<HttpResponse> {
    let found = web::block(move || storage.get_user(*id)).await?;
    let user = found.map_err(ErrorInternalServerError)?;
    let user = user.ok_or_else(|| ErrorNotFound("no user has this id"))?;
    Ok(HttpResponse::Ok().json(user))
}

pub(super) async fn create_user(storage: web::Data<Storage>, body: web::Json<UserBody>) -> Result<HttpResponse> {
    let new = body.into_inner().parse()?;
    let created = web::block(move || storage.create_user(new)).await?;
    let user = created.map_err(ErrorInternalServerError)?;
    let location = format!("/api/v1/users/{}", user.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(user))
}
