//! What a long statement is doing, on standard error, on a terminal only.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::physical_plan::ExecutionPlan;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::table::count;

/// How long a statement runs before anything is said.
const PATIENCE: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Progress {
    plan: Arc<dyn ExecutionPlan>,
    begun: Instant,
    bar: ProgressBar,
}

impl Progress {
    pub(super) fn of(plan: Arc<dyn ExecutionPlan>) -> Progress {
        let bar = ProgressBar::new_spinner();
        if !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        Progress { plan, begun: Instant::now(), bar }
    }

    /// Says how far the statement is.
    pub(super) fn tell(&self, rows: u64) {
        if self.begun.elapsed() < PATIENCE || self.bar.is_hidden() || self.bar.is_finished() {
            return;
        }
        self.bar.set_message(format!(
            "{} s  {} rows read  {} rows out  Ctrl-C cancels",
            self.begun.elapsed().as_secs(),
            count(rows_read(self.plan.as_ref())),
            count(rows)
        ));
        self.bar.tick();
    }

    /// Makes room for rows on the same terminal.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Rows that the leaves of a plan have given so far.
fn rows_read(plan: &dyn ExecutionPlan) -> u64 {
    let children = plan.children();
    if children.is_empty() {
        return plan.metrics().and_then(|metrics| metrics.output_rows()).unwrap_or(0) as u64;
    }
    children.into_iter().map(|child| rows_read(child.as_ref())).sum()
}
