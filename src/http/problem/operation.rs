use crate::domain::Error;

/// Why an operation of a batch was refused.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct OperationFailure {
    /// Its place in the batch, from 0.
    pub(crate) place: usize,
    pub(crate) kind: OperationKind,
    pub(crate) error: Error,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperationKind {
    Create,
    Update,
    Delete,
}

impl OperationFailure {
    /// The part of the body that is at fault, as a JSON pointer (RFC 6901).
    pub(super) fn pointer(&self) -> String {
        let Self { place, kind, error } = self;
        let part = match (kind, error) {
            (OperationKind::Create, Error::EmailTaken) => "create/email",
            (OperationKind::Create, Error::ExternalIdTaken) => "create/external_id",
            (OperationKind::Create, Error::Invalid(_) | Error::InvalidAttributes(_)) => "create",
            (OperationKind::Update, Error::EmailTaken) => "update/patch/email",
            (OperationKind::Update, Error::ExternalIdTaken) => "update/patch/external_id",
            (OperationKind::Update, Error::Invalid(_) | Error::InvalidAttributes(_)) => "update/patch",
            (OperationKind::Update, Error::NotFound) => "update/id",
            (OperationKind::Update, Error::VersionMismatch) => "update/if_match",
            (OperationKind::Delete, Error::NotFound) => "delete/id",
            (OperationKind::Delete, Error::VersionMismatch) => "delete/if_match",
            // The whole operation.
            _ => return format!("/operations/{place}"),
        };
        format!("/operations/{place}/{part}")
    }
}
