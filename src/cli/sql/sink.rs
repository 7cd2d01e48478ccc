//! Where rows go: standard output or a file.
//!
//! A script's file has its name only once everything went well; in the shell a file loses what a failed statement wrote into it.
//! A reader that has gone away (`| head`) is no error: it is remembered, and nothing more is written.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Context, Error, Result};

/// Where rows go, over many statements.
pub(super) enum Destination {
    Stdout,
    File(Target),
}

/// A file that is being written.
pub(super) struct Target {
    /// What it is called.
    path: PathBuf,
    /// What it is called until it is whole.
    written: PathBuf,
    file: File,
    /// Its length after the last statement that went well, in bytes.
    good: u64,
}

impl Destination {
    /// A file that keeps its name while it is written, and loses what was in it.
    pub(super) fn file(path: &Path) -> Result<Destination> {
        Destination::create(path, path.to_path_buf())
    }

    /// A file that gets its name when it is whole. What is no regular file (a pipe) is written at once.
    pub(super) fn whole_file(path: &Path) -> Result<Destination> {
        if path.exists() && !path.is_file() {
            return Destination::file(path);
        }
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".part-{}", std::process::id()));
        Destination::create(path, path.with_file_name(name))
    }

    fn create(path: &Path, written: PathBuf) -> Result<Destination> {
        let file = File::create(&written).context(|| format!("cannot write {}", path.display()))?;
        Ok(Destination::File(Target { path: path.to_path_buf(), written, file, good: 0 }))
    }

    /// Name of the file.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Destination::Stdout => None,
            Destination::File(target) => Some(&target.path),
        }
    }

    /// Whether the file holds rows of an earlier statement.
    pub(super) fn has_rows(&self) -> bool {
        matches!(self, Destination::File(target) if target.good > 0)
    }

    /// Something to write one statement's rows to.
    pub(super) fn sink(&self) -> Result<Sink> {
        let to: Box<dyn Write + Send> = match self {
            Destination::Stdout => Box::new(BufWriter::with_capacity(1 << 16, std::io::stdout())),
            Destination::File(target) => Box::new(BufWriter::with_capacity(1 << 20, target.file.try_clone()?)),
        };
        Ok(Sink { to, state: Arc::default() })
    }

    /// After a statement that went well.
    pub(super) fn keep(&mut self) -> Result<()> {
        if let Destination::File(target) = self {
            target.good = target.file.metadata()?.len();
        }
        Ok(())
    }

    /// After a statement that did not: its rows are taken back.
    pub(super) fn take_back(&mut self) {
        if let Destination::File(target) = self {
            // A pipe cannot be shortened.
            let _ = target.file.set_len(target.good);
            let _ = target.file.seek(SeekFrom::Start(target.good));
        }
    }

    /// Gives the file its name.
    pub(super) fn close(self) -> Result<()> {
        let Destination::File(target) = self else { return Ok(()) };
        if target.written != target.path {
            let named = std::fs::rename(&target.written, &target.path);
            named.context(|| format!("cannot write {}", target.path.display()))?;
        }
        Ok(())
    }

    /// Removes a file that never got its name.
    pub(super) fn abandon(self) {
        if let Destination::File(target) = self
            && target.written != target.path
        {
            let _ = std::fs::remove_file(&target.written);
        }
    }
}

/// See [`Destination::sink`]. Clones share what is known of the reader.
pub(super) struct Sink {
    to: Box<dyn Write + Send>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    gone: bool,
    failed: Option<Error>,
}

/// What became of a sink that a writer has taken.
#[derive(Clone)]
pub(super) struct Fate(Arc<Mutex<State>>);

impl Sink {
    /// For asking later.
    pub(super) fn fate(&self) -> Fate {
        Fate(Arc::clone(&self.state))
    }

    fn answer<T>(&self, done: std::io::Result<T>, if_gone: T) -> std::io::Result<T> {
        let Err(e) = done else { return done };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if e.kind() == ErrorKind::BrokenPipe {
            state.gone = true;
            return Ok(if_gone);
        }
        let again = std::io::Error::new(e.kind(), e.to_string());
        state.failed = Some(Error::from(e).context("cannot write the rows"));
        Err(again)
    }
}

impl Fate {
    /// Whether nobody reads any more.
    pub(super) fn is_gone(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).gone
    }

    /// The error of the sink in place of the one that a writer made of it.
    pub(super) fn explain(&self, e: impl Into<Error>) -> Error {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failed.take().unwrap_or_else(|| e.into())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let done = self.to.write(bytes);
        self.answer(done, bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let done = self.to.flush();
        self.answer(done, ())
    }
}
