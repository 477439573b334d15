use actix_http::Request;
use actix_service::ServiceFactory;
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, ServiceResponse};

/// The service that an `actix_web::App` becomes. A listener serves it to connections, and AWS Lambda serves it events.
pub trait Application:
    ServiceFactory<
        Request,
        Config = AppConfig,
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    > + 'static
{
}

impl<S> Application for S where
    S: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<BoxBody>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static
{
}
