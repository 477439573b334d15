use super::create_users::NewRow;
use super::delete_users::Delete;
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
}
