//! The session secret that is made once, for installations on SQLite that were given none.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;

use super::SecretSettings;

/// The secret cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    #[error("cannot keep the session secret in {path}; make the folder writable or set APP_SESSION_SECRET")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read the session secret in {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("the session secret in {path} has fewer than 32 bytes; remove the file to have a new one made")]
    TooShort { path: PathBuf },
}

impl SecretSettings {
    /// Sees to it that there is a session secret where one may be made: read from its file, or made now and kept there.
    ///
    /// Processes that start together agree on one. Without a file (a database in memory) it lasts as long as the process.
    pub fn ensure_session(&mut self) -> Result<(), SecretFileError> {
        if self.session.is_empty() && self.may_be_made {
            let secret = match &self.secret_file {
                Some(path) => read_or_make(path)?,
                None => random_secret(),
            };
            self.session.push(SecretString::from(secret));
        }
        Ok(())
    }
}

fn random_secret() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn read_or_make(path: &Path) -> Result<String, SecretFileError> {
    if !path.exists() {
        make(path).map_err(|source| SecretFileError::Write { path: path.to_owned(), source })?;
    }
    let text = fs::read_to_string(path).map_err(|source| SecretFileError::Read { path: path.to_owned(), source })?;
    let secret = text.trim();
    if secret.len() < 32 { Err(SecretFileError::TooShort { path: path.to_owned() }) } else { Ok(secret.to_owned()) }
}

/// Writes the whole file under another name and then names it, unless somebody else was faster: nobody reads half a secret.
/// The temporary file is readable by its owner only, and keeps that mode.
fn make(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{}", random_secret())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}
