#![doc = include_str!("../README.md")]
//!
//! # Errors
//!
//! Programs look at [`Error::code`], and at [`Error::OutcomeUnknown`]:
//!
//! ```
//! use user_service_client::{Client, Code, Error, Token, UserFields};
//!
//! # // A service where every email is taken: the example runs without a real one.
//! # async fn service() -> std::io::Result<String> {
//! #     use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//! #     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! #     let url = format!("http://{}", listener.local_addr()?);
//! #     tokio::spawn(async move {
//! #         let (mut stream, _) = listener.accept().await?;
//! #         stream.read(&mut [0; 4096]).await?;
//! #         let body = r#"{"type":"urn:user-service:problem:email_taken","code":"email_taken"}"#;
//! #         let head = "HTTP/1.1 409 Conflict\r\ncontent-type: application/problem+json\r\nx-request-id: 1\r\n";
//! #         stream.write_all(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await
//! #     });
//! #     Ok(url)
//! # }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let url = service().await?;
//! let client = Client::rest(url).token(Token::fixed("...")).build()?;
//! let outcome = match client.create_user(&UserFields::new("John", "john@example.com")).await {
//!     Ok(user) => format!("created {}", user.id),
//!     Err(Error::OutcomeUnknown { .. }) => "search for the email".to_owned(),
//!     Err(error) if error.code() == Some(&Code::EmailTaken) => "the email is taken".to_owned(),
//!     Err(error) => return Err(error.into()),
//! };
//! assert_eq!(outcome, "the email is taken");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod batch;
mod budget;
mod builder;
mod call;
mod client;
mod error;
mod event;
mod export;
mod fields;
mod grpc;
mod import;
mod imported;
mod list;
mod operation;
mod outcomes;
mod pointer;
mod problem;
mod rest;
mod retry;
mod token;
mod transport;
mod upload;
mod user;
mod watch;

pub use builder::Builder;
pub use call::{IdempotencyKey, Malformed, RequestId, TraceParent};
pub use client::Client;
pub use error::Error;
pub use event::{Event, EventType, Notice, WatchUsers};
pub use export::Export;
pub use fields::{Assign, UserFields, UserPatch};
pub use imported::{Import, ImportFailure, ImportState, OnConflict};
pub use list::ListUsers;
pub use operation::Operation;
pub use outcomes::Written;
pub use problem::{Code, FieldError, Problem};
pub use token::{Ask, Token};
pub use user::{Etag, Status, User, UserV1};
