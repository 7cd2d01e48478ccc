//! How many threads compute outside the plans of queries: training, comparing, searching.

use super::settings::Settings;

/// Bounds the pool that products of matrices and evaluations run on by what `--threads` says. Once a process, before any of
/// them: a pool that is there keeps its size.
pub(super) fn bound(settings: &Settings<'_>) {
    let threads = settings.in_force.iter().find(|setting| setting.name == "threads");
    if let Some(threads) = threads.and_then(|setting| setting.value.parse().ok()) {
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
    tracing::info!(threads = rayon::current_num_threads(), "computing");
}
