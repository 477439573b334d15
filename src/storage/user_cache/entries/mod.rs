//! What is in memory: users by their ids, and ids by addresses, within a bound in bytes.
//!
//! One caller who reads through all users does not push out what others use: `quick_cache` admits what is read once to
//! a small part of its space, and keeps there only what is read again (CLOCK-Pro, S3-FIFO).
//!
//! An address leads to an id only. It is believed while that user is in memory, and the key of its address is known to
//! be the one that is asked for. Only plain keys are looked up here: such a key is the address in small letters, and
//! the column `email_key`. The other addresses, a few, are looked up in the database each time.

mod lookup_key;

use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use crate::domain::{Email, EmailKey, Profile, Timestamp, User, UserId, UserName, Version};

pub(crate) use lookup_key::{Fill, LookupKey};

/// A user, or that the database has none.
pub(crate) type Known = Option<User>;

/// A user in memory. Both texts are in one allocation.
#[derive(Clone)]
struct CachedUser {
    /// The name, and then the address.
    texts: Box<str>,
    /// How long the name is.
    name: u16,
    /// Whether the column `email_key` is known to be the address in small letters.
    has_plain_key: bool,
    version: Version,
    created_at: Timestamp,
    updated_at: Timestamp,
    profile: Option<Arc<Profile>>,
}

impl CachedUser {
    /// `None` if the name is longer than any that the service takes.
    fn new(user: &User, has_plain_key: bool) -> Option<Self> {
        let &User { ref name, ref email, version, created_at, updated_at, ref profile, .. } = user;
        let (name, email, profile) = (name.as_str(), email.as_str(), profile.clone());
        let texts = [name, email].concat().into_boxed_str();
        Some(Self { texts, name: name.len().try_into().ok()?, has_plain_key, version, created_at, updated_at, profile })
    }

    fn into_user(self, id: i64) -> User {
        let Self { texts, name, version, created_at, updated_at, profile, .. } = self;
        let mut name_text = String::from(texts);
        let email = name_text.split_off(name.into());
        let (name, email) = (UserName::stored(name_text), Email::stored(email));
        User { id: UserId::stored(id), name, email, version, created_at, updated_at, profile }
    }

    fn email(&self) -> &str {
        self.texts.get(self.name.into()..).unwrap_or_default()
    }

    /// Whether a plain key, which is in small letters, is that of this user's address.
    fn is_found_by(&self, key: &str) -> bool {
        self.has_plain_key && key.eq_ignore_ascii_case(self.email())
    }
}

/// A committed change of a user, by this process.
pub(crate) enum UserChange<'a> {
    /// The user as it is now, and the new value of the column `email_key` if that was written.
    Stored {
        user: &'a User,
        email_key: Option<&'a str>,
        /// Whether there was no such user before.
        is_new: bool,
    },
    Deleted(UserId),
}

impl UserChange<'_> {
    /// By how much it changes the number of users.
    pub(super) const fn of_count(&self) -> i64 {
        match self {
            Self::Stored { is_new: true, .. } => 1,
            Self::Stored { is_new: false, .. } => 0,
            Self::Deleted(_) => -1,
        }
    }
}

/// What is kept, by what: one cache, so that users have the room that addresses do not need.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    User(i64),
    Address(Box<str>),
}

/// A [`Key`] that is asked for. Its hash is that of the key, because the variants are the same.
#[derive(Hash)]
enum KeyRef<'a> {
    User(i64),
    Address(&'a str),
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        match (self, key) {
            (Self::User(one), Key::User(other)) => one == other,
            (Self::Address(one), Key::Address(other)) => **one == **other,
            _ => false,
        }
    }
}

#[derive(Clone)]
enum Entry {
    /// The user with this id.
    User(CachedUser),
    /// The id of the user with this address.
    Owner(i64),
    /// The database has no such user.
    Nobody,
}

/// Users and addresses in memory.
pub(super) struct Entries(Cache<Key, Entry, Bytes>);

