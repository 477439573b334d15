//! What a user may have beside a name and an address.

use std::sync::Arc;

use super::{
    Assignment, Attributes, AttributesPatch, AttributesSchema, Error, ExternalId, FieldError, Fingerprint, Status,
};

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
        match ProfileChange::parse(RawProfile { merges: false, schema: None, ..raw })? {
            None => Ok(None),
            // Only a merge, or a schema, could refuse it.
            Some(change) => Ok(change.apply(None).unwrap_or_default()),
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
    /// Whether the caller's API has no profiles. Then no schema asks anything of it.
    pub is_unaware: bool,
    /// What the attributes are held to.
    pub schema: Option<Arc<AttributesSchema>>,
}

impl RawProfile {
    /// Of a caller whose API has no profiles.
    #[must_use]
    pub fn unaware() -> Self {
        Self { is_unaware: true, ..Self::default() }
    }

    /// Holds the attributes to a schema.
    #[must_use]
    pub fn held_to(self, schema: Option<&Arc<AttributesSchema>>) -> Self {
        Self { schema: schema.filter(|_| !self.is_unaware).cloned(), ..self }
    }
}

/// What an update changes of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileChange {
    external_id: Assignment<ExternalId>,
    status: Option<Status>,
    attributes: AttributesChange,
    schema: Option<Arc<AttributesSchema>>,
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
                Ok(Some(Box::new(Self { external_id, status, attributes, schema: raw.schema })))
            }
            (external_id, status, attributes) => {
                Err([external_id.err(), status.err(), attributes.err()].into_iter().flatten().collect())
            }
        }
    }

    /// The profile after the change.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the attributes cannot be merged, because they become too many or too long, and
    /// [`Error::InvalidAttributes`] if the schema forbids what they become.
    pub fn apply(&self, profile: Option<&Profile>) -> Result<Option<Arc<Profile>>, Error> {
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
        if self.attributes != AttributesChange::Replace(Assignment::Keep) {
            hold(attributes.as_ref(), self.schema.as_deref())?;
        }
        Ok(Profile { external_id, status: self.status.unwrap_or(status), attributes }.shared())
    }

    /// The external id that the change sets.
    #[must_use]
    pub const fn external_id(&self) -> Option<&ExternalId> {
        self.external_id.value()
    }

    /// The text of the attributes that the change sets, or of their patch.
    #[must_use]
    pub fn attributes_text(&self) -> Option<&str> {
        match &self.attributes {
            AttributesChange::Replace(attributes) => attributes.value().map(Attributes::as_str),
            AttributesChange::Merge(patch) => Some(patch.as_str()),
        }
    }

    /// Adds the change to the fingerprint of its update.
    #[must_use]
    pub fn add_to(&self, asked: Fingerprint) -> Fingerprint {
        let asked = assignment(asked, &self.external_id, ExternalId::as_str);
        let asked = asked.text(self.status.map(Status::as_str));
        match &self.attributes {
            AttributesChange::Replace(attributes) => assignment(asked, attributes, Attributes::as_str),
            AttributesChange::Merge(patch) => asked.number(3).text(Some(patch.as_str())),
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

/// Holds the attributes of a user to a schema, if there is one.
///
/// # Errors
/// [`Error::InvalidAttributes`] with what it forbids.
pub(super) fn hold(attributes: Option<&Attributes>, schema: Option<&AttributesSchema>) -> Result<(), Error> {
    schema.map_or(Ok(()), |schema| schema.check(attributes).map_err(Error::InvalidAttributes))
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
            ..RawProfile::default()
        }
    }

    #[test]
    fn the_default_is_nothing() {
        assert_eq!(Profile::parse(RawProfile::default()), Ok(None));
        let removed = RawProfile {
            external_id: Assignment::Remove,
            status: Some("active".into()),
            attributes: Assignment::Remove,
            ..RawProfile::default()
        };
        assert_eq!(Profile::parse(removed), Ok(None));
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let fields = Profile::parse(raw("", "gone", "[]")).unwrap_err().into_iter().map(|error| error.field.unwrap());
        assert_eq!(Vec::from_iter(fields), ["external_id", "status", "attributes"]);
    }

    #[test]
    fn a_schema_holds_what_is_written() {
        let schema = Arc::new(AttributesSchema::parse(r#"{"required":["a"]}"#).unwrap());
        let stored = Profile::parse(raw("x", "active", r#"{"b":1}"#)).unwrap();
        let apply = |raw: RawProfile| {
            let change = ProfileChange::parse(raw.held_to(Some(&schema))).unwrap().unwrap();
            change.apply(stored.as_deref()).map(drop)
        };
        let merge = |attributes: &str| RawProfile {
            attributes: Assignment::Set(attributes.to_owned()),
            merges: true,
            ..RawProfile::default()
        };
        assert_eq!(apply(merge(r#"{"a":1}"#)), Ok(()));
        assert!(matches!(apply(merge(r#"{"c":1}"#)), Err(Error::InvalidAttributes(_))));
        assert!(apply(RawProfile { attributes: Assignment::Remove, ..RawProfile::default() }).is_err());
        // What was stored before the schema stays, as long as nothing is written over it.
        assert_eq!(apply(RawProfile { status: Some("disabled".into()), ..RawProfile::default() }), Ok(()));
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
            ..RawProfile::default()
        };
        assert_eq!(change(emptied), None);
    }
}
