//! A secret that the service generates itself, so that the first start needs no configuration.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::geteuid;
use secrecy::SecretString;

use super::settings::MIN_SECRET;

/// Why the secret in a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the local secret {path}: {cause}; or set JWT_SECRET instead")]
pub struct SecretFileError {
    path: String,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("is not there: start the service first, or set what it was started with")]
    Missing,
    #[error(transparent)]
    Io(io::Error),
    #[error("is no file")]
    NoFile,
    #[error("belongs to another user, who may know it; run this as that user, or delete it for a new one")]
    Foreign,
    #[error("others may read it; chmod 600 it, or delete it for a new one")]
    Exposed,
    #[error("has fewer than {MIN_SECRET} bytes; delete it for a new one")]
    TooShort,
    #[error("no randomness: {0}")]
    NoRandomness(#[from] getrandom::Error),
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound { Self::Missing } else { Self::Io(error) }
    }
}

impl From<rustix::io::Errno> for Cause {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}

/// The entropy of a generated secret, in bytes.
const RANDOM: usize = 32;

/// Reads the secret, or generates it if the file does not exist. Processes that start concurrently agree on one secret.
pub(super) fn load_or_generate(path: &Path) -> Result<SecretString, SecretFileError> {
    let found = match read(path) {
        Err(Cause::Missing) => generate(path).and_then(|()| read(path)),
        found => found,
    };
    found.map_err(|cause| failed(path, cause))
}

/// Reads the secret. Does not generate a missing one, since no service would use it.
pub(super) fn load(path: &Path) -> Result<SecretString, SecretFileError> {
    read(path).map_err(|cause| failed(path, cause))
}

fn failed(path: &Path, cause: Cause) -> SecretFileError {
    SecretFileError { path: path.display().to_string(), cause }
}

fn read(path: &Path) -> Result<SecretString, Cause> {
    // All checks are on the open file, so replacing the path meanwhile has no effect. Opening a pipe without NONBLOCK
    // would wait for a writer.
    let mut file = File::from(open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Cause::NoFile);
    }
    if metadata.uid() != geteuid().as_raw() {
        return Err(Cause::Foreign);
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(Cause::Exposed);
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let secret = text.trim();
    if secret.len() < MIN_SECRET { Err(Cause::TooShort) } else { Ok(secret.into()) }
}

/// Writes a temporary file and renames it, so that the secret's file is never incomplete. Does not replace a file that
/// another process has created meanwhile.
fn generate(path: &Path) -> Result<(), Cause> {
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random)?;
    // Temporary files are readable by their owner only.
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
    fn a_secret_is_generated_once_and_readable_by_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        let made = load_or_generate(&path).unwrap();
        assert!(made.expose_secret().len() >= MIN_SECRET);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_generate(&path).unwrap().expose_secret(), made.expose_secret());
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn secrets_differ() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [one, two] = folders.each_ref().map(|folder| load_or_generate(&file(folder)).unwrap());
        assert_ne!(one.expose_secret(), two.expose_secret());
    }

    #[test]
    fn an_existing_secret_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        let first = load_or_generate(&path).unwrap();
        generate(&path).unwrap();
        assert_eq!(load(&path).unwrap().expose_secret(), first.expose_secret());
    }

    #[test]
    fn concurrent_starts_agree_on_one_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        let barrier = std::sync::Barrier::new(8);
        let start = || {
            barrier.wait();
            load_or_generate(&path).unwrap().expose_secret().to_owned()
        };
        let secrets = std::thread::scope(|scope| {
            let threads = Vec::from_iter((0..8).map(|_| scope.spawn(start)));
            Vec::from_iter(threads.into_iter().map(|thread| thread.join().unwrap()))
        });
        assert!(secrets.windows(2).all(|pair| pair.first() == pair.last()));
    }

    #[test]
    fn loading_does_not_generate_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        assert!(load(&file(&folder)).unwrap_err().to_string().contains("start the service first"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        assert!(load_or_generate(folder.path()).unwrap_err().to_string().contains("is no file"));
    }

    #[test]
    fn a_secret_that_others_may_read_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        load_or_generate(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(load_or_generate(&path).unwrap_err().to_string().contains("chmod 600"));
    }

    #[test]
    fn a_secret_that_is_too_short_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        load_or_generate(&path).unwrap();
        fs::write(&path, "short\n").unwrap();
        assert!(load_or_generate(&path).unwrap_err().to_string().contains("fewer than 32"));
    }
}
