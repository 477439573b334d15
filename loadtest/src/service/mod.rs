//! What the service says of itself, at `/metrics`.

mod exposition;
mod scrape;

pub(crate) use scrape::{Identity, Scrape, Scraper};
