//! What a user may have beside a name and an address.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Assignment, Attributes, AttributesPatch, ExternalId, FieldError, Fingerprint, Status};

/// What a user may have beside a name and an address. Most users have the default, which costs nothing: see
/// [`shared`](Self::shared).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub external_id: Option<ExternalId>,
    pub status: Status,
    pub attributes: Option<Attributes>,
}

impl Profile {
    /// The profile as a user has it: `None` for the default one.
    #[must_use]
    pub fn shared(self) -> Option<Arc<Self>> {
        (self != Self::default()).then(|| Arc::new(self))
    }

    /// About how much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let external_id = self.external_id.as_ref().map_or(0, |external_id| external_id.as_str().len());
        size_of::<Self>() + external_id + self.attributes.as_ref().map_or(0, |attributes| attributes.as_str().len())
    }

    /// Parses the profile of a new user.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(raw: RawProfile) -> Result<Option<Arc<Self>>, Vec<FieldError>> {
        match ProfileChange::parse(RawProfile { merges: false, ..raw })? {
            None => Ok(None),
            Some(change) => change.apply(None),
        }
    }

    /// Adds the profile of a new user to the fingerprint of its create.
    #[must_use]
    pub fn add_to(profile: Option<&Self>, asked: Fingerprint) -> Fingerprint {
        // Without a profile nothing is added: so a create that an earlier release has executed can be repeated.
        let Some(Self { external_id, status, attributes }) = profile else { return asked };
        let asked = asked.text(external_id.as_ref().map(ExternalId::as_str)).text(Some(status.as_str()));
        asked.text(attributes.as_ref().map(Attributes::as_str))
    }
}

/// A profile, or a change of one, as a caller has written it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawProfile {
    pub external_id: Assignment<String>,
    pub status: Option<String>,
    /// The text of a JSON object.
    pub attributes: Assignment<String>,
    /// Whether a change merges the attributes into those that the user has (RFC 7396). Otherwise it replaces them.
    pub merges: bool,
}

/// What an update changes of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileChange {
    external_id: Assignment<ExternalId>,
    status: Option<Status>,
    attributes: AttributesChange,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum AttributesChange {
    Replace(Assignment<Attributes>),
    Merge(AttributesPatch),
}

impl ProfileChange {
    /// Parses a change. `None` if it changes nothing.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(raw: RawProfile) -> Result<Option<Box<Self>>, Vec<FieldError>> {
        if raw.external_id.is_keep() && raw.status.is_none() && raw.attributes.is_keep() {
            return Ok(None);
        }
        let external_id = raw.external_id.parse(ExternalId::parse);
        let status = raw.status.as_deref().map(Status::parse).transpose();
        let attributes = AttributesChange::parse(raw.attributes, raw.merges);
        match (external_id, status, attributes) {
            (Ok(external_id), Ok(status), Ok(attributes)) => {
                Ok(Some(Box::new(Self { external_id, status, attributes })))
            }
            (external_id, status, attributes) => {
                Err([external_id.err(), status.err(), attributes.err()].into_iter().flatten().collect())
            }
        }
    }

    /// The profile after the change.
    ///
    /// # Errors
    /// Why the attributes cannot be merged: they may become too many or too long.
    pub fn apply(&self, profile: Option<&Profile>) -> Result<Option<Arc<Profile>>, Vec<FieldError>> {
        let Profile { external_id, status, attributes } = profile.cloned().unwrap_or_default();
        let external_id = match &self.external_id {
            Assignment::Keep => external_id,
            Assignment::Remove => None,
            Assignment::Set(external_id) => Some(external_id.clone()),
        };
        let attributes = match &self.attributes {
            AttributesChange::Replace(Assignment::Keep) => attributes,
            AttributesChange::Replace(Assignment::Remove) => None,
            AttributesChange::Replace(Assignment::Set(attributes)) => Some(attributes.clone()),
            AttributesChange::Merge(patch) => patch.apply(attributes.as_ref()).map_err(|error| vec![error])?,
        };
        Ok(Profile { external_id, status: self.status.unwrap_or(status), attributes }.shared())
    }

    /// The external id that the change sets.
    #[must_use]
    pub const fn external_id(&self) -> Option<&ExternalId> {
        self.external_id.value()
    }

    /// The text of the attributes that the change sets, or of their patch.
    #[must_use]
    pub fn attributes_text(&self) -> Option<Cow<'_, str>> {
        match &self.attributes {
            AttributesChange::Replace(attributes) => attributes.value().map(Attributes::as_str).map(Cow::Borrowed),
            AttributesChange::Merge(patch) => Some(Cow::Owned(patch.to_text())),
        }
    }

    /// Adds the change to the fingerprint of its update.
    #[must_use]
    pub fn add_to(&self, asked: Fingerprint) -> Fingerprint {
        let asked = assignment(asked, &self.external_id, ExternalId::as_str);
        let asked = asked.text(self.status.map(Status::as_str));
        match &self.attributes {
            AttributesChange::Replace(attributes) => assignment(asked, attributes, Attributes::as_str),
            AttributesChange::Merge(patch) => asked.number(3).text(Some(&patch.to_text())),
        }
    }
}

