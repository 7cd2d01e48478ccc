//! A model version: one immutable bundle, its architecture, and what turns its logits into honest numbers.
//!
//! Always holds: a [`Bundle`] in memory was checked against its manifest, so nothing after it checks again.
//! Refuses: storage. Bytes come in and go out; where they lie is the registry's business.

pub mod bundle;
pub mod calibration;
pub mod config;
pub mod digested;
pub mod explain;
pub mod forward;
mod left_out;
pub mod manifest;
pub mod nets;
mod network;
pub mod policy;
mod tensors;
pub mod weights;

pub use bundle::{Bundle, Draft, Files, Labels, VAGUE_CODE};
pub use calibration::{Beta, Calibration};
pub use config::{BagShape, Config};
pub use digested::Digested;
pub use manifest::{DataFile, Manifest, ManifestFile};
pub use network::{Network, NetworkConfig, TextCnn};
pub use policy::{Evidence, HeadingThreshold, LevelThreshold, Policy};
pub use tensors::Floats;
pub use weights::{Bag, Conv, Screen, Weights};
