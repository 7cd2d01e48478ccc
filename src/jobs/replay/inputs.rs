//! The input of a past run, looked for again: there, gone, or another.
//!
//! What always holds: a file is there when its size and its ETag are those that the run read. Refuses: reading another.

use futures::{StreamExt, TryStreamExt};
use serde::Serialize;

use super::super::record::InputFile;
use crate::error::Result;
use crate::lake::{Place, Source, SourceOptions};

/// Files asked for at once.
const CONCURRENT: usize = 16;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InputState {
    /// It is the one that the run read.
    There,
    Gone,
    /// Another size or ETag.
    Changed,
    /// The run did not read it itself: it read what the lake holds of it.
    NotRead,
}

/// A file of the run, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// As the run read it.
    #[serde(flatten)]
    pub file: InputFile,
    pub state: InputState,
    /// What is not as it was; `None` where it is.
    pub why: Option<String>,
}

/// Files whose lines a run took from the lake.
pub(super) fn not_read(files: &[InputFile]) -> Vec<Found> {
    let why = "the run read the lake's tables, not the file";
    files.iter().map(|file| Found { file: file.clone(), state: InputState::NotRead, why: Some(why.into()) }).collect()
}

/// Looks for every file.
///
/// # Errors
/// Those of the store; a file that is not there is none.
pub(super) async fn look(files: &[InputFile]) -> Result<Vec<Found>> {
    futures::stream::iter(files.to_vec())
        .map(|file| async move {
            let place = Place::open(&file.url)?;
            let Some(now) = place.head(place.prefix()).await? else {
                return Ok(Found { file, state: InputState::Gone, why: Some("it is not there any more".into()) });
            };
            let mut why = Vec::new();
            if now.size != file.size_bytes {
                why.push(format!("it had {} bytes and has {}", file.size_bytes, now.size));
            }
            // A store that gave none then says nothing by giving one now.
            if file.e_tag.is_some() && file.e_tag != now.e_tag {
                let shown = |tag: Option<&str>| tag.unwrap_or("none").to_string();
                why.push(format!(
                    "its ETag was {} and is {}",
                    shown(file.e_tag.as_deref()),
                    shown(now.e_tag.as_deref())
                ));
            }
            let state = if why.is_empty() { InputState::There } else { InputState::Changed };
            Ok(Found { file, state, why: (!why.is_empty()).then(|| why.join("; ")) })
        })
        .buffered(CONCURRENT)
        .try_collect()
        .await
}

/// The files that are there, pinned again; `None` when none is.
///
/// # Errors
/// `Input` when one of them cannot be read.
pub(super) async fn pin(found: &[Found], text: &str) -> Result<Option<Source>> {
    let there = found.iter().filter(|found| found.state == InputState::There);
    let urls: Vec<String> = there.map(|found| found.file.url.clone()).collect();
    if urls.is_empty() {
        return Ok(None);
    }
    Source::pin(&urls, SourceOptions { text: text.to_string(), quarantine: false }).await.map(Some)
}