impl AttributesChange {
    fn parse(raw: Assignment<String>, merges: bool) -> Result<Self, FieldError> {
        match raw {
            Assignment::Set(json) if merges => AttributesPatch::parse(&json).map(Self::Merge),
            Assignment::Set(json) => Ok(Self::Replace(match Attributes::parse(&json)? {
                Some(attributes) => Assignment::Set(attributes),
                None => Assignment::Remove,
            })),
            Assignment::Keep => Ok(Self::Replace(Assignment::Keep)),
            Assignment::Remove => Ok(Self::Replace(Assignment::Remove)),
        }
    }
}

fn assignment<T>(asked: Fingerprint, assignment: &Assignment<T>, text: fn(&T) -> &str) -> Fingerprint {
    match assignment {
        Assignment::Keep => asked.number(0),
        Assignment::Remove => asked.number(1),
        Assignment::Set(value) => asked.number(2).text(Some(text(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(external_id: &str, status: &str, attributes: &str) -> RawProfile {
        RawProfile {
            external_id: Assignment::Set(external_id.to_owned()),
            status: Some(status.to_owned()),
            attributes: Assignment::Set(attributes.to_owned()),
            merges: false,
        }
    }

    #[test]
    fn the_default_is_nothing() {
        assert_eq!(Profile::parse(RawProfile::default()), Ok(None));
        let removed = RawProfile {
            external_id: Assignment::Remove,
            status: Some("active".into()),
            attributes: Assignment::Remove,
            merges: false,
        };
        assert_eq!(Profile::parse(removed), Ok(None));
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let fields = Profile::parse(raw("", "gone", "[]")).unwrap_err().into_iter().map(|error| error.field.unwrap());
        assert_eq!(Vec::from_iter(fields), ["external_id", "status", "attributes"]);
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let profile = Profile::parse(raw("x", "disabled", r#"{"a":1,"b":2}"#)).unwrap();
        let change = |raw| ProfileChange::parse(raw).unwrap().unwrap().apply(profile.as_deref()).unwrap();
        let merged = RawProfile {
            attributes: Assignment::Set(r#"{"a":null,"c":3}"#.to_owned()),
            merges: true,
            ..RawProfile::default()
        };
        assert_eq!(change(merged), Profile::parse(raw("x", "disabled", r#"{"b":2,"c":3}"#)).unwrap());
        let moved = RawProfile { external_id: Assignment::Set("y".into()), ..RawProfile::default() };
        assert_eq!(change(moved), Profile::parse(raw("y", "disabled", r#"{"a":1,"b":2}"#)).unwrap());
        let emptied = RawProfile {
            external_id: Assignment::Remove,
            status: Some("active".into()),
            attributes: Assignment::Remove,
            merges: false,
        };
        assert_eq!(change(emptied), None);
    }
}
