//! What a training has reached, kept on disk after an epoch, so that an interrupted one goes on from there and ends with the
//! same weights as one that was left alone.
//!
//! A checkpoint belongs to what is trained: its folder is named by a digest of shape, settings, examples and program version. A
//! file is written beside and renamed, and carries the digest of its contents; one that is torn or of another training is not used.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Epoch, Example, Hyper};
use crate::error::{Context, Error, Result};

/// Parameters or other numbers, list by list.
pub(super) type Numbers = Vec<Vec<f32>>;

/// Folders of trainings that nobody took up again go after this.
const KEPT: Duration = Duration::from_secs(14 * 24 * 3600);

/// Where checkpoints are kept, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointPlace {
    /// Folder of all trainings; without one nothing is kept.
    pub root: Option<PathBuf>,
    /// Least time between two of them.
    pub every: Duration,
}

/// What is kept of one network.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reached {
    /// Epochs that ran.
    pub(super) history: Vec<Epoch>,
    /// Number, accuracy and parameters of the best of them.
    pub(super) best: Option<(usize, f64, Numbers)>,
    /// All that the next step depends on; empty when no step is to come.
    pub(super) state: Numbers,
    /// Whether it has learned all it will.
    pub(super) ended: bool,
}

/// The words of a file, before its numbers.
#[derive(Serialize, Deserialize)]
struct Head {
    history: Vec<Epoch>,
    /// Number of the best epoch and the bits of its accuracy.
    best: Option<(usize, u64)>,
    best_lists: usize,
    ended: bool,
    lengths: Vec<usize>,
}

/// The checkpoints of one training.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: Option<PathBuf>,
    every: Duration,
    last: Option<Instant>,
}

impl CheckpointPlace {
    /// Those of the training of these examples with these settings.
    pub(super) fn of(
        &self,
        shape: &impl Serialize,
        hyper: &Hyper,
        splits: &[Option<(u32, u32)>],
        examples: [&[Example]; 2],
    ) -> Result<Checkpoints> {
        let Some(root) = &self.root else {
            return Ok(Checkpoints { folder: None, every: self.every, last: None });
        };
        let settings = serde_json::to_vec(&(env!("CARGO_PKG_VERSION"), shape, hyper, splits))
            .map_err(|e| Error::Bug(e.to_string()))?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(settings.len() as u64).to_le_bytes()).update(&settings);
        for part in examples {
            hasher.update(&(part.len() as u64).to_le_bytes());
            for example in part {
                for ids in [&example.tokens, &example.grams] {
                    hasher.update(&(ids.len() as u64).to_le_bytes());
                    for id in ids {
                        hasher.update(&id.to_le_bytes());
                    }
                }
                hasher.update(&example.class.to_le_bytes()).update(&example.weight.to_le_bytes());
            }
        }
        let folder = root.join(&hasher.finalize().to_hex()[..32]);
        std::fs::create_dir_all(&folder).context(|| folder.display().to_string())?;
        tidy(root);
        Ok(Checkpoints { folder: Some(folder), every: self.every, last: None })
    }
}

