//! Commands and programs of the manuals, as they stand there.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::lab::{folder, harmonize};
use crate::support::served::{LINES, SECRET, Served, lake};
use crate::support::servers;

/// The blocks of a document in a language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
    let fence = format!("```{language}");
    let mut lines = text.lines();
    let mut found = Vec::new();
    while lines.any(|line| line.trim() == fence) {
        found.push(lines.by_ref().take_while(|line| line.trim() != "```").collect::<Vec<_>>().join("\n"));
    }
    found
}

/// Every command of `docs/shell.md` runs, over a lake on disk in place of `s3://lake`.
#[test]
fn the_commands_of_the_shells_manual_run() {
    let dir = folder();
    std::os::unix::fs::symlink(lake(), dir.path().join("lake")).unwrap();
    let monthly = "SELECT count(*) AS n FROM predictions WHERE run_date >= $month;\n";
    std::fs::write(dir.path().join("monthly.sql"), monthly).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_harmonize"));
    let blocks = blocks("docs/shell.md", "sh");
    assert_eq!(blocks.len(), 2);
    let mut ran = 0;
    for block in blocks {
        let script = block.replace("\\\n", " ").replace("s3://lake", "lake");
        for command in script.lines() {
            // The program's own environment, without settings from the outside.
            let clean = harmonize(&[]);
            let mut bash = Command::new("bash");
            for (name, value) in clean.get_envs() {
                match value {
                    Some(value) => bash.env(name, value),
                    None => bash.env_remove(name),
                };
            }
            let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
            let run = bash.args(["-ec", command]).env("PATH", path).current_dir(dir.path()).stdin(Stdio::null());
            let ended = run.output().unwrap();
            assert!(ended.status.success(), "{command}\n{}", String::from_utf8_lossy(&ended.stderr));
            ran += 1;
        }
    }
    assert_eq!(ran, 7);
    let coverage = std::fs::read_to_string(dir.path().join("coverage.csv")).unwrap();
    assert!(coverage.lines().count() > 1, "{coverage}");
}

/// The Python programs of `docs/serve.md`, which find the server where libpq's variables say.
#[test]
fn the_programs_of_the_servers_manual_run() {
    let served = Served::start(&[]);
    let blocks = blocks("docs/serve.md", "python");
    assert_eq!(blocks.len(), 2);
    for (block, show) in blocks.iter().zip(["", "\nprint(table.num_rows, sum(table['lines'].to_pylist()))"]) {
        let ended = Command::new(servers::interpreter())
            .args(["-c", &format!("{block}{show}")])
            .env("PGPORT", served.port.to_string())
            .env("PGPASSWORD", format!("ana{SECRET}"))
            .env("PGSSLMODE", "disable")
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert!(ended.status.success(), "{block}\n{err}");
        match show {
            "" => assert_eq!(out.lines().count(), 3, "{out}"),
            _ => assert!(out.trim().ends_with(&format!(" {LINES}")), "{out}"),
        }
    }
}
