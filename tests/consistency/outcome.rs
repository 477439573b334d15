use user_service_checker::{Outcome, User};

/// What became of a call that was sent.
#[derive(Debug)]
pub enum Answer {
    /// The service answered.
    Known(Outcome),
    /// No answer came: a write may have been executed, or may still be.
    Lost,
    /// It surely was not sent.
    Unsent,
    /// What the service must never answer.
    Impossible(String),
}

/// Of a code that REST and gRPC share, in lower case.
pub fn outcome_of(code: &str) -> Option<Outcome> {
    Some(match code {
        "user_not_found" => Outcome::NotFound,
        "email_taken" => Outcome::EmailTaken,
        "version_mismatch" => Outcome::VersionMismatch,
        "invalid_user" => Outcome::Invalid,
        "overloaded" | "unavailable" | "too_many_requests" | "too_many_calls" | "deadline_exceeded" => Outcome::Refused,
        "outcome_unknown" => Outcome::Unknown,
        _ => return None,
    })
}

/// Of a search for the one user with an address.
pub fn at_most_one(mut users: Vec<User>) -> Answer {
    match (users.pop(), users.is_empty()) {
        (None, _) => Answer::Known(Outcome::None),
        (Some(user), true) => Answer::Known(Outcome::User(user)),
        (Some(user), false) => Answer::Impossible(format!("several users with the address of {user}: {users:?}")),
    }
}
