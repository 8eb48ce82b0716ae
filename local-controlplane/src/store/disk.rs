//! The data folder: opening and locking it, and group commit.
//!
//! Changes gather in a buffer while an earlier batch is being written and synced; one `fdatasync` makes a whole batch
//! durable. Nothing leaves the server before the revision it shows is durable: the store publishes to watches only what
//! is synced, and answers wait for it. What a record looks like is `log.rs`.

use super::log::{self, CorruptLog, Record};
use super::{Shared, Snapshot};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const LOG: &str = "objects.log";
const NEW_LOG: &str = "objects.log.new";
const LOCK: &str = "lock";
/// A log is written anew when it has grown past this and to `GROWTH` times what it was when it was last written anew.
const SMALL_LOG: u64 = 64 << 20;
const GROWTH: u64 = 4;

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the folder open.
    #[error("the data folder {0} is in use by another control plane; stop that one or choose another folder")]
    Locked(PathBuf),
    /// The folder, or a file in it, cannot be read or written.
    #[error("the data folder {path} cannot be used")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The log is damaged before its end.
    #[error("the data folder {path} is damaged; move it away to start with an empty one")]
    Corrupt {
        /// The folder.
        path: PathBuf,
        /// Which line, and why.
        #[source]
        source: CorruptLog,
    },
}

/// An open data folder.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    log: Mutex<LogFile>,
}

/// The right to use a data folder, as long as this value lives.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

#[derive(Debug)]
struct LogFile {
    file: File,
    size: u64,
    size_when_new: u64,
}

impl Disk {
    /// Locks the folder and reads its log.
    pub(crate) fn open(folder: &Path) -> Result<(Self, Lock, Vec<Record>), OpenError> {
        let failed = |source| OpenError::Io {
            path: folder.into(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::create(folder.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked(folder.into())),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(folder.join(LOG))
            .map_err(failed)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let records = log::read(&bytes).map_err(|source| OpenError::Corrupt {
            path: folder.into(),
            source,
        })?;
        let size = bytes.len() as u64;
        let log = LogFile {
            file,
            size,
            size_when_new: size,
        };
        Ok((
            Self {
                folder: folder.into(),
                log: Mutex::new(log),
            },
            Lock(lock),
            records,
        ))
    }

    /// Replaces the log by one that holds just these objects.
    pub(crate) fn rewrite(&self, snapshot: &Snapshot) -> Result<(), OpenError> {
        let result = self.try_rewrite(snapshot);
        result.map_err(|source| OpenError::Io {
            path: self.folder.clone(),
            source,
        })
    }

    fn try_rewrite(&self, snapshot: &Snapshot) -> io::Result<()> {
        let mut bytes = Vec::new();
        log::write_header(&mut bytes, snapshot.revision);
        for (table, object) in &snapshot.objects {
            log::write_put(&mut bytes, table, object);
        }
        let new = self.folder.join(NEW_LOG);
        let mut file = File::create(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, self.folder.join(LOG))?;
        File::open(&self.folder)?.sync_all()?;
        let size = bytes.len() as u64;
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        *log = LogFile {
            file,
            size,
            size_when_new: size,
        };
        Ok(())
    }

    /// Appends one batch and makes it durable. Says whether the log has grown enough to be written anew.
    fn append(&self, batch: &[u8]) -> io::Result<bool> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.file.write_all(batch)?;
        log.file.sync_data()?;
        log.size += batch.len() as u64;
        Ok(log.size > SMALL_LOG && log.size > GROWTH * log.size_when_new)
    }
}

/// The records that wait for the next batch.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    /// Whether somebody is writing batches just now.
    pub(crate) being_written: bool,
}

/// Writes batches until none is left. Runs where blocking is allowed; a failure stops the store for good, because what
/// is on the disk is then unknown.
pub(crate) fn write_batches(disk: &Disk, shared: &Arc<Shared>) {
    while let Some((bytes, revision)) = shared.take_batch() {
        let written = disk.append(&bytes).and_then(|grown| match grown {
            true => {
                let snapshot = shared.snapshot();
                disk.try_rewrite(&snapshot).map(|()| snapshot.revision)
            }
            false => Ok(revision),
        });
        match written {
            Ok(revision) => shared.synced(revision),
            Err(error) => {
                tracing::error!(%error, folder = %disk.folder.display(), "the log cannot be written; no more answers");
                shared.fail();
                return;
            }
        }
    }
}
