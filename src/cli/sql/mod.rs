//! `harmonize sql`: one query, scripts, or a shell over a lake.
//!
//! Read-only unless `--allow-write`; what a statement may do is decided by `sql::Guard`. Rows go to standard output or `--out`,
//! everything else to standard error.

mod complete;
mod describe;
mod form;
mod grid;
mod meta;
mod params;
mod progress;
mod runner;
mod script;
mod scripts;
mod shell;
mod sink;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{ArgMatches, Args};
use datafusion::prelude::{Expr, SessionContext, ident};

use self::form::Form;
use self::params::Params;
use self::runner::{Runner, View};
use self::scripts::Flow;
use self::sink::Destination;
use super::settings::{PlaceArgs, Settings, TrustArgs};
use crate::error::Result;
use crate::lake::{InputTable, Source, SourceOptions};
use crate::sql::{Class, Guard, LakeOptions, LakeSession, text_of};

const AFTER_HELP: &str = "\
Without a query: a shell on a terminal (\\? lists its commands), else the statements of standard input. -c and -f run in the \
order in which they are given; the first mistake ends them.

The lake's tables and views are there from the start; -c '\\d' lists them, -c '\\df' the functions, -c '\\queries' the named queries.

Examples:

  harmonize sql --lake s3://lake
  harmonize sql --lake lake \"SELECT decision, count(*) FROM current_predictions GROUP BY 1\"
  harmonize sql --lake lake --param hs6=610910 'SELECT count(*) FROM current_predictions WHERE hs6 = $hs6'
  harmonize sql --lake lake --query coverage_by_chapter --format csv --out coverage.csv
  harmonize sql --lake lake -f monthly.sql --param month=2026-03-01
  harmonize sql --lake lake --model hs@champion --allow-write \\
    -c \"CREATE EXTERNAL TABLE march STORED AS PARQUET LOCATION 's3://lines/2026-03/'\" \\
    -c \"COPY (SELECT line_id, hs_predict(description) AS p FROM march) TO 's3://out/march.parquet'\"

docs/shell.md tells the whole.";

#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct SqlArgs {
    /// One statement
    #[arg(value_name = "QUERY", conflicts_with_all = ["command", "file", "named"])]
    query: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Model of calls such as hs_predict(text) that name none: hs@7, hs@champion; without it each call names its own
    #[arg(long, value_name = "MODEL", env = "HARMONIZE_MODEL")]
    model: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
    /// Run these statements; may be given often
    #[arg(short = 'c', long = "command", value_name = "SQL")]
    command: Vec<String>,
    /// Run the statements of a file, - for standard input; may be given often
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Vec<String>,
    /// Run a named query; \queries in the shell lists them
    #[arg(long = "query", value_name = "NAME", conflicts_with_all = ["command", "file"])]
    named: Option<String>,
    /// A value for $NAME in statements, or for a parameter of --query; its type is that which the statement needs
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// Parquet files or folders to query as the table lines
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    input: Option<Vec<String>>,
    /// Description column of --input
    #[arg(long, value_name = "COLUMN", default_value = "description")]
    text: String,
    /// How rows are written
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
    /// Write rows to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Say on standard error how long each statement took
    #[arg(long)]
    timing: bool,
    /// Allow COPY … TO, CREATE TABLE and INSERT; the lake's own tables are never written by SQL
    #[arg(long, conflicts_with = "safe")]
    allow_write: bool,
    /// No files and no URLs beyond the lake and --input; nothing in the session undoes it
    #[arg(long, conflicts_with = "out")]
    safe: bool,
}

/// What is to be run.
enum Job {
    One(String),
    Named(String),
    Scripts(Vec<Script>),
    Shell,
}

enum Script {
    Text(String),
    File(String),
}

