//! The command line.

use std::fmt::Display;
use std::io;
use std::mem::ManuallyDrop;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Parser, Subcommand};
use secrecy::ExposeSecret as _;

use crate::config::Config;
use crate::domain::{AttributeName, OnConflict};
use crate::import::{self, ImportFile};
use crate::output::{print, print_error, print_line};
use crate::transfer::Format;
use crate::{attribute_indexes, auth, check_attributes, export, healthcheck, seed, server, storage, telemetry};

/// Stores users and serves them over REST. Configured by environment variables; see docs/configuration.md.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve requests (the default).
    Serve,
    /// Bring the database's schema up to date, and end.
    Migrate,
    /// Fill the database with made-up users; those that are there already stay.
    Seed {
        /// How many users.
        #[arg(long)]
        count: NonZeroU64,
    },
    /// Write all users into a new file, as they are at one moment.
    Export {
        /// The file to make, such as users.ndjson or users.csv.gz; - for stdout.
        file: PathBuf,
        /// ndjson or csv, if the name of the file does not say it.
        #[arg(long, value_parser = format)]
        format: Option<Format>,
        /// Compress the file, although its name does not end in .gz.
        #[arg(long)]
        gzip: bool,
    },
    /// Import all users of a file. If it is killed, the same command goes on where it was.
    Import {
        /// The file, such as users.ndjson or users.csv.gz; - for stdin.
        file: PathBuf,
        /// ndjson or csv, if the name of the file does not say it.
        #[arg(long, value_parser = format)]
        format: Option<Format>,
        /// What becomes of a user whose email another one has: fail, skip or update.
        #[arg(long, default_value = "fail", value_parser = on_conflict)]
        on_conflict: OnConflict,
        /// Begin anew, although an import of a file with this name has not come to its end.
        #[arg(long)]
        restart: bool,
    },
    /// Count the users whose attributes the configured schema does not allow, and name some of them; the exit code tells.
    CheckAttributes,
    /// Make the indexes of attributes that the configuration names, and end.
    IndexAttributes,
    /// Drop the index of an attribute that the configuration names no more.
    DropAttributeIndex {
        /// The attribute.
        #[arg(value_parser = attribute)]
        name: AttributeName,
    },
    /// Copy a SQLite database into a new file while it is in use.
    Backup {
        /// The file to make.
        file: PathBuf,
    },
    /// Have the relay send again the events that it had given up because the broker refused them.
    RetryParked,
    /// Print a token that the service takes, signed with its secret.
    Token {
        /// Who the token is for.
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        subject: String,
        /// What it is for: names between spaces, such as "users:read users:write".
        #[arg(long)]
        scope: String,
        /// How long it is good for, such as 10m or 1h.
        #[arg(long, default_value = "1h", value_parser = ttl)]
        ttl: Duration,
    },
    /// Print the effective configuration without its secrets, or everything that is wrong with it.
    CheckConfig,
    /// Ask a service that runs here whether it is healthy; the exit code tells.
    Healthcheck,
}

/// The exit code for an invalid configuration.
const BAD_CONFIGURATION: u8 = 2;

/// Runs the command that the command line names.
#[must_use]
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return print_parser_message(&error),
    };
    let command = arguments.command.unwrap_or(Command::Serve);
    let needs_key = matches!(command, Command::Serve | Command::Token { .. } | Command::CheckConfig);
    let config = match Config::from_environment(needs_key) {
        Ok(config) => config,
        Err(mistakes) => {
            for mistake in mistakes {
                print_error(mistake);
            }
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    let _log = telemetry::start(&config.telemetry);
    // Sets rustls' cryptographic backend, once per process: the one that needs no more than a C compiler.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match command {
        Command::Serve => exit_code(serve(config)),
        Command::Migrate => exit_code(migrate(&config)),
        Command::Seed { count } => exit_code(seed::seed(&config.storage, count)),
        Command::Export { file, format, gzip } => exit_code(export::export(&config.storage, &file, format, gzip)),
        Command::Import { file, format, on_conflict, restart } => {
            exit_code(import::import(&config.storage, &ImportFile { file, format, on_conflict, restart }))
        }
        Command::CheckAttributes => exit_code(check_attributes::check_attributes(&config.storage)),
        Command::IndexAttributes => exit_code(attribute_indexes::index_attributes(&config.storage)),
        Command::DropAttributeIndex { name } => {
            exit_code(attribute_indexes::drop_attribute_index(&config.storage, &name))
        }
        Command::Backup { file } => exit_code(storage::backup(&config.storage, &file)),
        Command::RetryParked => exit_code(retry_parked(&config)),
        Command::Token { subject, scope, ttl } => exit_code(token(&config, &subject, &scope, ttl)),
        Command::Healthcheck => exit_code(healthcheck::healthcheck(&config.http)),
        Command::CheckConfig => exit_code(print(&config)),
    }
}

/// Prints what the parser returned instead of a command: help that was asked for, or what is wrong with the arguments.
fn print_parser_message(error: &clap::Error) -> ExitCode {
    let lost = error.print().err().filter(|error| error.kind() != io::ErrorKind::BrokenPipe);
    match lost {
        Some(lost) if !error.use_stderr() => {
            print_error(lost);
            ExitCode::FAILURE
        }
        _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(BAD_CONFIGURATION)),
    }
}

fn serve(config: Config) -> Result<(), server::ServeError> {
    // Never dropped: dropping a runtime waits for its threads, and one of them may hang in the database.
    let system = ManuallyDrop::new(actix_rt::System::new());
    system.block_on(server::serve(config))
}

fn migrate(config: &Config) -> Result<(), storage::MigrateError> {
    let applied = storage::migrate(&config.storage)?;
    for name in &applied {
        print_line(format_args!("applied {name}"));
    }
    print_line("the schema is up to date");
    Ok(())
}

fn retry_parked(config: &Config) -> Result<(), storage::RetryError> {
    let retried = storage::retry_parked(&config.storage)?;
    print_line(format_args!("events to be tried again: {retried}"));
    Ok(())
}

fn token(config: &Config, subject: &str, scope: &str, ttl: Duration) -> Result<(), TokenError> {
    let token = auth::issue(&config.auth, subject, scope, ttl)?;
    Ok(print(format_args!("{}\n", token.expose_secret()))?)
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
enum TokenError {
    #[error(transparent)]
    Issue(#[from] auth::IssueError),
    #[error("cannot write it: {0}")]
    Lost(#[from] io::Error),
}

/// Parses the lifetime of a token. Tokens count whole seconds, so a shorter one would be expired at once.
fn ttl(text: &str) -> Result<Duration, String> {
    let ttl = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if ttl < Duration::from_secs(1) { Err("must be 1s or more".to_owned()) } else { Ok(ttl) }
}

fn format(name: &str) -> Result<Format, &'static str> {
    Format::named(name).ok_or("must be ndjson or csv")
}

fn attribute(name: &str) -> Result<AttributeName, &'static str> {
    AttributeName::parse(name).ok_or("must be 1 to 40 letters of ASCII, digits, _ and -")
}

fn on_conflict(word: &str) -> Result<OnConflict, &'static str> {
    OnConflict::parse(word).ok_or("must be fail, skip or update")
}

fn exit_code(result: Result<(), impl Display>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
