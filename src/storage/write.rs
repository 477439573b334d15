use super::create_users::NewRow;
use super::delete_users::Delete;
use super::update_users::Update;

/// One change.
pub(super) enum Write {
    Create(NewRow),
    Update(Update),
    Delete(Delete),
}