pub async fn run(args: SqlArgs, matches: &ArgMatches) -> Result<u8> {
    let job = job(&args, matches);
    let params = Params::parse(&args.param)?;
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let mut runner = open(&args, &mut settings, params).await?;
    if let Job::Shell = job {
        runner.view.talkative = true;
        shell::run(&mut runner).await?;
        runner.view.destination.close()?;
    } else {
        match script(&mut runner, job).await {
            Ok(()) => runner.view.destination.close()?,
            Err(e) => {
                runner.view.destination.abandon();
                return Err(e);
            }
        }
        for name in runner.params.unused() {
            eprintln!("--param {name} was asked for by no statement");
        }
    }
    // The process ends here: giving back a model piece by piece would take longer than a short query.
    std::mem::forget(runner.session);
    Ok(0)
}

fn job(args: &SqlArgs, matches: &ArgMatches) -> Job {
    if let Some(query) = &args.query {
        return Job::One(query.clone());
    }
    if let Some(name) = &args.named {
        return Job::Named(name.clone());
    }
    let places = |id: &str| matches.indices_of(id).into_iter().flatten().collect::<Vec<_>>();
    let texts = places("command").into_iter().zip(args.command.iter().map(|text| Script::Text(text.clone())));
    let files = places("file").into_iter().zip(args.file.iter().map(|file| Script::File(file.clone())));
    let mut scripts: Vec<(usize, Script)> = texts.chain(files).collect();
    if scripts.is_empty() {
        return match std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
            true => Job::Shell,
            false => Job::Scripts(vec![Script::File("-".into())]),
        };
    }
    scripts.sort_by_key(|(at, _)| *at);
    Job::Scripts(scripts.into_iter().map(|(_, script)| script).collect())
}

async fn script(runner: &mut Runner, job: Job) -> Result<()> {
    match job {
        Job::One(query) => runner.statement(&query).await.map(drop),
        Job::Named(name) => {
            let given = std::mem::take(&mut runner.params);
            runner.named(&name, given.all()).await.map(drop)
        }
        Job::Scripts(scripts) => {
            for script in scripts {
                let flow = match script {
                    Script::Text(text) => scripts::argument(runner, &text).await?,
                    Script::File(file) => scripts::file(runner, &file, 0).await?,
                };
                if flow == Flow::End {
                    break;
                }
            }
            Ok(())
        }
        Job::Shell => Ok(()),
    }
}

/// Opens the lake, and what the flags add to it.
async fn open(args: &SqlArgs, settings: &mut Settings<'_>, params: Params) -> Result<Runner> {
    let lake = settings.lake(&args.place)?;
    let limits = settings.limits(&args.place)?;
    let registry = settings.trusted_registry(&args.place, &args.trust)?;
    let model = args.model.as_ref().map(|model| model.parse()).transpose()?;
    let class = if args.allow_write { Class::Write } else { Class::SessionObjects };
    let protected = vec![lake.clone(), registry.place().clone()];
    let guard = Guard::new(class).safe(args.safe).protecting(protected).threads_at_most(limits.threads);
    let url = lake.url().clone();
    let session = LakeSession::open(LakeOptions { lake, registry: Some(registry), model, limits }).await?;
    if session.tables() == 0 && args.input.is_none() {
        eprintln!("{url} holds no tables yet: those of the views are empty");
    }
    if let Some(inputs) = &args.input {
        register_lines(session.context(), inputs, &args.text).await?;
    }
    let destination = match &args.out {
        Some(file) => Destination::whole_file(file)?,
        None => Destination::Stdout,
    };
    let view = View { form: args.format, destination, expanded: false, timing: args.timing, talkative: false };
    Ok(Runner { session, guard, params, view })
}

/// The files of `--input` as the table `lines`.
async fn register_lines(context: &SessionContext, inputs: &[String], text: &str) -> Result<()> {
    let options = SourceOptions { text: text.to_string(), quarantine: false };
    let source = Source::pin(inputs, options).await?;
    let text = source.text().to_string();
    let raw = context.read_table(Arc::new(InputTable::new(source)))?;
    // The description was read as bytes; a person wants text.
    let columns: Vec<Expr> =
        raw.schema()
            .fields()
            .iter()
            .map(|f| {
                if *f.name() == text { text_of().call(vec![ident(f.name())]).alias(f.name()) } else { ident(f.name()) }
            })
            .collect();
    context.register_table("lines", raw.select(columns)?.into_view())?;
    Ok(())
}
