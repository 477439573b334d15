//! Lists the users of a running service, creates one, and watches changes until it is interrupted.
//!
//! `cargo run --example users -- rest http://127.0.0.1:3000 TOKEN`, or `grpc` and that address.
#![allow(clippy::print_stdout, reason = "it prints to the terminal")]

use std::env::args;
use std::error::Error;

use futures_util::TryStreamExt as _;
use user_service_client::{Client, Code, ListUsers, Notice, Token, UserFields, WatchUsers};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [_, protocol, url, token] =
        Vec::from_iter(args()).try_into().map_err(|_| "usage: users rest|grpc URL TOKEN")?;
    let builder = if protocol == "grpc" { Client::grpc(url) } else { Client::rest(url) };
    let client = builder.token(Token::fixed(token)).build()?;

    // Watching begins before the list, so that no change is missed in between.
    let mut changes = client.watch_users(WatchUsers::new());
    changes.try_next().await?;

    let mut users = client.list_users(ListUsers::new());
    while let Some(user) = users.try_next().await? {
        println!("{}: {} <{}>, version {}", user.id, user.name, user.email, user.version);
    }

    match client.create_user(&UserFields::new("Ada Lovelace", "ada@example.com")).await {
        Err(error) if error.code() == Some(&Code::EmailTaken) => println!("Ada is there already"),
        created => println!("created {}", created?.id),
    }

    while let Some(Notice { position, event, .. }) = changes.try_next().await? {
        let Some(event) = event else { continue };
        println!("{position}: {} {}, version {}", event.r#type.as_str(), event.user_id, event.version);
    }
    Ok(())
}
