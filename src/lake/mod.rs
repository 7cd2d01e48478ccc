//! URLs, object stores, pinned sources and Delta tables: everything that touches storage.
//!
//! Reads are pinned by size and ETag, writes become visible by one atomic commit alone.
//! This room knows nothing of models or predictions.

mod checksum;
mod commit;
mod delta;
mod durable;
mod hold;
mod log;
mod place;
mod reader;
mod scan;
mod source;
mod staged;
mod travel;
mod writer;

pub use commit::{Committed, Nonce, Outcome};
pub use delta::{RunTag, Table, discard, missing};
pub use hold::hold_at;
pub use place::{Listed, Place, key_source};
pub use scan::{InputTable, SOURCE_FILE, SOURCE_ROW};
pub use source::{BadFile, PinnedFile, Source, SourceOptions};
pub use staged::{Staged, append_once};
pub use writer::{NewFile, SinkOptions, TableWriter};
