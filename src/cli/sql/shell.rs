//! The interactive shell: a line editor around the runner. An error ends its statement, never the shell.

use std::io::Write;
use std::path::PathBuf;

use futures::FutureExt;
use rustyline::config::{CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Behavior, Editor};

use super::complete::{Assistant, Vocabulary};
use super::meta;
use super::runner::Runner;
use super::script::Splitter;
use super::scripts::Flow;
use crate::cli::interrupt::Claim;
use crate::error::{Error, Result};

const PROMPT: &str = "harmonize> ";

/// Statements that are remembered.
const REMEMBERED: usize = 10_000;

/// Reads, runs and shows until the user leaves.
pub(super) async fn run(runner: &mut Runner) -> Result<()> {
    let mut claim = Claim::new()?;
    let history = history_file();
    let mut editor = editor(history.as_ref())?;
    // Pressed at the prompt, and nothing since.
    let mut pressed = false;
    loop {
        let vocabulary = Vocabulary::of(runner.session.context()).await?;
        editor.set_helper(Some(Assistant::new(vocabulary)));
        let input = match editor.readline(PROMPT) {
            Ok(input) => input,
            Err(ReadlineError::Interrupted) if pressed => break,
            Err(ReadlineError::Interrupted) => {
                eprintln!("(Ctrl-C once more, Ctrl-D or \\q leaves)");
                pressed = true;
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(e) => return Err(Error::Storage(format!("the terminal: {e}"))),
        };
        pressed = false;
        if input.trim().is_empty() {
            continue;
        }
        remember(&mut editor, history.as_ref(), &input);
        if answer(runner, &mut claim, &input).await == Flow::End {
            break;
        }
    }
    Ok(())
}

/// Runs what was entered, up to the first mistake.
async fn answer(runner: &mut Runner, claim: &mut Claim, input: &str) -> Flow {
    // A press that came too late for the statement before.
    let _ = claim.pressed().now_or_never();
    for piece in Splitter::all(input) {
        let done = async {
            // Each statement sees what the lake is now.
            runner.session.refresh().await?;
            meta::piece(runner, &piece, 0).await
        };
        let flow = tokio::select! {
            flow = done => flow,
            () = claim.pressed() => {
                runner.view.destination.take_back();
                eprintln!("\ncancelled");
                return Flow::Go;
            }
        };
        let _ = std::io::stdout().flush();
        match flow {
            Ok(Flow::Go) => {}
            Ok(Flow::End) => return Flow::End,
            Err(e) => {
                eprintln!("error: {e}");
                return Flow::Go;
            }
        }
    }
    Flow::Go
}

fn editor(history: Option<&PathBuf>) -> Result<Editor<Assistant, DefaultHistory>> {
    let broken = |e: ReadlineError| Error::Storage(format!("the terminal: {e}"));
    let config = Config::builder()
        .max_history_size(REMEMBERED)
        .map_err(broken)?
        // What begins with a space is not remembered.
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .behavior(Behavior::Stdio)
        .build();
    let mut editor = Editor::with_config(config).map_err(broken)?;
    if let Some(file) = history {
        // There is none the first time.
        let _ = editor.load_history(file);
    }
    Ok(editor)
}

fn remember(editor: &mut Editor<Assistant, DefaultHistory>, history: Option<&PathBuf>, input: &str) {
    let kept = editor.add_history_entry(input.trim_end()).unwrap_or(false);
    if let Some(file) = history.filter(|_| kept)
        && let Err(e) = editor.append_history(file)
    {
        tracing::warn!(file = %file.display(), "the history cannot be written: {e}");
    }
}

/// The file of earlier statements, in a folder that is the user's alone; `None` without a home.
fn history_file() -> Option<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    let folder = state.join("harmonize");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    Some(folder.join("sql_history"))
}
