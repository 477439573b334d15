//! Tokens, keys and rate limits: who may do what.

mod access;
mod jwks;
mod keys;
mod rate_limit;
mod tokens;
