//! A progress bar on standard error, on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};

use crate::jobs::{Progress, Stage};

/// A bar that counts lines.
pub struct LineBar {
    bar: ProgressBar,
}

impl LineBar {
    /// Hidden when standard error is not a terminal.
    pub fn new() -> Self {
        let bar = ProgressBar::new(0);
        bar.set_style(style("{msg:10} {bar:32} {human_pos}/{human_len} lines  {per_sec}  {eta} left"));
        LineBar { bar }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for LineBar {
    fn stage(&self, stage: Stage) {
        self.bar.set_message(stage.as_str());
    }

    fn expect(&self, lines: u64) {
        self.bar.set_length(lines);
    }

    fn advance(&self, lines: u64) {
        self.bar.inc(lines);
    }
}

/// A bar for training: `pos` of `len` steps.
pub fn training_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    bar.set_style(style("{bar:32} {percent:>3}%  {msg}  {eta} left"));
    bar
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
