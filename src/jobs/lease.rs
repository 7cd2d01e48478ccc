//! One start of a job at a time: a file beside the lake's tables that says who is at work.
//!
//! It saves work and nothing rests on it: two runs at once are kept apart by the commit. A lease that was not renewed for a
//! while, or whose process is gone from this machine, holds nobody up. Each taking has a number of its own, made by
//! create-if-absent, so of two starts one gets it.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};
use crate::lake::Place;

/// How often a lease is renewed, and after how long without it stands for nothing.
const RENEWED: Duration = Duration::from_secs(20);
const FORGOTTEN: Duration = Duration::from_secs(90);

/// Who holds a lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Holder {
    host: String,
    /// Identity of the machine's present start, where the system gives one.
    boot: Option<String>,
    pid: u32,
    /// RFC 3339, UTC.
    started_at: String,
    renewed_at: String,
    /// Whether it was given back.
    done: bool,
}

/// A lease that is held; given back by [`Lease::give_back`].
pub struct Lease {
    place: Place,
    file: String,
    holder: Holder,
    renewal: JoinHandle<()>,
}

impl Lease {
    /// Takes the lease of this name below a place.
    ///
    /// # Errors
    /// `RaceLost` when another holds it, saying who and since when, and those of the store.
    pub async fn take(place: &Place, name: &str, now: DateTime<Utc>) -> Result<Lease> {
        let folder = format!("leases/{name}");
        let numbers = place.list(&folder).await?;
        let last = numbers
            .iter()
            .filter_map(|file| file.name.rsplit('/').next()?.strip_suffix(".json")?.parse::<u64>().ok())
            .max();
        if let Some(number) = last
            && let Some(bytes) = place.get(&format!("{folder}/{number}.json")).await?
            // A file that says nothing was written by half: nobody holds it.
            && let Ok(holder) = serde_json::from_slice::<Holder>(&bytes)
            && holder.is_at_work(now)
        {
            return Err(held(&holder));
        }
        let number = last.unwrap_or(0) + 1;
        let file = format!("{folder}/{number}.json");
        let holder = Holder::this(now);
        if !place.create(&file, holder.bytes()?).await? {
            return Err(Error::RaceLost(
                "another start of this job was first; look at `harmonize sql \"SELECT * FROM run_history\"` \
                                        and run again"
                    .into(),
            ));
        }
        if let Some(before) = last {
            // Only the last one counts.
            let _ = place.delete(&format!("{folder}/{before}.json")).await;
        }
        let renewal = tokio::spawn(renew(place.clone(), file.clone(), holder.clone()));
        Ok(Lease { place: place.clone(), file, holder, renewal })
    }

    /// Lets others begin.
    pub async fn give_back(self) {
        self.renewal.abort();
        let done = Holder { done: true, ..self.holder };
        // If this fails, the lease is forgotten by itself.
        if let Ok(bytes) = done.bytes() {
            let _ = self.place.put(&self.file, bytes).await;
        }
    }
}

async fn renew(place: Place, file: String, holder: Holder) {
    loop {
        tokio::time::sleep(RENEWED).await;
        let renewed = Holder { renewed_at: written(Utc::now()), ..holder.clone() };
        if let Ok(bytes) = renewed.bytes() {
            let _ = place.put(&file, bytes).await;
        }
    }
}

impl Holder {
    fn this(now: DateTime<Utc>) -> Holder {
        Holder {
            host: std::fs::read_to_string("/proc/sys/kernel/hostname")
                .map_or_else(|_| String::new(), |h| h.trim().into()),
            boot: boot(),
            pid: std::process::id(),
            started_at: written(now),
            renewed_at: written(Utc::now()),
            done: false,
        }
    }

    fn bytes(&self) -> Result<Bytes> {
        serde_json::to_vec(self).map(Bytes::from).map_err(|e| Error::Bug(e.to_string()))
    }

    /// Whether it may still be working.
    fn is_at_work(&self, now: DateTime<Utc>) -> bool {
        if self.done {
            return false;
        }
        // On this machine the system knows who is gone.
        let here = Holder::this(now);
        if self.host == here.host && self.boot.is_some() && self.boot == here.boot {
            let is_there = std::path::Path::new(&format!("/proc/{}", self.pid)).exists();
            if self.pid == here.pid || !is_there {
                return false;
            }
        }
        // Another process may have got its number since: only one that goes on renewing is at work.
        let renewed = DateTime::parse_from_rfc3339(&self.renewed_at).map(|t| t.to_utc());
        renewed.is_ok_and(|at| Utc::now().signed_duration_since(at).to_std().unwrap_or_default() < FORGOTTEN)
    }
}

fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    // Processes of two containers do not see each other.
    let space = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", id.trim(), space.display()))
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn held(holder: &Holder) -> Error {
    Error::RaceLost(format!(
        "another start of this job is at work since {} on {}, process {}; it was not disturbed, nothing was done here; wait for it, \
         or, if it is gone for certain, run again in {} s",
        holder.started_at,
        holder.host,
        holder.pid,
        FORGOTTEN.as_secs()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::open(dir.path().to_str().unwrap()).unwrap();
        (dir, place)
    }

    fn file(dir: &tempfile::TempDir, number: u64) -> std::path::PathBuf {
        dir.path().join(format!("leases/job/{number}.json"))
    }

    fn change(dir: &tempfile::TempDir, number: u64, change: impl FnOnce(&mut Holder)) {
        let mut holder: Holder = serde_json::from_slice(&std::fs::read(file(dir, number)).unwrap()).unwrap();
        change(&mut holder);
        std::fs::write(file(dir, number), serde_json::to_vec(&holder).unwrap()).unwrap();
    }

    #[tokio::test]
    async fn a_lease_is_held_by_one_until_it_is_given_back() {
        let (dir, place) = place();
        let lease = Lease::take(&place, "job", Utc::now()).await.unwrap();
        // Another process that lives: the first one of the machine.
        change(&dir, 1, |holder| holder.pid = 1);
        let error = Lease::take(&place, "job", Utc::now()).await.err().unwrap();
        assert_eq!(error.exit_code(), 30);
        assert!(error.to_string().contains("process 1;"), "{error}");
        Lease::take(&place, "other job", Utc::now()).await.unwrap();
        lease.give_back().await;
        Lease::take(&place, "job", Utc::now()).await.unwrap();
        assert!(!file(&dir, 1).exists() && file(&dir, 2).exists());
    }

    #[tokio::test]
    async fn one_whose_process_is_gone_or_silent_or_that_is_no_lease_holds_nobody_up() {
        const LONG_AGO: &str = "2026-01-01T00:00:00.000Z";
        let spoils: [fn(&mut Holder); 3] = [
            |holder| holder.pid = 4_000_000,
            |holder| (holder.host, holder.renewed_at) = ("elsewhere".into(), LONG_AGO.into()),
            // Its number belongs to another process by now.
            |holder| (holder.pid, holder.renewed_at) = (1, LONG_AGO.into()),
        ];
        for spoil in spoils {
            let (dir, place) = place();
            Lease::take(&place, "job", Utc::now()).await.unwrap();
            change(&dir, 1, spoil);
            Lease::take(&place, "job", Utc::now()).await.unwrap();
        }
        let (dir, place) = place();
        Lease::take(&place, "job", Utc::now()).await.unwrap();
        std::fs::write(file(&dir, 1), "{").unwrap();
        Lease::take(&place, "job", Utc::now()).await.unwrap();
    }

    #[tokio::test]
    async fn one_on_another_machine_is_held_while_it_is_renewed() {
        let (dir, place) = place();
        let _lease = Lease::take(&place, "job", Utc::now()).await.unwrap();
        change(&dir, 1, |holder| holder.host = "elsewhere".into());
        assert_eq!(Lease::take(&place, "job", Utc::now()).await.err().unwrap().exit_code(), 30);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_eight_that_want_it_one_gets_it() {
        let (dir, place) = place();
        std::fs::create_dir_all(dir.path().join("leases/job")).unwrap();
        let wanting: Vec<_> = (0..8)
            .map(|_| {
                let place = place.clone();
                tokio::spawn(async move { Lease::take(&place, "job", Utc::now()).await.is_ok() })
            })
            .collect();
        let mut got = 0;
        for one in wanting {
            got += usize::from(one.await.unwrap());
        }
        // All are one process, which never stands in its own way; the number is what tells them apart.
        assert!(got >= 1);
        assert_eq!(std::fs::read_dir(dir.path().join("leases/job")).unwrap().count(), 1);
    }
}
