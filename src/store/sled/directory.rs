//! The directory of a persistent store: who owns it, what is in it, who may read it.
//!
//! | entry | is |
//! | --- | --- |
//! | `lock` | locked by the owning process as long as it has the store open |
//! | `format` | the format number, readable before anything is touched |
//! | `sled/` | the database |
//! | `wiring.copy` | the checksummed copy of all pairs |
//! | `durable` | the last revision known to be durable, to notice that commits were lost |
//! | `restoring/` | a database being made from the copy; of no value after a crash |
//! | `compacted/` | the database being written anew; of no value after a crash |
//! | `replaced/` | the database before that; after a crash it is put back if there is no `sled/` |
//! | `damaged-<n>/` | what was found damaged, kept for whoever wants to look at it |

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind as IoKind;
use std::path::{Path, PathBuf};

use fs2::FileExt;

use crate::error::{Error, ErrorKind, Result};
use crate::store::copy::{open_private, sync_directory_of};
use crate::store::form::{self, FORMAT};

/// An open directory; dropping it lets the next one have it.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Holds the lock until dropped.
    _lock: File,
}

impl Directory {
    /// Takes a directory, making it if need be.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NewerFormat`] with nothing touched, [`ErrorKind::Locked`] when somebody has it,
    /// [`ErrorKind::Io`].
    pub(super) fn claim(path: &Path) -> Result<Self> {
        let format = read_format(path)?;
        create_durably(path).map_err(|error| io(path, error))?;
        let lock = path.join("lock");
        let file = open_lock(&lock).map_err(|error| io(&lock, error))?;
        file.try_lock_exclusive().map_err(|error| {
            let contended = fs2::lock_contended_error();
            if error.raw_os_error() != contended.raw_os_error() {
                return io(&lock, error);
            }
            let path = path.display();
            let message = format!("the directory {path} is in use by another open store");
            Error::new(ErrorKind::Locked, message)
        })?;
        let directory = Self {
            path: path.to_path_buf(),
            _lock: file,
        };
        if format.is_none() {
            directory.write_format()?;
        }
        directory.sweep()?;
        Ok(directory)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join("sled")
    }

    pub(super) fn copy(&self) -> PathBuf {
        self.path.join("wiring.copy")
    }

    pub(super) fn witness(&self) -> PathBuf {
        self.path.join("durable")
    }

    pub(super) fn restoring(&self) -> PathBuf {
        self.path.join("restoring")
    }

    pub(super) fn compacted(&self) -> PathBuf {
        self.path.join("compacted")
    }

    fn replaced(&self) -> PathBuf {
        self.path.join("replaced")
    }

    /// Puts the database that was written anew in the place of the old one, which is closed. If
    /// that fails, the old one is there.
    pub(super) fn put_in_place(&self) -> Result<()> {
        let (database, replaced) = (self.database(), self.replaced());
        remove(&replaced)?;
        fs::rename(&database, &replaced).map_err(|error| io(&database, error))?;
        // The second name must not become durable before the first.
        let placed = self.sync().and_then(|()| {
            let compacted = self.compacted();
            fs::rename(&compacted, &database).map_err(|error| io(&compacted, error))
        });
        if let Err(error) = placed {
            self.put_back()?;
            return Err(error);
        }
        self.sync()
    }

    /// Removes what the database written anew has replaced; if that fails, the next opening does.
    pub(super) fn remove_replaced(&self) {
        let _ = remove(&self.replaced());
    }

    /// Removes what is left of a database being written anew.
    pub(super) fn remove_compacted(&self) -> Result<()> {
        remove(&self.compacted())
    }

    /// Puts the old database back, if a crash came between the two names.
    fn put_back(&self) -> Result<()> {
        let (database, replaced) = (self.database(), self.replaced());
        if database.exists() || !replaced.exists() {
            return Ok(());
        }
        fs::rename(&replaced, &database).map_err(|error| io(&replaced, error))?;
        self.sync()
    }

    /// Puts the restored database in the place of the one moved aside.
    pub(super) fn restored(&self) -> Result<()> {
        let from = self.restoring();
        fs::rename(&from, self.database()).map_err(|error| io(&from, error))?;
        self.sync()
    }

