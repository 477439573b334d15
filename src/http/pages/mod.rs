//! The service's own pages: health, metrics, the live page and Swagger UI.

mod health;
mod live;
mod swagger_ui;

pub(crate) use health::*;
pub(crate) use live::*;
pub(crate) use swagger_ui::*;
