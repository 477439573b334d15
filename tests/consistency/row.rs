use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};
use user_service_checker::User;

/// A user, as statements beside the service return it.
#[derive(QueryableByName)]
pub struct Row {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    email: String,
    #[diesel(sql_type = BigInt)]
    version: i64,
}

impl Row {
    pub fn user(self) -> User {
        let (id, version) = (self.id.unsigned_abs(), self.version.unsigned_abs());
        User { id, name: self.name, email: self.email, version }
    }
}
