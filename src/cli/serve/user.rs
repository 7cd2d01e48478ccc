//! `harmonize serve user`: who may connect to a server.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::{Args, Subcommand};

use crate::cli::table::{Column, Format, rows};
use crate::error::{Error, Result};
use crate::serve::{Role, Users};

#[derive(Args)]
pub struct UserArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Add a user, or give one another password and role; the password is asked for, or read from standard input
    Add {
        /// Name to connect with
        name: String,
        /// reader: queries; analyst: and predictions; operator: and the largest limits
        #[arg(long, value_name = "ROLE")]
        role: Role,
        #[command(flatten)]
        file: FileArgs,
    },
    /// Names and roles
    List {
        #[command(flatten)]
        file: FileArgs,
        /// How rows are printed
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Remove a user, whose connections end with their next statement
    Remove {
        /// Name to connect with
        name: String,
        #[command(flatten)]
        file: FileArgs,
    },
}

#[derive(Args)]
struct FileArgs {
    /// File of users; made if it is not there
    #[arg(long, value_name = "FILE", env = "HARMONIZE_USERS", default_value = "users.toml")]
    users: PathBuf,
}

pub fn run(args: UserArgs) -> Result<u8> {
    match args.what {
        What::Add { name, role, file } => {
            let mut users = match file.users.exists() {
                true => Users::read(&file.users)?,
                false => Users::new()?,
            };
            users.set(&name, role, &password(&name)?)?;
            users.write(&file.users)?;
            eprintln!("{name} is {role} in {}", file.users.display());
        }
        What::List { file, format } => {
            let users = Users::read(&file.users)?;
            let column =
                |of: fn((&str, Role)) -> String| Column::Text(users.list().map(|user| Some(of(user))).collect());
            let columns =
                vec![("name", column(|(name, _)| name.into())), ("role", column(|(_, role)| role.to_string()))];
            rows(columns, format)?;
        }
        What::Remove { name, file } => {
            let mut users = Users::read(&file.users)?;
            if !users.remove(&name) {
                return Err(Error::Usage(format!("{name} is not in {}", file.users.display())));
            }
            users.write(&file.users)?;
            eprintln!("{name} is removed from {}", file.users.display());
        }
    }
    Ok(0)
}

/// The first line of standard input, or what a person types twice without seeing it.
fn password(name: &str) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        return line();
    }
    let shown = Shown::hide();
    let (first, second) = (ask(&format!("Password for {name}: "))?, ask("Once more: ")?);
    drop(shown);
    match first == second {
        true => Ok(first),
        false => Err(Error::Usage("the two passwords differ".into())),
    }
}

fn ask(prompt: &str) -> Result<String> {
    eprint!("{prompt}");
    std::io::stderr().flush()?;
    let typed = line();
    eprintln!();
    typed
}

fn line() -> Result<String> {
    let mut text = String::new();
    std::io::stdin().read_line(&mut text)?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Shows what is typed again when it is dropped.
struct Shown;

impl Shown {
    fn hide() -> Shown {
        stty("-echo");
        Shown
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        stty("echo");
    }
}

fn stty(how: &str) {
    let _ = Command::new("stty").arg(how).stdin(Stdio::inherit()).stderr(Stdio::null()).status();
}
