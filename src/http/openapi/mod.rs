//! The description of the API (OpenAPI 3.1), which utoipa derives from the handlers and their types.

mod document;
mod modifiers;
mod operations;
mod text_patterns;

pub use document::openapi;
pub(crate) use document::openapi_json;
