//! Commands of the shell and of scripts: what begins with `\`.
//!
//! None of them gives a session more than it began with.

use std::path::Path;

use arrow::array::RecordBatch;
use clap::ValueEnum;

use super::describe;
use super::form::Form;
use super::params::pair;
use super::runner::{Runner, Went};
use super::script::Piece;
use super::scripts::{self, Flow};
use super::sink::Destination;
use crate::error::{Error, Result};

/// Name, arguments and meaning of every command.
pub(super) const COMMANDS: [(&str, &str, &str); 12] = [
    ("\\?", "", "this list"),
    ("\\d", "[TABLE]", "tables and views, or the columns of one"),
    ("\\df", "[PART]", "the program's functions, or all whose names have PART"),
    ("\\queries", "[NAME]", "named queries, or the parameters and columns of one"),
    ("\\run", "NAME [PARAM=VALUE …]", "run a named query"),
    ("\\param", "[NAME=VALUE]", "the values of $NAME in later statements, or one more"),
    ("\\format", "[FORM]", "how rows are written: table, csv, json, ndjson or parquet"),
    ("\\o", "[FILE]", "write rows to FILE, or to the terminal again"),
    ("\\x", "[on|off]", "tables with one field a line"),
    ("\\timing", "[on|off]", "say how long statements take"),
    ("\\i", "FILE", "run a script"),
    ("\\q", "", "leave; so does Ctrl-D"),
];

/// Scripts that call scripts, at most this deep.
const DEPTH: usize = 8;

/// Runs one command.
pub(super) async fn run(runner: &mut Runner, line: &str, depth: usize) -> Result<Flow> {
    let words = words(line)?;
    let (command, given) = match words.split_first() {
        Some((command, given)) => (command.as_str(), given.iter().map(String::as_str).collect::<Vec<_>>()),
        None => return Ok(Flow::Go),
    };
    match (command, &given[..]) {
        ("\\q", []) => return Ok(Flow::End),
        ("\\?", []) => show(runner, help()?)?,
        ("\\d", []) => show(runner, describe::list_tables(runner.session.context()).await?)?,
        ("\\d", [table]) => show(runner, describe::columns(runner.session.context(), table).await?)?,
        ("\\df", []) => show(runner, describe::list_functions(runner.session.context(), None)?)?,
        ("\\df", [part]) => show(runner, describe::list_functions(runner.session.context(), Some(part))?)?,
        ("\\queries", []) => show(runner, describe::list_queries()?)?,
        ("\\queries", [name]) => show(runner, describe::query(name)?)?,
        ("\\run", [name, given @ ..]) => {
            let given = given.iter().map(|text| pair(text)).collect::<Result<Vec<_>>>()?;
            return Ok(Flow::after(runner.named(name, &given).await?));
        }
        ("\\param", []) => {
            for (name, value) in runner.params.all() {
                eprintln!("{name}={value}");
            }
        }
        ("\\param", [text]) => {
            let (name, value) = pair(text)?;
            runner.params.set(name, value);
        }
        ("\\format", []) => eprintln!("{}", runner.view.form.name()),
        ("\\format", [name]) => runner.view.form = form(name)?,
        ("\\o", given) => output(runner, given)?,
        ("\\x", given) => runner.view.expanded = switch(given, runner.view.expanded)?,
        ("\\timing", given) => runner.view.timing = switch(given, runner.view.timing)?,
        ("\\i", [file]) => return script(runner, file, depth).await,
        _ => return Err(unknown(command)),
    }
    Ok(Flow::Go)
}

fn unknown(command: &str) -> Error {
    match COMMANDS.iter().find(|(name, ..)| *name == command) {
        Some((name, arguments, _)) => Error::Usage(format!("write {name} {arguments}")),
        None => Error::Usage(format!("there is no command {command}; \\? lists those that there are")),
    }
}

fn help() -> Result<RecordBatch> {
    let rows = COMMANDS
        .iter()
        .map(|(name, arguments, about)| [format!("{name} {arguments}").trim_end().to_string(), (*about).to_string()]);
    describe::of_text(["command", "what it does"], rows.collect())
}

/// Writes rows of the shell's own as those of a statement, but never as Parquet.
fn show(runner: &mut Runner, batch: RecordBatch) -> Result<()> {
    let form = if runner.view.form == Form::Parquet { Form::Table } else { runner.view.form };
    let sink = runner.view.destination.sink()?;
    let fate = sink.fate();
    let mut rows = form.rows(&batch.schema(), sink, runner.view.expanded)?;
    rows.write(&batch).and_then(|()| rows.finish(&batch.schema())).map_err(|e| fate.explain(e))?;
    runner.view.destination.keep()
}

fn form(name: &str) -> Result<Form> {
    let refused = |_| Error::Usage(format!("\\format {name}: the forms are {}", Form::names().join(", ")));
    Form::from_str(name, true).map_err(refused)
}

fn output(runner: &mut Runner, given: &[&str]) -> Result<()> {
    let next = match given {
        [] => Destination::Stdout,
        [_] if runner.guard.is_safe() => return Err(refused_in_safe("\\o")),
        [file] => Destination::file(Path::new(file))?,
        _ => return Err(unknown("\\o")),
    };
    std::mem::replace(&mut runner.view.destination, next).close()
}

async fn script(runner: &mut Runner, file: &str, depth: usize) -> Result<Flow> {
    if runner.guard.is_safe() {
        return Err(refused_in_safe("\\i"));
    }
    if depth >= DEPTH {
        return Err(Error::Usage(format!("\\i {file}: scripts call each other {DEPTH} deep")));
    }
    Box::pin(scripts::file(runner, file, depth + 1)).await
}

fn refused_in_safe(command: &str) -> Error {
    Error::Usage(format!("{command} is not allowed: --safe keeps files out of reach"))
}

fn switch(given: &[&str], now: bool) -> Result<bool> {
    match given {
        [] => Ok(!now),
        ["on"] => Ok(true),
        ["off"] => Ok(false),
        _ => Err(Error::Usage("say on or off, or nothing to change it".into())),
    }
}

/// Words of a command; quotes keep spaces together, and a doubled quote is one.
pub(super) fn words(line: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => match chars.next_if_eq(&open) {
                Some(_) => word.get_or_insert_default().push(c),
                None => quote = None,
            },
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(Error::Usage("a quote is open at the end of the line".into()));
    }
    words.extend(word);
    // A habit from SQL.
    if let Some(last) = words.last_mut()
        && last.len() > 1
        && last.ends_with(';')
    {
        last.pop();
    }
    Ok(words)
}

/// Runs a piece of a script.
pub(super) async fn piece(runner: &mut Runner, piece: &Piece, depth: usize) -> Result<Flow> {
    match piece {
        Piece::Statement(text) => Ok(Flow::after(runner.statement(&text.text).await?)),
        Piece::Command(text) => run(runner, &text.text, depth).await,
    }
}

impl Flow {
    fn after(went: Went) -> Flow {
        match went {
            Went::Well => Flow::Go,
            Went::Unread => Flow::End,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_command_may_be_quoted() {
        assert_eq!(words("\\run x 'a b=c d' \"e\"f ''").unwrap(), ["\\run", "x", "a b=c d", "ef", ""]);
        assert_eq!(words("\\run x a='it''s';").unwrap(), ["\\run", "x", "a=it's"]);
        assert!(words("\\o 'x").is_err() && words("  ").unwrap().is_empty());
    }
}