impl Entries {
    /// `bytes` is the bound of all entries together.
    pub(super) fn new(bytes: u64) -> Self {
        /// What an entry takes, give or take.
        const TYPICAL: u64 = 150;
        Self(Cache::with_weighter(usize::try_from(bytes / TYPICAL).unwrap_or(usize::MAX), bytes, Bytes))
    }

    /// The user, if it is known whether there is one.
    pub(super) fn look_up(&self, key: LookupKey<'_>) -> Option<Known> {
        match key {
            LookupKey::Id(id) => self.get(id),
            LookupKey::Address(key) => self.find(key),
        }
    }

    /// Takes in what the database has answered.
    pub(super) fn fill(&self, fill: &Fill<'_>) {
        match fill.key {
            LookupKey::Id(id) => self.insert(id, fill.user),
            LookupKey::Address(key) => self.insert_found(key, fill.user),
        }
    }

    /// The user with this id, if it is known whether there is one.
    fn get(&self, id: UserId) -> Option<Known> {
        let id = id.get();
        Some(match self.0.get(&KeyRef::User(id))? {
            Entry::User(cached) => Some(cached.into_user(id)),
            Entry::Owner(_) | Entry::Nobody => None,
        })
    }

    /// The user with this address, if it is known whether there is one.
    fn find(&self, key: &EmailKey) -> Option<Known> {
        let key = plain(key)?;
        let Entry::Owner(id) = self.0.get(&KeyRef::Address(key))? else { return Some(None) };
        let Entry::User(cached) = self.0.get(&KeyRef::User(id))? else { return None };
        cached.is_found_by(key).then(|| Some(cached.into_user(id)))
    }

    /// Takes in what the database has answered for an id.
    fn insert(&self, id: UserId, user: Option<&User>) {
        match user {
            Some(user) => self.put(user, false),
            None => self.0.insert(Key::User(id.get()), Entry::Nobody),
        }
    }

    /// Takes in what the database has answered for an address. It has found a plain key in the column `email_key`.
    fn insert_found(&self, key: &EmailKey, user: Option<&User>) {
        let Some(key) = plain(key) else { return };
        if let Some(user) = user {
            self.put(user, key.eq_ignore_ascii_case(user.email.as_str()));
        }
        self.0.insert(Key::Address(key.into()), user.map_or(Entry::Nobody, |user| Entry::Owner(user.id.get())));
    }

    /// Makes a change to what is in memory. What is not there stays out.
    pub(super) fn apply(&self, change: &UserChange<'_>) {
        match *change {
            UserChange::Stored { user, email_key, .. } => self.store(user, email_key),
            UserChange::Deleted(id) => {
                if self.0.contains_key(&KeyRef::User(id.get())) {
                    self.0.insert(Key::User(id.get()), Entry::Nobody);
                }
            }
        }
    }

    fn store(&self, user: &User, email_key: Option<&str>) {
        let id = user.id.get();
        if let Some(before) = self.0.peek(&KeyRef::User(id)) {
            let has_plain_key = match email_key {
                Some(key) => key == user.email.as_str().to_ascii_lowercase(),
                None => matches!(before, Entry::User(before) if before.has_plain_key),
            };
            self.put(user, has_plain_key);
        }
        if let Some(key) = email_key.filter(|key| self.0.contains_key(&KeyRef::Address(key))) {
            self.0.insert(Key::Address(key.into()), Entry::Owner(id));
        }
    }

    /// Takes in the user as a later event has it, with the key of its address. What is not in memory stays out. An event
    /// does not have the column `email_key`: that is known only if the address has not changed.
    pub(super) fn follow(&self, user: &User, key: &EmailKey) {
        let id = user.id.get();
        if let Some(before) = self.0.peek(&KeyRef::User(id)) {
            let email = user.email.as_str();
            let has_plain_key =
                matches!(before, Entry::User(before) if before.has_plain_key && before.email() == email);
            self.put(user, has_plain_key);
        }
        let owner = plain(key).and_then(|key| self.0.peek(&KeyRef::Address(key)));
        if !matches!(owner, Some(Entry::Owner(owner)) if owner == id) {
            self.evict_address(key);
        }
    }

