//! `harmonize sample`: synthetic shipment lines.

use std::time::Instant;

use clap::Args;

use super::bar::LineBar;
use crate::error::{Error, Result};
use crate::jobs::Progress;
use crate::lake::Place;
use crate::sample::{self, Spec};

#[derive(Args)]
#[command(after_help = "The lines are synthetic: made from the lexicon in samples/, not from declarations. \
                        The same --seed gives the same bytes.")]
pub struct SampleArgs {
    /// Where to write: an empty folder or s3://BUCKET/PREFIX
    #[arg(long, value_name = "URL")]
    output: String,
    /// Lines to write, such as 10000 or 100000000
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    rows: u64,
    /// Another seed gives other lines
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// Share of lines that repeat an earlier description exactly, 0 to 1
    #[arg(long, value_name = "RATIO", default_value_t = 0.18)]
    repeats: f64,
    /// Add the column hs6 with the true code
    #[arg(long)]
    labelled: bool,
    /// Draw goods from this many of the heaviest subheadings only
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// Lines a file, about
    #[arg(long, value_name = "N", default_value_t = 1_048_576)]
    rows_per_file: u64,
    /// Threads that work at once [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

pub async fn run(args: SampleArgs) -> Result<u8> {
    if !(0.0..=1.0).contains(&args.repeats) {
        return Err(Error::Usage(format!("--repeats {}: give a share from 0 to 1", args.repeats)));
    }
    let spec = Spec {
        rows: args.rows,
        seed: args.seed,
        repeat_ratio: args.repeats,
        labelled: args.labelled,
        classes: args.classes,
    };
    let place = Place::open(&args.output)?;
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let bar = LineBar::new();
    bar.expect(args.rows);
    let began = Instant::now();
    let written = sample::write(&spec, &place, args.rows_per_file, threads, |rows| bar.advance(rows)).await?;
    bar.finish();
    let secs = began.elapsed().as_secs_f64();
    println!(
        "{} synthetic lines in {} file(s), {:.1} MB, at {} ({:.1} s, {} lines/s)",
        super::table::count(written.rows),
        written.files,
        written.size_bytes as f64 / 1e6,
        place.url(),
        secs,
        super::table::count((written.rows as f64 / secs.max(1e-9)) as u64),
    );
    Ok(0)
}
