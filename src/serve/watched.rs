//! A value that stands in files and follows them: read once, and again when a file has changed.
//!
//! While a changed file cannot be read, the last good value stays in force, and the log says so.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Result;

/// How long nobody looks again.
const REST: Duration = Duration::from_secs(1);

type Read<T> = Box<dyn Fn() -> Result<T> + Send + Sync>;

/// See the module.
pub(super) struct Watched<T> {
    files: Vec<PathBuf>,
    read: Read<T>,
    held: Mutex<Held<T>>,
}

struct Held<T> {
    value: Arc<T>,
    seen: Vec<Option<Seen>>,
    looked: Instant,
}

/// Device, inode, size and time of change: what differs when a file was replaced or written.
type Seen = (u64, u64, u64, i64, i64);

impl<T> Watched<T> {
    /// Reads the value for the first time; `read` reads exactly `files`.
    pub fn new(files: Vec<PathBuf>, read: impl Fn() -> Result<T> + Send + Sync + 'static) -> Result<Watched<T>> {
        let seen = look(&files);
        let value = Arc::new(read()?);
        let held = Mutex::new(Held { value, seen, looked: Instant::now() });
        Ok(Watched { files, read: Box::new(read), held })
    }

    /// The value in force. Looks at the files at most once a second.
    pub fn current(&self) -> Arc<T> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.looked.elapsed() >= REST {
            held.looked = Instant::now();
            let seen = look(&self.files);
            if seen != held.seen {
                match (self.read)() {
                    Ok(value) => (held.value, held.seen) = (Arc::new(value), seen),
                    Err(e) => {
                        tracing::error!(error = %e, "a changed file cannot be read: what it said before stays in force")
                    }
                }
            }
        }
        Arc::clone(&held.value)
    }
}

fn look(files: &[PathBuf]) -> Vec<Option<Seen>> {
    let one = |file: &PathBuf| {
        let found = std::fs::metadata(file).ok()?;
        Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
    };
    files.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn a_changed_file_is_read_again_and_a_broken_one_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("value");
        std::fs::write(&file, "1").unwrap();
        let path = file.clone();
        let read = move || std::fs::read_to_string(&path)?.parse::<u64>().map_err(|e| Error::Input(e.to_string()));
        let watched = Watched::new(vec![file.clone()], read).unwrap();
        assert_eq!(*watched.current(), 1);
        for (text, then) in [("22", 22), ("broken", 22), ("333", 333)] {
            std::fs::write(&file, text).unwrap();
            std::thread::sleep(REST + Duration::from_millis(50));
            assert_eq!(*watched.current(), then);
        }
    }
}
