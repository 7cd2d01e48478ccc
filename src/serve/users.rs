//! Who may connect: names, roles and verifiers of passwords, in one file that only its owner reads.
//!
//! The file is replaced whole, never changed in place. It holds no password, and a secret of its own, from which the answers
//! to unknown names are made.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::roles::Role;
use super::scram::{Verifier, random};
use crate::error::{Context, Error, Result};

const HEAD: &str = "# Users of `harmonize serve`, written by `harmonize serve user`. Keep it to yourself.\n\n";

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub role: Role,
    pub(super) verifier: Verifier,
}

/// All users of a file.
#[derive(Clone, Debug)]
pub struct Users {
    secret: Vec<u8>,
    users: BTreeMap<String, User>,
}

impl Users {
    /// Reads the file.
    ///
    /// # Errors
    /// `Usage` when there is none, `Credentials` when others than the owner could read it, `Input` when it is broken.
    pub fn read(path: &Path) -> Result<Users> {
        let named = path.display();
        let text = match std::fs::read_to_string(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Usage(format!(
                    "{named}: there is no such file; make it with `harmonize serve user add NAME --role reader --users {named}`"
                )));
            }
            read => read.context(|| path.display())?,
        };
        refuse_others(path)?;
        let stored: Stored = toml::from_str(&text).map_err(|_| {
            // What toml says would show a line of the file.
            Error::Input(format!("{named} is no file of users; restore it, or remove it and add the users again"))
        })?;
        stored.into_users().context(|| path.display())
    }

    /// No users yet.
    ///
    /// # Errors
    /// `Resources` when the system gives no random bytes.
    pub fn new() -> Result<Users> {
        Ok(Users { secret: random::<32>()?.to_vec(), users: BTreeMap::new() })
    }

    /// Names and roles, in order of names.
    pub fn list(&self) -> impl Iterator<Item = (&str, Role)> {
        self.users.iter().map(|(name, user)| (name.as_str(), user.role))
    }

    /// Adds a user, or gives one another role and password.
    ///
    /// # Errors
    /// `Usage` for what is no name or no password.
    pub fn set(&mut self, name: &str, role: Role, password: &str) -> Result<()> {
        check_name(name)?;
        if password.is_empty() || password.len() > 1024 || password.contains(char::is_control) {
            return Err(Error::Usage("give a password of 1 to 1024 bytes, on one line".into()));
        }
        self.users.insert(name.to_owned(), User { role, verifier: Verifier::of(password)? });
        Ok(())
    }

    /// Removes a user; whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        self.users.remove(name).is_some()
    }

    /// Writes the file, which nobody but the owner can read.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, path: &Path) -> Result<()> {
        let user = |(name, user): (&String, &User)| StoredUser {
            name: name.clone(),
            role: user.role.as_str().into(),
            verifier: user.verifier.to_string(),
        };
        let stored = Stored { secret: STANDARD.encode(&self.secret), user: self.users.iter().map(user).collect() };
        let text = toml::to_string(&stored).map_err(|e| Error::Bug(e.to_string()))?;
        replace(path, &format!("{HEAD}{text}")).context(|| path.display())
    }

    pub(super) fn get(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// What to ask somebody of this name: a user's verifier, or one that nothing fits.
    pub(super) fn verifier(&self, name: &str) -> Verifier {
        let mock = Verifier::mock(&self.secret, name);
        self.users.get(name).map_or(mock, |user| user.verifier.clone())
    }
}

/// Refuses a name that would be hard to tell in a log.
fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
    if (1..=63).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(Error::Usage(format!("{name:?} is no name of a user; use 1 to 63 of a-z, A-Z, 0-9, '_', '-', '.' and '@'")))
}

/// Refuses a file that others than its owner may write, or others than its group may read.
pub(super) fn refuse_others(path: &Path) -> Result<()> {
    let mode = std::fs::metadata(path).context(|| path.display())?.permissions().mode();
    if mode & 0o027 == 0 {
        return Ok(());
    }
    Err(Error::Credentials(format!(
        "{}: others can read or write it (mode {:o}); run chmod 600 {}",
        path.display(),
        mode & 0o777,
        path.display()
    )))
}

/// Writes a file beside and puts it in the other's place.
fn replace(path: &Path, text: &str) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let name = path.file_name().ok_or_else(|| Error::Usage("give the name of a file".into()))?;
    let beside = folder.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let written = (|| {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        std::fs::File::open(&folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    Ok(written?)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    secret: String,
    #[serde(default)]
    user: Vec<StoredUser>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredUser {
    name: String,
    role: String,
    verifier: String,
}

impl Stored {
    fn into_users(self) -> Result<Users> {
        let secret = STANDARD.decode(&self.secret).ok().filter(|secret| secret.len() >= 16);
        let secret = secret.ok_or_else(|| Error::Input("secret is not 16 bytes or more in base64".into()))?;
        let mut users = BTreeMap::new();
        for user in self.user {
            check_name(&user.name)?;
            let known = User { role: user.role.parse()?, verifier: user.verifier.parse().context(|| &user.name)? };
            if users.insert(user.name.clone(), known).is_some() {
                return Err(Error::Input(format!("{} is there twice", user.name)));
            }
        }
        Ok(Users { secret, users })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_kept_without_their_passwords_in_a_file_of_the_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.toml");
        let mut users = Users::new().unwrap();
        users.set("ana", Role::Analyst, "a secret word").unwrap();
        users.set("bob@example.com", Role::Reader, "another").unwrap();
        users.write(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("secret word"), "{text}");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut read = Users::read(&path).unwrap();
        assert_eq!(read.list().collect::<Vec<_>>(), [("ana", Role::Analyst), ("bob@example.com", Role::Reader)]);
        assert_eq!(read.get("ana"), users.get("ana"));
        assert_eq!(
            read.verifier("nobody"),
            users.verifier("nobody"),
            "an unknown name has one salt, also after a restart"
        );
        assert!(read.remove("ana") && !read.remove("ana"));
        read.write(&path).unwrap();
        assert_eq!(Users::read(&path).unwrap().list().count(), 1);
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_broken_is_refused_without_being_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users.toml");
        assert_eq!(Users::read(&path).unwrap_err().exit_code(), 2);
        Users::new().unwrap().write(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(Users::read(&path).unwrap_err().exit_code(), 22);
        std::fs::write(&path, "secret = \"the secret\"\nmore = 1").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let broken = Users::read(&path).unwrap_err();
        assert_eq!(broken.exit_code(), 20);
        assert!(!broken.to_string().contains("the secret"), "{broken}");
        let mut users = Users::new().unwrap();
        assert!(users.set("a b", Role::Reader, "x").is_err());
        assert!(users.set("ana", Role::Reader, "").is_err());
        assert!(users.set("ana", Role::Reader, "two\nlines").is_err());
    }
}