    fn put(&self, user: &User, has_plain_key: bool) {
        match CachedUser::new(user, has_plain_key) {
            Some(cached) => self.0.insert(Key::User(user.id.get()), Entry::User(cached)),
            None => self.evict(user.id.get()),
        }
    }

    /// Drops what is known about an id.
    pub(super) fn evict(&self, id: i64) {
        self.0.remove(&KeyRef::User(id));
    }

    /// Drops what is known about an address.
    pub(super) fn evict_address(&self, key: &EmailKey) {
        if let Some(key) = plain(key) {
            self.0.remove(&KeyRef::Address(key));
        }
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// About how much memory the entries take.
    pub(super) fn bytes(&self) -> u64 {
        self.0.weight()
    }
}

fn plain(key: &EmailKey) -> Option<&str> {
    key.is_plain().then_some(key.as_str())
}

/// Weighs entries in bytes: the entry itself, its links, its place in the hash table, and its texts.
#[derive(Clone)]
struct Bytes;

/// What each entry takes beside its key and its value: links, a hash, and what the allocator rounds up.
const OVERHEAD: usize = 48;

impl Weighter<Key, Entry> for Bytes {
    fn weight(&self, key: &Key, entry: &Entry) -> u64 {
        let texts = match (key, entry) {
            (Key::Address(key), _) => key.len(),
            (_, Entry::User(user)) => user.texts.len() + user.profile.as_deref().map_or(0, Profile::bytes),
            _ => 0,
        };
        (OVERHEAD + size_of::<(Key, Entry)>() + texts) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: i64, email: &str) -> User {
        let now = Timestamp::from_unix_micros(0);
        let (name, email) = (UserName::stored(format!("User {id}")), Email::stored(email.to_owned()));
        let (id, version) = (UserId::stored(id), Version::FIRST);
        User { id, name, email, version, created_at: now, updated_at: now, profile: None }
    }

    fn key(email: &str) -> EmailKey {
        Email::stored(email.to_owned()).key()
    }

    fn store(entries: &Entries, user: &User) {
        entries.apply(&UserChange::Stored { user, email_key: Some(key(user.email.as_str()).legacy()), is_new: true });
    }

    #[test]
    fn an_address_is_believed_only_while_its_user_has_it() {
        let entries = Entries::new(1 << 20);
        let (ann, id) = (user(1, "Ann@x.co"), UserId::stored(1));
        entries.insert_found(&key("ann@X.co"), Some(&ann));
        assert_eq!(entries.find(&key("ann@x.co")), Some(Some(ann.clone())));
        // Another name, the same address.
        let renamed = User { name: UserName::stored("Anna".into()), ..ann.clone() };
        entries.apply(&UserChange::Stored { user: &renamed, email_key: None, is_new: false });
        assert_eq!(entries.find(&key("ann@x.co")), Some(Some(renamed)));
        // Another address.
        store(&entries, &user(1, "anna@x.co"));
        assert_eq!(entries.find(&key("ann@x.co")), None);
        assert_eq!(entries.get(id), Some(Some(user(1, "anna@x.co"))));
        store(&entries, &ann);
        assert_eq!(entries.find(&key("ann@x.co")), Some(Some(ann)));
        entries.apply(&UserChange::Deleted(id));
        assert_eq!((entries.find(&key("ann@x.co")), entries.get(id)), (None, Some(None)));
    }

    #[test]
    fn a_user_of_whom_the_key_is_not_known_is_not_found_by_address() {
        let entries = Entries::new(1 << 20);
        entries.insert_found(&key("ann@x.co"), Some(&user(1, "ann@x.co")));
        entries.insert(UserId::stored(1), Some(&user(1, "ann@x.co")));
        assert_eq!(entries.find(&key("ann@x.co")), None);
    }

