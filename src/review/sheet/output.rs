//! Bytes for a file that appears under its name only when all of them are there, or for standard output.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Stdout, Write};
use std::path::PathBuf;

use super::Target;
use crate::error::{Context, Error, Result};

/// See the module. Dropped without being finished, it leaves nothing behind.
#[derive(Debug)]
pub struct Output {
    to: To,
}

#[derive(Debug)]
enum To {
    Stdout(BufWriter<Stdout>),
    File { file: BufWriter<File>, beside: PathBuf, path: PathBuf, replace: bool, done: bool },
}

impl Output {
    /// Begins.
    ///
    /// # Errors
    /// `Usage` when the file is there and is not to be replaced, or its folder is not there.
    pub fn create(target: &Target) -> Result<Output> {
        let Target::File { path, replace } = target else {
            return Ok(Output { to: To::Stdout(BufWriter::new(std::io::stdout())) });
        };
        if !replace && path.exists() {
            return Err(there(path));
        }
        let name = path.file_name().ok_or_else(|| Error::Usage(format!("{} is no file", path.display())))?;
        let beside = path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
        let file = File::create(&beside).map_err(|e| Error::Usage(format!("{}: {e}", path.display())))?;
        let file = BufWriter::with_capacity(1 << 18, file);
        Ok(Output { to: To::File { file, beside, path: path.clone(), replace: *replace, done: false } })
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// `Usage` when another one came there meanwhile; what the disk says.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        let To::File { file, beside, path, replace, done } = &mut self.to else { return Ok(()) };
        let named = || path.display().to_string();
        file.get_ref().sync_all().context(named)?;
        if *replace {
            std::fs::rename(&beside, &path).context(named)?;
        } else {
            match std::fs::hard_link(&beside, &path) {
                Ok(()) => std::fs::remove_file(&beside).context(named)?,
                Err(e) if e.kind() == ErrorKind::AlreadyExists => return Err(there(path)),
                // A disk without links.
                Err(_) => std::fs::rename(&beside, &path).context(named)?,
            }
        }
        *done = true;
        Ok(())
    }
}

fn there(path: &std::path::Path) -> Error {
    Error::Usage(format!("{} is there already; name another file, or give --overwrite", path.display()))
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.to {
            To::File { file, .. } => file.write(bytes),
            // A reader that has seen enough is no error.
            To::Stdout(out) => match out.write(bytes) {
                Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
                other => other,
            },
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.to {
            To::File { file, .. } => file.flush(),
            To::Stdout(out) => match out.flush() {
                Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
                other => other,
            },
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let To::File { beside, done: false, .. } = &self.to {
            // Best effort: a part that stays is beside the file and hidden.
            let _ = std::fs::remove_file(beside);
        }
    }
}
