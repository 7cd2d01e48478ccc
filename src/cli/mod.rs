//! The command line: one subcommand a file, its arguments and what it runs.
//!
//! Data goes to standard output, logs and progress to standard error. How a command ended is its exit code, decided
//! in one place.

mod backfill;
mod bar;
mod card;
mod check;
mod classify;
mod compare;
mod completions;
mod data;
mod decisions;
mod demo;
mod evaluate;
mod explain;
mod findings;
mod interrupt;
mod memory;
mod models;
mod predict;
mod reclassify;
mod replay;
mod review;
mod sample;
mod search;
mod serve;
mod settings;
mod sql;
mod table;
mod tariff;
mod threads;
mod train;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::error::{Error, Result};

const AFTER_HELP: &str = "\
Exit codes: 0 done, or already done · 2 usage · 10 done, but a stated limit was passed · 20 input or schema · 21 model or registry · \
22 credentials · 30 lost a race · 31 storage trouble, retry · 32 commit unknown, run it again · 40 memory or disk · \
70 a defect · 130/143 signals

Settings come from flags, then HARMONIZE_* variables, then --config job.toml, then defaults; `harmonize check` \
prints what is in force. S3 keys and endpoint come from the usual AWS_* variables.";

/// Classify goods into Harmonized System codes, at lake scale.
#[derive(Parser)]
#[command(name = "harmonize", version, max_term_width = 110, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Global {
    /// How logs are written to standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "HARMONIZE_LOG_FORMAT")]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, or a filter such as harmonize=debug
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        default_value = "warn,deltalake_core=off",
        env = "HARMONIZE_LOG"
    )]
    log: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Make sample lines, train on them, classify, and show the result, in an empty folder
    Demo(demo::DemoArgs),
    /// Write synthetic shipment lines as Parquet files
    Sample(sample::SampleArgs),
    /// Check labelled lines and report what is in them
    Data(data::DataArgs),
    /// Train a model on labelled lines and put it into a registry
    Train(train::TrainArgs),
    /// Train several recipes on the same lines and compare them with each other and with baselines
    Compare(compare::CompareArgs),
    /// Search for a better recipe
    Search(search::SearchArgs),
    /// Measure a model on labelled lines that it has not seen
    Evaluate(evaluate::EvaluateArgs),
    /// Print the model card of a version as a self-contained page
    Card(card::CardArgs),
    /// Classify shipment lines into a Delta table of the lake
    Classify(classify::ClassifyArgs),
    /// Find gaps of the past and fill them in
    Backfill(backfill::BackfillArgs),
    /// Bring the lines of a lake from one edition of the tariff to a later one
    Reclassify(reclassify::ReclassifyArgs),
    /// Score a past run again, compare it with the lake, and make packs for an auditor
    Replay(replay::ReplayArgs),
    /// Report what an auditor looks for first: equal goods with different codes, declarations that the codes contradict
    Findings(findings::FindingsArgs),
    /// The lines that wait for people, as files, and their decisions back
    Review(review::ReviewArgs),
    /// Classify texts given as arguments or on standard input
    Predict(predict::PredictArgs),
    /// Show which words of a text made its code
    Explain(explain::ExplainArgs),
    /// Versions of models: list, promote, roll back, verify, sign, exchange
    Models(models::ModelsArgs),
    /// Editions of the tariff: import, list, look up, compare, check
    Tariff(tariff::TariffArgs),
    /// Query a lake in SQL: one query, scripts, or a shell
    Sql(sql::SqlArgs),
    /// Serve the lake over PostgreSQL's wire protocol: queries with predictions from psql, drivers and dashboards
    Serve(Box<serve::ServeArgs>),
    /// Print the settings in force and test them, without writing anything that stays
    Check(check::CheckArgs),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
}

/// Parses, runs, and decides the exit code.
pub fn main() -> ExitCode {
    // A reader that has seen enough (`| head`) ends the program quietly, as it does others.
    let matches = Cli::command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(e) => e.exit(),
    };
    init_logs(&cli.global);
    let sub = matches.subcommand().map(|(_, m)| m.clone()).unwrap_or_default();
    match run(cli.command, &sub) {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::from(e.exit_code())
        }
    }
}

fn run(command: Command, matches: &ArgMatches) -> Result<u8> {
    if let Command::Completions(args) = command {
        return completions::run(&args, Cli::command());
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    // A server parses what anybody sends it, and ends by itself.
    let serves = matches!(command, Command::Serve(_));
    if serves {
        builder.thread_stack_size(32 << 20);
    }
    let runtime = builder.enable_all().build()?;
    // A task of its own: training and scoring keep theirs busy for minutes.
    if !serves {
        runtime.spawn(async {
            let interrupted = Error::Interrupted(interrupt::ended().await);
            eprintln!("{interrupted}");
            std::process::exit(i32::from(interrupted.exit_code()));
        });
    }
    let ended = runtime.block_on(dispatch(command, matches));
    // Tasks of a run that failed must not keep the process alive.
    runtime.shutdown_background();
    ended
}

async fn dispatch(command: Command, matches: &ArgMatches) -> Result<u8> {
    match command {
        Command::Demo(args) => demo::run(args).await,
        Command::Sample(args) => sample::run(args).await,
        Command::Data(args) => data::run(args, matches).await,
        Command::Train(args) => train::run(args, matches).await,
        Command::Compare(args) => compare::run(args, matches).await,
        Command::Search(args) => search::run(args, matches).await,
        Command::Evaluate(args) => evaluate::run(args, matches).await,
        Command::Card(args) => card::run(args, matches).await,
        Command::Classify(args) => classify::run(args, matches).await,
        Command::Backfill(args) => backfill::run(args, matches).await,
        Command::Reclassify(args) => reclassify::run(args, matches).await,
        Command::Replay(args) => replay::run(args, matches).await,
        Command::Findings(args) => findings::run(args, matches).await,
        Command::Review(args) => review::run(args, matches).await,
        Command::Predict(args) => predict::run(args, matches).await,
        Command::Explain(args) => explain::run(args, matches).await,
        Command::Models(args) => models::run(args, matches).await,
        Command::Tariff(args) => tariff::run(args, matches).await,
        Command::Sql(args) => sql::run(args, matches).await,
        Command::Serve(args) => serve::run(*args, matches).await,
        Command::Check(args) => check::run(args, matches).await,
        Command::Completions(_) => Ok(0),
    }
}

fn init_logs(global: &Global) {
    let filter = tracing_subscriber::EnvFilter::try_new(&global.log)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match global.log_format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
