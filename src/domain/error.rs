//! Errors of the use cases.

/// Why a use case failed. The texts are for the caller and contain no internal detail. The cause of an internal error
/// is logged where it happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the user is not valid")]
    Invalid(Vec<FieldError>),
    #[error("the attributes are not what the schema allows")]
    InvalidAttributes(Vec<Violation>),
    #[error("no user has this id")]
    NotFound,
    #[error("another user has this email")]
    EmailTaken,
    #[error("another user has this external id")]
    ExternalIdTaken,
    #[error("the user has changed since the version you know")]
    VersionMismatch,
    #[error("this idempotency key belongs to another request; nothing was changed")]
    KeyReused,
    #[error("the page token is damaged or belongs to other filters or another order")]
    InvalidPageToken,
    #[error(
        "events after this one are gone; follow from now on, then list all users: keep what has the higher version, and drop who is not listed"
    )]
    EventsGone,
    #[error("the log of events has never reached this position; read without it")]
    PositionUnknown,
    /// Not executed: more requests wait than can be answered in time.
    #[error("the service is overloaded; nothing was changed")]
    Overloaded,
    /// Not executed: the database cannot be reached, or is not ready.
    #[error("the database is not available; nothing was changed")]
    Unavailable,
    /// Not executed: the index that the filter needs is being made.
    #[error("the index of this attribute is still being made; /ready says how far it is")]
    IndexNotReady,
    /// Not executed: the database needs an operator's repair. Retrying soon is of no use.
    #[error("the database is not usable; nothing was changed")]
    Unusable,
    /// The change may have been made. Repeating it could make it twice.
    #[error("the answer of the database was lost; the change may or may not have happened")]
    OutcomeUnknown,
    /// A fault of the service; nothing was changed.
    #[error("an internal error; nothing was changed")]
    Internal,
}

impl Error {
    /// A name for programs, the same in every protocol. It never changes.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid_user",
            Self::InvalidAttributes(_) => "invalid_attributes",
            Self::NotFound => "user_not_found",
            Self::EmailTaken => "email_taken",
            Self::ExternalIdTaken => "external_id_taken",
            Self::VersionMismatch => "version_mismatch",
            Self::KeyReused => "idempotency_key_reused",
            Self::InvalidPageToken => "invalid_page_token",
            Self::EventsGone | Self::PositionUnknown => "events_gone",
            Self::Overloaded => "overloaded",
            Self::IndexNotReady => "index_not_ready",
            Self::Unavailable | Self::Unusable => "unavailable",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Internal => "internal",
        }
    }
}

/// What is wrong with one field of a user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{below} {detail}", field.as_deref().unwrap_or("the user"))]
pub struct FieldError {
    /// The field's name in the API; `None` for the user as a whole.
    pub field: Option<String>,
    /// The part of the field that is wrong, as a JSON pointer (RFC 6901). Empty for the whole field.
    pub below: String,
    /// A phrase that completes "the field ...".
    pub detail: &'static str,
}

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, detail: &'static str) -> Self {
        Self::below(field, String::new(), detail)
    }

    pub(crate) fn below(field: impl Into<String>, below: String, detail: &'static str) -> Self {
        Self { field: Some(field.into()), below, detail }
    }

    /// Where it is in the user, as a JSON pointer (RFC 6901). Empty for the user as a whole.
    #[must_use]
    pub fn pointer(&self) -> String {
        let escape = |field: &String| format!("/{}{}", field.replace('~', "~0").replace('/', "~1"), self.below);
        self.field.as_ref().map(escape).unwrap_or_default()
    }

    /// What is wrong with the user as a whole.
    pub(crate) const fn of_user(detail: &'static str) -> Self {
        Self { field: None, below: String::new(), detail }
    }
}

/// A part of a user that a schema for attributes forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where it is in the user, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong with it. It may quote the caller's own value.
    pub detail: String,
}

impl From<Vec<FieldError>> for Error {
    fn from(fields: Vec<FieldError>) -> Self {
        Self::Invalid(fields)
    }
}
