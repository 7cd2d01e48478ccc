//! A Delta table as it was at an earlier time.
//!
//! A version counts from the time at which the store received its log entry, to the millisecond, as other readers of Delta
//! tables have it. Refuses: a time before the first version that the log holds.

use chrono::{DateTime, SecondsFormat, Utc};

use super::Place;
use super::delta::{Table, handle};
use crate::error::{Context, Error, Result};

const LOG: &str = "_delta_log";

impl Table {
    /// Opens the table at `place` at the newest version that was there at a time; `None` when there is no table.
    ///
    /// # Errors
    /// `Usage` when the log holds no version that is as old.
    pub async fn as_of(place: &Place, at: DateTime<Utc>) -> Result<Option<Table>> {
        let versions = versions(place).await?;
        let Some((_, first)) = versions.iter().min_by_key(|(version, _)| *version) else { return Ok(None) };
        let then = versions.iter().filter(|(_, time)| time.timestamp_millis() <= at.timestamp_millis());
        let Some((version, _)) = then.max_by_key(|(version, _)| *version) else {
            let shown = |time: &DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
            return Err(Error::Usage(format!(
                "the table {} begins at {}; there was nothing of it at {}",
                place.url(),
                shown(first),
                shown(&at)
            )));
        };
        let mut inner = handle(place)?;
        inner.load_version(*version).await.context(|| format!("cannot open version {version} of {}", place.url()))?;
        Ok(Some(Table::at(place, inner)))
    }
}

/// The versions whose entries the log holds, with their times.
async fn versions(place: &Place) -> Result<Vec<(u64, DateTime<Utc>)>> {
    let log = place.path(LOG);
    let versions = place.objects(LOG).await?.into_iter().filter_map(|entry| {
        let mut below = entry.location.prefix_match(&log)?;
        let name = below.next()?.as_ref().strip_suffix(".json")?.to_string();
        let number = (name.len() == 20 && below.next().is_none()).then(|| name.parse().ok())??;
        Some((number, entry.last_modified))
    });
    Ok(versions.collect())
}
