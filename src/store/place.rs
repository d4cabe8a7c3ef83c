//! Whether the file is still where it was opened. SQLite goes on with a file that was moved or deleted: what it then
//! writes is lost when the process ends, and the next one starts with an empty wallet.

use std::path::{Path, PathBuf};

use super::StoreError;

/// The file that was opened, by its name and what the system calls it.
pub(super) struct Place {
    path: PathBuf,
    identity: Identity,
}

/// Device and inode; elsewhere only that it exists.
type Identity = (u64, u64);

impl Place {
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let path = std::path::absolute(path).map_err(|error| StoreError::CannotOpen { detail: error.to_string() })?;
        let identity = identity(&path).ok_or(StoreError::Moved)?;
        Ok(Self { path, identity })
    }

    /// Refuses when another file, or none, is there now.
    pub fn check(&self) -> Result<(), StoreError> {
        if identity(&self.path) == Some(self.identity) { Ok(()) } else { Err(StoreError::Moved) }
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().map(|_| (0, 0))
}