/// Removes what was left behind long ago; what cannot be removed stays.
fn tidy(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for entry in entries.flatten() {
        let modified = entry.metadata().and_then(|meta| meta.modified()).unwrap_or_else(|_| SystemTime::now());
        let named = entry.file_name().len() == 32;
        if named && modified.elapsed().is_ok_and(|age| age > KEPT) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

impl Checkpoints {
    /// None at all.
    pub(super) fn none() -> Checkpoints {
        Checkpoints { folder: None, every: Duration::ZERO, last: None }
    }

    /// Where the files are, if they are kept.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Removes them: what they were for is done.
    pub fn remove(self) {
        if let Some(folder) = self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }

    /// What was reached by the network of this name; `None` when nothing usable is there.
    pub(super) fn load(&self, name: &str) -> Option<Reached> {
        let bytes = std::fs::read(self.folder.as_ref()?.join(name)).ok()?;
        let found = read(&bytes);
        if found.is_none() {
            tracing::warn!(file = name, "a checkpoint is damaged; the training begins anew");
        }
        found
    }

    /// Keeps what was reached, unless that was done a short while ago and there is more to learn.
    pub(super) fn keep(&mut self, name: &str, reached: impl FnOnce() -> Result<Reached>, ended: bool) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let due = self.last.is_none_or(|last| last.elapsed() >= self.every);
        if !(due || ended) {
            return Ok(());
        }
        let (file, beside) = (folder.join(name), folder.join(format!("{name}.new")));
        let said = || file.display().to_string();
        let bytes = written(&reached()?)?;
        let mut out = std::fs::File::create(&beside).context(said)?;
        std::io::Write::write_all(&mut out, &bytes).context(said)?;
        out.sync_all().context(said)?;
        std::fs::rename(&beside, &file).context(said)?;
        self.last = Some(Instant::now());
        Ok(())
    }
}

/// Length of the head, head, numbers, and the BLAKE3 of all that.
fn written(reached: &Reached) -> Result<Vec<u8>> {
    let best = reached.best.as_ref();
    let lists: Vec<&Vec<f32>> = best.iter().flat_map(|(_, _, lists)| lists).chain(&reached.state).collect();
    let head = Head {
        history: reached.history.clone(),
        best: best.map(|(number, accuracy, _)| (*number, accuracy.to_bits())),
        best_lists: best.map_or(0, |(_, _, lists)| lists.len()),
        ended: reached.ended,
        lengths: lists.iter().map(|list| list.len()).collect(),
    };
    let head = serde_json::to_vec(&head).map_err(|e| Error::Bug(e.to_string()))?;
    let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
    bytes.extend(head);
    lists.iter().for_each(|list| list.iter().for_each(|x| bytes.extend(x.to_le_bytes())));
    let digest = blake3::hash(&bytes);
    bytes.extend(digest.as_bytes());
    Ok(bytes)
}

fn read(bytes: &[u8]) -> Option<Reached> {
    let (bytes, digest) = bytes.split_last_chunk::<32>()?;
    if blake3::hash(bytes).as_bytes() != digest {
        return None;
    }
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (head, mut numbers) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    let mut lists = Vec::with_capacity(head.lengths.len());
    for length in head.lengths {
        let (list, others) = numbers.split_at_checked(length.checked_mul(4)?)?;
        lists.push(list.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect());
        numbers = others;
    }
    let state = lists.split_off(head.best_lists.min(lists.len()));
    let best = head.best.map(|(number, accuracy)| (number, f64::from_bits(accuracy), lists));
    Some(Reached { history: head.history, best, state, ended: head.ended })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::Config;

    fn reached() -> Reached {
        let epoch = |number| Epoch {
            number,
            train_loss: 0.25 * number as f64,
            stop_accuracy: 0.5,
            elapsed_secs: 2.0,
            examples_per_sec: 10.0,
        };
        Reached {
            history: vec![epoch(1), epoch(2)],
            best: Some((2, 1.0 / 3.0, vec![vec![1.5, -0.0], vec![]])),
            state: vec![vec![f32::from_bits(7)], vec![f32::MAX, 3.25]],
            ended: false,
        }
    }

    #[test]
    fn what_is_kept_is_found_again_and_what_is_torn_is_not_used() {
        let bytes = written(&reached()).unwrap();
        assert_eq!(read(&bytes), Some(reached()));
        for cut in [0, 1, 31, 40, bytes.len() / 2, bytes.len() - 1] {
            assert_eq!(read(&bytes[..cut]), None);
        }
        for at in (0..bytes.len()).step_by(7) {
            let mut broken = bytes.clone();
            broken[at] ^= 4;
            assert_eq!(read(&broken), None, "{at}");
        }
    }

    #[test]
    fn each_training_has_a_folder_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        let place = CheckpointPlace { root: Some(root.path().to_path_buf()), every: Duration::ZERO };
        let config = Config::default_text_cnn(10, 3);
        let one = Example { tokens: vec![2, 3], grams: vec![], class: 1, weight: 1.0 };
        let other = Example { tokens: vec![2], grams: vec![3], ..one.clone() };
        let folder = |hyper: &Hyper, examples: [&[Example]; 2]| {
            place.of(&config, hyper, &[], examples).unwrap().folder().unwrap().to_path_buf()
        };
        let hyper = Hyper::default();
        let (one, other) = (std::slice::from_ref(&one), std::slice::from_ref(&other));
        let first = folder(&hyper, [one, &[]]);
        assert_eq!(first, folder(&hyper, [one, &[]]));
        for another in [
            folder(&hyper, [other, &[]]),
            folder(&hyper, [&[], one]),
            folder(&Hyper { seed: 1, ..hyper.clone() }, [one, &[]]),
        ] {
            assert_ne!(first, another);
        }
        let mut kept = place.of(&config, &hyper, &[], [one, &[]]).unwrap();
        kept.keep("a", || Ok(reached()), false).unwrap();
        assert_eq!((kept.load("a"), kept.load("b")), (Some(reached()), None));
        let mut rare = Checkpoints { every: Duration::from_secs(3600), ..kept };
        rare.keep("a", || Ok(Reached::default()), false).unwrap();
        assert_eq!(rare.load("a"), Some(reached()), "not so soon");
        rare.keep("a", || Ok(Reached::default()), true).unwrap();
        assert_eq!(rare.load("a"), Some(Reached::default()));
    }
}
