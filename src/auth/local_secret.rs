//! A secret of the service's own, so that a first start needs no set-up.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

use super::MIN_SECRET;

/// Why a file holds no secret that can be used.
#[derive(Debug, thiserror::Error)]
#[error("the local secret {path}: {cause}")]
pub struct SecretFileError {
    path: String,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("others may read it; chmod 600 it, or delete it for a new one")]
    Exposed,
    #[error("has fewer than {MIN_SECRET} bytes; delete it for a new one")]
    TooShort,
    #[error("no randomness: {0}")]
    NoRandomness(#[from] getrandom::Error),
}

/// Reads the secret, or makes it when there is no such file. Of several processes that do so at once, one makes it.
pub(super) fn load_or_make(path: &Path) -> Result<SecretString, SecretFileError> {
    let found = match load(path) {
        Err(Cause::Io(error)) if error.kind() == io::ErrorKind::NotFound => make(path).and_then(|()| load(path)),
        found => found,
    };
    found.map_err(|cause| SecretFileError { path: path.display().to_string(), cause })
}

fn load(path: &Path) -> Result<SecretString, Cause> {
    let file = File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return Err(Cause::Exposed);
    }
    let text = io::read_to_string(file)?;
    let secret = text.trim();
    if secret.len() < MIN_SECRET { Err(Cause::TooShort) } else { Ok(secret.into()) }
}

/// Writes a file of another name and moves it to its place, where it is whole from the first moment; whoever comes second
/// leaves what is there.
fn make(path: &Path) -> Result<(), Cause> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut random = [0; MIN_SECRET];
    getrandom::fill(&mut random)?;
    // Such a file is for its owner only.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{}", URL_SAFE_NO_PAD.encode(random))?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Err(taken) if taken.error.kind() != io::ErrorKind::AlreadyExists => Err(taken.error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use secrecy::ExposeSecret as _;

    use super::*;

    fn file(folder: &tempfile::TempDir) -> PathBuf {
        folder.path().join("data/users.db.jwt-secret")
    }

    #[test]
    fn it_is_made_once_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        let made = load_or_make(&path).unwrap();
        assert!(made.expose_secret().len() >= MIN_SECRET);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_make(&path).unwrap().expose_secret(), made.expose_secret());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn two_have_two_secrets() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [one, two] = folders.each_ref().map(|folder| load_or_make(&file(folder)).unwrap());
        assert_ne!(one.expose_secret(), two.expose_secret());
    }

    #[test]
    fn what_was_made_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        let first = load_or_make(&path).unwrap();
        make(&path).unwrap();
        assert_eq!(load(&path).unwrap().expose_secret(), first.expose_secret());
    }

    #[test]
    fn one_that_others_may_read_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        load_or_make(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(load_or_make(&path).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn one_that_is_too_short_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        load_or_make(&path).unwrap();
        fs::write(&path, "short\n").unwrap();
        assert!(load_or_make(&path).unwrap_err().to_string().contains("fewer than 32"));
    }
}