    #[test]
    fn an_address_that_is_taken_is_missed_no_more() {
        let entries = Entries::new(1 << 20);
        entries.insert_found(&key("ann@x.co"), None);
        entries.insert(UserId::stored(1), None);
        assert_eq!((entries.find(&key("Ann@x.co")), entries.get(UserId::stored(1))), (Some(None), Some(None)));
        let ann = user(1, "ANN@x.co");
        store(&entries, &ann);
        assert_eq!(entries.find(&key("ann@x.co")), Some(Some(ann.clone())));
        assert_eq!(entries.get(ann.id), Some(Some(ann)));
        // The taker is not in memory.
        entries.insert_found(&key("bob@x.co"), None);
        store(&entries, &user(2, "bob@x.co"));
        assert_eq!((entries.find(&key("bob@x.co")), entries.get(UserId::stored(2))), (None, None));
    }

    #[test]
    fn addresses_with_two_keys_stay_out() {
        let entries = Entries::new(1 << 20);
        for email in ["é@x.fr", "info@faß.de", "b@xn--mnchen-3ya.de"] {
            entries.insert_found(&key(email), Some(&user(1, email)));
            assert_eq!((entries.find(&key(email)), entries.count()), (None, 0));
        }
        // Its legacy key is a plain key, which is another address.
        entries.insert_found(&key("info@fass.de"), None);
        entries.insert(UserId::stored(1), None);
        store(&entries, &user(1, "info@faß.de"));
        assert_eq!(entries.find(&key("info@fass.de")), None);
        assert_eq!(entries.find(&key("info@faß.de")), None);
    }

    #[test]
    fn what_is_not_there_stays_out() {
        let entries = Entries::new(1 << 20);
        store(&entries, &user(1, "ann@x.co"));
        entries.apply(&UserChange::Deleted(UserId::stored(2)));
        assert_eq!(entries.count(), 0);
    }

    #[test]
    fn the_bound_holds_whatever_the_names() {
        const BOUND: u64 = 1 << 20;
        let entries = Entries::new(BOUND);
        for (id, length) in (1..20_000).zip((0..500).cycle()) {
            let long = User { name: UserName::stored("x".repeat(length)), ..user(id, "ann@x.co") };
            entries.insert(long.id, Some(&long));
            entries.insert_found(&key(&format!("{id}@x.co")), None);
        }
        assert!((BOUND / 2..=BOUND).contains(&entries.bytes()), "{}", entries.bytes());
        // No entry is too large to be replaced: it goes.
        let small = Entries::new(2_000);
        small.insert(UserId::stored(1), Some(&user(1, "ann@x.co")));
        store(&small, &User { name: UserName::stored("x".repeat(5_000)), ..user(1, "ann@x.co") });
        assert_eq!((small.get(UserId::stored(1)), small.count()), (None, 0));
        small.clear();
    }

    #[test]
    fn one_who_reads_all_does_not_push_out_what_others_use() {
        let entries = Entries::new(1 << 20);
        let hot = Vec::from_iter((1..=500).map(UserId::stored));
        let read = |id: UserId| {
            let is_there = entries.get(id).is_some();
            if !is_there {
                entries.insert(id, Some(&user(id.get(), "ann@x.co")));
            }
            is_there
        };
        (0..3).for_each(|_| hot.iter().for_each(|id| _ = read(*id)));
        for (ten, hot) in (100..10_000).zip(hot.iter().cycle()) {
            (0..10).for_each(|one| _ = read(UserId::stored(10 * ten + one)));
            read(*hot);
        }
        let left = hot.iter().filter(|id| entries.get(**id).is_some()).count();
        assert!(left * 10 >= hot.len() * 9, "{left} of {}", hot.len());
    }
}
