//! From a reference to a version, and from its folder to a bundle.
//!
//! Always holds: what is loaded by an alias has the digest that the alias was given; what is loaded by its number has the
//! digest of the events, where they can be read. A retired version comes by its number or as of a time, with a warning.
//! Refuses: a version without a trusted signature where one is required.

use super::event::digest_of;
use super::history::History;
use super::promotion::Target;
use super::reference::{CHAMPION, ModelRef, Selector};
use super::state::State;
use super::{Loaded, Registry, signature, version};
use crate::error::{Context, Error, Result};
use crate::model::{Bundle, Manifest};

/// Which version a reference means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meant {
    pub version: u64,
    /// The digest that the events give it.
    pub digest: Option<String>,
    /// The alias that names it, where it is named by one.
    pub alias: Option<String>,
}

impl Registry {
    /// Reads a version and checks all of it.
    ///
    /// # Errors
    /// [`Error::Registry`] when there is no such version, it is not whole, every version is retired, or a signature is
    /// required and missing; and those of the store.
    pub async fn load(&self, model: &ModelRef) -> Result<Loaded> {
        let Meant { version, digest, alias } = self.meant(model).await?;
        let name = model.name();
        let named = || match &alias {
            Some(_) => format!("{name}@{version} (named by {model})"),
            None => format!("{name}@{version}"),
        };
        // What an alias named at another time is nothing that a rollback could change.
        let live = alias.as_deref().filter(|_| !matches!(model.selector(), Selector::AliasAt(..)));
        let Some(manifest) = self.manifest(name, version).await.context(named)? else {
            return Err(match digest {
                None => self.absent(model).await,
                Some(_) => {
                    let gone = format!("it is gone from {}; restore it from a backup", self.place().url());
                    back(Error::Registry(gone), name, live).context(named())
                }
            });
        };
        let read = self.read_trusted(name, version, &manifest, digest.as_deref()).await;
        let bundle = read.map_err(|e| back(e, name, live)).context(named)?;
        Ok(Loaded { name: name.to_owned(), version, bundle })
    }

    /// The version that a reference means now, with its digest; its files are not read.
    ///
    /// # Errors
    /// [`Error::Registry`] when there is no such version, and those of the store.
    pub async fn resolve(&self, model: &ModelRef) -> Result<Target> {
        let Meant { version, digest, .. } = self.meant(model).await?;
        if let Some(digest) = digest {
            return Ok(Target { version, digest });
        }
        match self.manifest(model.name(), version).await? {
            Some(manifest) => Ok(Target { version, digest: digest_of(&manifest) }),
            None => Err(self.absent(model).await),
        }
    }

    /// Reads a version whose manifest is here, if its digest is the one of the events and its signature is trusted.
    async fn read_trusted(&self, name: &str, version: u64, manifest: &[u8], digest: Option<&str>) -> Result<Bundle> {
        let is = digest_of(manifest);
        if let Some(digest) = digest.filter(|digest| *digest != is) {
            let damage = Manifest::parse(manifest).err().map_or(String::new(), |e| format!("{e}; "));
            return Err(Error::Registry(format!(
                "{damage}its digest is {is}, the events say {digest}; restore it from a backup or use another version"
            )));
        }
        let folder = self.folder(name, version);
        if let Some(trusted) = &self.trusted {
            trusted.verify(manifest, signature::read(&folder).await?.as_ref())?;
        }
        version::read(&folder, name, manifest).await
    }

    /// A version as the events know it, else as its manifest is; its other files are not read.
    ///
    /// # Errors
    /// [`Error::Registry`] when there is no such version, and those of the store.
    pub async fn target(&self, model: &ModelRef, history: &History, version: u64) -> Result<Target> {
        if let Some(known) = history.state().versions().get(&version) {
            return Ok(Target { version, digest: known.digest.clone() });
        }
        match self.manifest(model.name(), version).await? {
            Some(manifest) => Ok(Target { version, digest: digest_of(&manifest) }),
            None => Err(self.absent(model).await),
        }
    }

