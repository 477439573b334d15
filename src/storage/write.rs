use super::create_users::NewRow;
use super::delete_users::Delete;
use super::touched::Touched;
use super::update_users::Update;

/// One change.
pub(super) enum Write {
    Create(NewRow),
    Update(Update),
    Delete(Delete),
}

impl Write {
    /// The row to create, if it is a create.
    pub(super) const fn create(&self) -> Option<&NewRow> {
        if let Self::Create(row) = self { Some(row) } else { None }
    }

    pub(super) fn touched(&self) -> [Option<Touched<'_>>; 3] {
        let user = match self {
            Self::Create(_) => None,
            Self::Update(update) => Some(Touched::User(update.id.get())),
            Self::Delete(delete) => Some(Touched::User(delete.id.get())),
        };
        let (older, new) = match self {
            Self::Create(row) => (Some(row.email_key().older()), row.email_key().unless_plain()),
            Self::Update(update) => (update.email_key(), update.address_key()),
            Self::Delete(_) => (None, None),
        };
        // One that is the key of both kinds is touched once.
        let new = new.filter(|key| older != Some(key));
        [user, older.map(Touched::Address), new.map(Touched::Address)]
    }

    /// What it would have stored, and in which field of a user.
    pub(super) fn texts(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Create(row) => row.texts().to_vec(),
            Self::Update(update) => {
                let name = [update.name(), update.name_key()].into_iter().flatten().map(|text| ("name", text));
                let email = [update.email(), update.email_key()].into_iter().flatten().map(|text| ("email", text));
                name.chain(email).collect()
            }
            Self::Delete(_) => Vec::new(),
        }
    }
}
