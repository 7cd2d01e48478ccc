//! Statements from files, arguments and standard input: the first mistake ends them.
//!
//! An error says in which script, in which statement and at which line.

use std::fs::File;
use std::io::{BufRead, BufReader};

use super::meta;
use super::runner::{Runner, mistake_in_script};
use super::script::{Piece, Splitter};
use crate::error::{Context, Error, Result};

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Go,
    /// Somebody said `\q`, or nobody reads any more.
    End,
}

/// Runs a file; `-` is standard input.
pub(super) async fn file(runner: &mut Runner, path: &str, depth: usize) -> Result<Flow> {
    if path == "-" {
        return lines(runner, "standard input", std::io::stdin().lock(), depth).await;
    }
    let opened = File::open(path).map_err(|e| Error::Usage(format!("{path}: {e}")))?;
    lines(runner, path, BufReader::new(opened), depth).await
}

/// Runs the statements of a text that was given as an argument.
pub(super) async fn argument(runner: &mut Runner, text: &str) -> Result<Flow> {
    lines(runner, "-c", text.as_bytes(), 0).await
}

async fn lines(runner: &mut Runner, name: &str, mut reader: impl BufRead, depth: usize) -> Result<Flow> {
    let mut splitter = Splitter::new();
    let mut number = 0;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if reader.read_until(b'\n', &mut bytes).context(|| name)? == 0 {
            break;
        }
        let line = std::str::from_utf8(&bytes).map_err(|_| Error::Usage(format!("{name}: is not UTF-8")))?;
        for piece in splitter.feed(line) {
            number += 1;
            if step(runner, name, number, &piece, depth).await? == Flow::End {
                return Ok(Flow::End);
            }
        }
    }
    match splitter.rest() {
        Some(piece) => step(runner, name, number + 1, &piece, depth).await,
        None => Ok(Flow::Go),
    }
}

async fn step(runner: &mut Runner, name: &str, number: usize, piece: &Piece, depth: usize) -> Result<Flow> {
    let failed = match meta::piece(runner, piece, depth).await {
        Ok(flow) => return Ok(flow),
        Err(e) => e,
    };
    let (Piece::Statement(text) | Piece::Command(text)) = piece;
    let failed = match piece {
        // Positions that the parser names are those in the script.
        Piece::Statement(text) => mistake_in_script(text).unwrap_or(failed),
        Piece::Command(_) => failed,
    };
    Err(failed.context(format!("{name}, statement {number}, line {}", text.line)))
}