    /// The version that a reference means now.
    pub(super) async fn meant(&self, model: &ModelRef) -> Result<Meant> {
        let name = model.name();
        let history = self.history(name).await;
        let named = |state: &State, alias: &str| {
            let held = state.named(alias)?;
            let (digest, alias) = (Some(held.digest.clone()), Some(alias.to_owned()));
            Some(Meant { version: held.version, digest, alias })
        };
        match model.selector() {
            Selector::Version(version) => Ok(numbered(model, *version, history)),
            Selector::Latest => self.latest(model, &history?).await,
            Selector::Default => {
                let history = history?;
                match named(history.state(), CHAMPION) {
                    Some(meant) => Ok(meant),
                    None => self.latest(model, &history).await,
                }
            }
            Selector::Alias(alias) => match named(history?.state(), alias) {
                Some(meant) => Ok(meant),
                None => Err(self.nameless(model, alias).await),
            },
            Selector::AliasAt(alias, at) => {
                let history = history?;
                let Some(meant) = named(&history.state_at(at)?, alias) else {
                    return Err(Error::Registry(format!(
                        "{model}: the alias named no version then; see harmonize models history {name}"
                    )));
                };
                if history.state().is_retired(meant.version) {
                    tracing::warn!("{model} was {name}@{}, which is retired now", meant.version);
                }
                Ok(meant)
            }
        }
    }

    async fn latest(&self, model: &ModelRef, history: &History) -> Result<Meant> {
        let state = history.state();
        let all = self.numbers(model.name()).await?.complete;
        match all.iter().rev().find(|version| !state.is_retired(**version)) {
            Some(version) => {
                let digest = state.versions().get(version).map(|known| known.digest.clone());
                Ok(Meant { version: *version, digest, alias: None })
            }
            None if all.is_empty() => Err(self.absent(model).await),
            None => Err(Error::Registry(format!(
                "{model}: every version is retired; name one by its number, or train another"
            ))),
        }
    }

    /// The error for an alias that names nothing.
    async fn nameless(&self, model: &ModelRef, alias: &str) -> Error {
        let name = model.name();
        match self.known(model).await {
            Ok(known) => Error::Registry(format!(
                "{name} keeps no alias {alias:?} here, so it names no version; {known}; to make one: harmonize models \
                 promote {name}@N --as {alias}"
            )),
            Err(e) => e,
        }
    }

    pub(super) async fn absent(&self, model: &ModelRef) -> Error {
        match self.known(model).await {
            Ok(known) => Error::Registry(format!(
                "{known}; to make one: harmonize train --registry {} --name {}",
                self.place().url(),
                model.name()
            )),
            Err(e) => e,
        }
    }

    /// A sentence on the versions that there are.
    async fn known(&self, model: &ModelRef) -> Result<String> {
        const SHOWN: usize = 20;
        let name = model.name();
        let all = self.numbers(name).await?.complete;
        if all.is_empty() {
            return Ok(format!("there is no version of {name} in {}", self.place().url()));
        }
        let shown: Vec<String> = all.iter().skip(all.len().saturating_sub(SHOWN)).map(u64::to_string).collect();
        let more = if all.len() > SHOWN { "…, " } else { "" };
        let shown = shown.join(", ");
        Ok(format!("{model} is not in {}; use one of the versions there are: {more}{shown}", self.place().url()))
    }
}

/// A version by its number needs no events; what they say of it is told where they can be read.
fn numbered(model: &ModelRef, version: u64, history: Result<History>) -> Meant {
    let known = match &history {
        Ok(history) => history.state().versions().get(&version),
        Err(e) => {
            tracing::warn!("{model} is used by its number alone: {e}");
            None
        }
    };
    if known.is_some_and(|known| known.retired.is_some()) {
        tracing::warn!("{model} is retired");
    }
    Meant { version, digest: known.map(|known| known.digest.clone()), alias: None }
}

/// A refusal of what an alias names, with the way back behind it.
fn back(e: Error, name: &str, alias: Option<&str>) -> Error {
    match (e, alias) {
        (Error::Registry(why), Some(alias)) => Error::Registry(format!(
            "{why}; back to the version before: harmonize models rollback {name} --alias {alias}"
        )),
        (e, _) => e,
    }
}