    /// Moves the database, and the copy too if it is of no use, into a new `damaged-<n>`.
    pub(super) fn move_aside(&self, with_copy: bool) -> Result<Option<PathBuf>> {
        let mut damaged = vec![self.database()];
        if with_copy {
            damaged.push(self.copy());
        }
        damaged.retain(|path| path.exists());
        if damaged.is_empty() {
            return Ok(None);
        }
        let target = self.unused_name();
        create_private(&target).map_err(|error| io(&target, error))?;
        for path in damaged {
            let name = path.file_name().unwrap_or_default();
            fs::rename(&path, target.join(name)).map_err(|error| io(&path, error))?;
        }
        self.sync()?;
        Ok(Some(target))
    }

    /// Makes new names in the directory durable.
    pub(super) fn sync(&self) -> Result<()> {
        sync_directory_of(&self.database()).map_err(|error| io(&self.path, error))
    }

    pub(super) fn display(&self) -> std::path::Display<'_> {
        self.path.display()
    }

    fn unused_name(&self) -> PathBuf {
        let name = |n: u64| self.path.join(format!("damaged-{n}"));
        let mut n = 1;
        while name(n).exists() {
            n += 1;
        }
        name(n)
    }

    /// Removes what was interrupted and begins again: a restore from the copy, a compaction from
    /// the old database.
    fn sweep(&self) -> Result<()> {
        self.put_back()?;
        remove(&self.restoring())?;
        remove(&self.compacted())?;
        remove(&self.replaced())
    }

    fn write_format(&self) -> Result<()> {
        let path = self.path.join("format");
        let body = format!("loosely store format {FORMAT}");
        let text = format!("{body} {:08x}\n", crc32fast::hash(body.as_bytes()));
        let unfinished = self.path.join("format.new");
        let write = || {
            let mut file = open_private(&unfinished)?;
            std::io::Write::write_all(&mut file, text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            sync_directory_of(&path)
        };
        write().map_err(|error| io(&path, error))
    }
}

/// Removes a directory with all that is in it, if it is there.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != IoKind::NotFound => Err(io(path, error)),
        _ => Ok(()),
    }
}

/// Returns the format number; none if there is no file or it is damaged, as the database says it
/// too. A newer one is an error.
fn read_format(path: &Path) -> Result<Option<u32>> {
    let path = path.join("format");
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == IoKind::NotFound => return Ok(None),
        Err(error) => return Err(io(&path, error)),
    };
    let parse = || {
        let (body, checksum) = text.trim_end().rsplit_once(' ')?;
        let checksum = u32::from_str_radix(checksum, 16).ok()?;
        let number = body.strip_prefix("loosely store format ")?;
        (crc32fast::hash(body.as_bytes()) == checksum).then_some(number.parse::<u32>().ok()?)
    };
    match parse() {
        Some(found) if found > FORMAT => Err(form::newer(found)),
        found => Ok(found),
    }
}

fn open_lock(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes a directory and those above it, and their names durable.
fn create_durably(path: &Path) -> std::io::Result<()> {
    let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<_> = path.ancestors().take_while(missing).collect();
    create_private(path)?;
    missing.into_iter().try_for_each(sync_directory_of)
}

/// Makes a directory that only its owner may enter; one that exists stays as it is.
pub(super) fn create_private(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Takes all rights from everybody but the owner, on everything below a directory.
pub(super) fn make_private(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let is_directory = entry.file_type()?.is_dir();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = if is_directory { 0o700 } else { 0o600 };
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode))?;
        }
        if is_directory {
            make_private(&entry.path())?;
        }
    }
    Ok(())
}

pub(super) fn io(path: &Path, error: std::io::Error) -> Error {
    let message = format!("cannot use {}", path.display());
    Error::new(ErrorKind::Io, message).because(error)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use super::*;

    #[test]
    fn newer_format_is_refused_before_anything_is_touched() {
        let root = tempfile::tempdir().unwrap();
        let body = "loosely store format 9";
        let text = format!("{body} {:08x}\n", crc32fast::hash(body.as_bytes()));
        fs::write(root.path().join("format"), &text).unwrap();
        let error = Directory::claim(root.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NewerFormat);
        assert_eq!(
            error.to_string(),
            "the store has format 9, this version reads up to 1"
        );
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn damaged_format_file_is_written_anew() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("format");
        fs::write(&path, "loosely store format 9 00000000\n").unwrap();
        drop(Directory::claim(root.path()).unwrap());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("loosely store format 1 "), "{text}");
    }

    #[test]
    fn directory_is_locked_until_dropped() {
        let root = tempfile::tempdir().unwrap();
        let first = Directory::claim(root.path()).unwrap();
        let error = Directory::claim(root.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert!(
            error
                .to_string()
                .contains(&root.path().display().to_string())
        );
        drop(first);
        Directory::claim(root.path()).unwrap();
    }
}
