//! Who ran what: one line of JSON for each statement and each login, appended to a file.
//!
//! A line holds no literal of a statement and so no description. It is written, whole, before the client learns that its
//! statement is done; while it cannot be written, statements are refused. A file that was moved away is opened anew under its
//! name, so that any rotation will do.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::fault::{Answer, Fault, state};
use crate::error::{Context, Error, Result};

/// Lines that wait to be written before whoever brings one waits too.
const WAITING: usize = 1024;

/// One line.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    #[serde(serialize_with = "rfc3339")]
    pub at: DateTime<Utc>,
    /// `login`, `logout`, `statement`.
    pub event: &'static str,
    pub user: &'a str,
    pub role: Option<&'static str>,
    pub address: String,
    pub application: &'a str,
    /// Number of the connection, as `pg_backend_pid()` gives it.
    pub session: i32,
    /// The first 16 digits of the SHA-256 of the shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// From when it came to its last row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<f64>,
    /// Of which it waited for its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_milliseconds: Option<f64>,
    /// `ok`, `refused`, `failed`, `canceled`, `limit`, `gone`.
    pub outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<&'static str>,
    /// Version and digest of the models that answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
}

fn rfc3339<S: serde::Serializer>(at: &DateTime<Utc>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

enum Message {
    Line(Vec<u8>, oneshot::Sender<bool>),
    /// Everything before is on disk when this is answered.
    Sync(oneshot::Sender<bool>),
}

/// See the module. Without a file every line is taken and none is kept.
pub(super) struct Audit {
    sender: Option<mpsc::Sender<Message>>,
    writes: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Audit {
    /// Opens the file for appending, or makes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(path: Option<&Path>) -> Result<Audit> {
        let writes = Arc::new(AtomicBool::new(true));
        let Some(path) = path else { return Ok(Audit { sender: None, writes, thread: Mutex::new(None) }) };
        let mut log = Log { path: path.to_path_buf(), file: None };
        log.file().map(|_| ()).map_err(Error::from).context(|| path.display())?;
        let (sender, messages) = mpsc::channel(WAITING);
        let known = Arc::clone(&writes);
        let thread = std::thread::Builder::new().name("audit".into()).spawn(move || log.run(messages, &known))?;
        Ok(Audit { sender: Some(sender), writes, thread: Mutex::new(Some(thread)) })
    }

    /// Whether the last line was written.
    pub fn writes(&self) -> bool {
        self.writes.load(Ordering::Acquire)
    }

    /// Refuses a statement while lines cannot be written; tries again first.
    pub async fn check(&self) -> Answer<()> {
        match self.writes() || self.send(Vec::new()).await {
            true => Ok(()),
            false => Err(not_written()),
        }
    }

    /// Writes one line.
    ///
    /// # Errors
    /// When it is not in the file.
    pub async fn write(&self, entry: &Entry<'_>) -> Answer<()> {
        if self.sender.is_none() {
            return Ok(());
        }
        let mut line = serde_json::to_vec(entry).map_err(|e| Fault::new(state::DEFECT, e.to_string()))?;
        line.push(b'\n');
        match self.send(line).await {
            true => Ok(()),
            false => Err(not_written()),
        }
    }

    /// Puts everything on disk and ends.
    pub async fn close(&self) {
        if let Some(sender) = &self.sender {
            let (answer, done) = oneshot::channel();
            if sender.send(Message::Sync(answer)).await.is_ok() {
                let _ = done.await;
            }
        }
        // The thread ends with the last sender; there is nothing left for it to do.
        drop(self.thread.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    async fn send(&self, line: Vec<u8>) -> bool {
        let Some(sender) = &self.sender else { return true };
        let (answer, done) = oneshot::channel();
        sender.send(Message::Line(line, answer)).await.is_ok() && done.await.unwrap_or(false)
    }
}

fn not_written() -> Fault {
    Fault::new(state::IO, "the audit log cannot be written, and without it nothing is answered")
        .hint("The operator of the server frees the disk or mends the path of the log.")
}

struct Log {
    path: PathBuf,
    file: Option<File>,
}

impl Log {
    fn run(mut self, mut messages: mpsc::Receiver<Message>, writes: &AtomicBool) {
        while let Some(message) = messages.blocking_recv() {
            let (done, answer) = match message {
                Message::Line(line, answer) => (self.append(&line), answer),
                Message::Sync(answer) => (self.file.as_ref().map_or(Ok(()), File::sync_all), answer),
            };
            if let Err(e) = &done {
                tracing::error!(error = %e, path = %self.path.display(), "the audit log cannot be written");
                self.file = None;
            }
            writes.store(done.is_ok(), Ordering::Release);
            let _ = answer.send(done.is_ok());
        }
    }

    fn append(&mut self, line: &[u8]) -> std::io::Result<()> {
        let mut file = self.file()?;
        // One call for a whole line: what is cut off by a full disk is no line, and the next one begins on its own.
        match file.write(line)? {
            written if written == line.len() => Ok(()),
            _ => {
                let _ = file.write(b"\n");
                Err(std::io::Error::new(std::io::ErrorKind::StorageFull, "a line was written in part"))
            }
        }
    }

    /// The file that has the path's name now.
    fn file(&mut self) -> std::io::Result<&File> {
        let there = std::fs::metadata(&self.path).ok().map(|found| (found.dev(), found.ino()));
        let held = self.file.as_ref().and_then(|file| file.metadata().ok()).map(|held| (held.dev(), held.ino()));
        let same = there.is_some() && there == held;
        if !same && let Some(moved) = self.file.take() {
            let _ = moved.sync_all();
        }
        let open = || std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path);
        match &mut self.file {
            Some(file) => Ok(file),
            empty => Ok(empty.insert(open()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(user: &str) -> Entry<'_> {
        Entry {
            at: "2026-03-01T10:00:00Z".parse().unwrap(),
            event: "login",
            user,
            role: Some("reader"),
            address: "127.0.0.1:1".into(),
            application: "psql",
            session: 7,
            digest: None,
            shape: None,
            rows: None,
            milliseconds: None,
            waited_milliseconds: None,
            outcome: "ok",
            sqlstate: None,
            models: Vec::new(),
        }
    }

    #[tokio::test]
    async fn lines_follow_a_file_that_is_moved_away_and_a_log_that_cannot_be_written_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("logs");
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("audit.jsonl");
        let audit = Audit::open(Some(&path)).unwrap();
        audit.write(&entry("ana")).await.unwrap();
        std::fs::rename(&path, folder.join("audit.jsonl.1")).unwrap();
        audit.write(&entry("bob")).await.unwrap();
        let old = std::fs::read_to_string(folder.join("audit.jsonl.1")).unwrap();
        assert_eq!(
            old,
            "{\"at\":\"2026-03-01T10:00:00.000Z\",\"event\":\"login\",\"user\":\"ana\",\"role\":\"reader\",\
             \"address\":\"127.0.0.1:1\",\"application\":\"psql\",\"session\":7,\"outcome\":\"ok\"}\n"
        );
        assert!(std::fs::read_to_string(&path).unwrap().contains("bob"));
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(audit.write(&entry("eve")).await.unwrap_err().state, "58030");
        assert_eq!(audit.check().await.unwrap_err().state, "58030");
        std::fs::create_dir(&folder).unwrap();
        audit.check().await.unwrap();
        audit.write(&entry("eve")).await.unwrap();
        audit.close().await;
        assert!(std::fs::read_to_string(&path).unwrap().contains("eve"));
        assert!(Audit::open(Some(&dir.path().join("none/audit"))).is_err());
        Audit::open(None).unwrap().write(&entry("ana")).await.unwrap();
    }
}
