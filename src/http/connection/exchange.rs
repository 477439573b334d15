//! One request and its response, as the connection sees them.

use actix_http::{ConnectionType, Request, Response};
use actix_web::Error;
use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceResponse};

use super::response_body::ResponseBody;
use super::state::ConnectionState;

/// Has the application answer a request. The connection is in its handling phase from here until the response body
/// ends.
pub(super) fn exchange<S>(
    request: Request,
    application: &S,
) -> impl Future<Output = Result<Response<ResponseBody>, Error>> + use<S>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = Error>,
{
    let state = request.conn_data::<ConnectionState>();
    let is_in_reserve = state.is_some_and(|state| state.is_in_reserve);
    let handling = state.map(|state| state.phase.handle());
    let response = application.call(request);
    async move {
        let mut response = Response::from(response.await?);
        if is_in_reserve {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        Ok(response.map_body(|_, body| ResponseBody::new(body, handling)))
    }
}
