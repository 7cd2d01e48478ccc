use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};

use crate::support::lab::{classify_args, folder, harmonize, ok_with, path, read, run_with, write_parquet};
use crate::support::servers::{S3, python};

const STAGES: [&str; 6] = ["planned", "scoring", "written", "proved", "committed", "recorded"];

/// Starts a classification, waits until it is held at a stage, and kills it.
fn kill_at(stage: &str, input: &str, lake: &str, env: &[(String, String)]) {
    let mut child = harmonize(&classify_args(input, lake))
        .envs(env.iter().cloned())
        .env("HARMONIZE_HOLD_AT", stage)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let held = format!("held at {stage}");
    assert!(said.any(|line| line == held), "never reached {stage}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Rows of `predictions` as an independent reader sees them; `None` when there is no table yet.
fn rows(lake: &str, env: &[(String, String)]) -> Option<i64> {
    let url = format!("{lake}/predictions");
    let exists = if lake.starts_with("s3://") {
        !python("s3_list.py", &[&format!("{url}/_delta_log/")], env).as_array().unwrap().is_empty()
    } else {
        std::path::Path::new(&url).join("_delta_log").exists()
    };
    exists.then(|| python("read_delta.py", &[&url, "--engine", "duckdb", "--no-data"], env)["rows"].as_i64().unwrap())
}

fn lines(dir: &std::path::Path) -> String {
    let texts: StringArray = (0..3000).map(|i| Some(format!("steel bolts lot {i}"))).collect();
    let text: ArrayRef = Arc::new(texts);
    for file in ["a.parquet", "b.parquet"] {
        write_parquet(
            &dir.join("in").join(file),
            vec![("line_id", Arc::clone(&text)), ("description", Arc::clone(&text))],
        );
    }
    path(dir, "in")
}

/// Killed at every stage in turn, each time in a lake of its own: readers see all or nothing, the next start ends in
/// one set of rows, and the one after says that it is done.
fn survives_every_kill(input: &str, lake_of: impl Fn(&str) -> String, env: &[(String, String)]) {
    for stage in STAGES {
        let lake = lake_of(stage);
        kill_at(stage, input, &lake, env);
        let seen = rows(&lake, env).unwrap_or(0);
        let after = matches!(stage, "committed" | "recorded");
        assert_eq!(seen, if after { 6000 } else { 0 }, "killed at {stage}");
        let out = ok_with(&classify_args(input, &lake), env);
        assert_eq!(out.contains("already done"), after, "{stage}: {out}");
        assert_eq!(rows(&lake, env), Some(6000), "started again after {stage}");
        let out = ok_with(&classify_args(input, &lake), env);
        assert!(out.contains("already done"), "{stage}: {out}");
        assert_eq!(rows(&lake, env), Some(6000));
        let runs = python("read_delta.py", &[&format!("{lake}/runs"), "--engine", "duckdb", "--no-data"], env);
        assert_eq!(runs["rows"], 1, "{stage}: one record of one run");
    }
}

#[test]
fn killed_at_every_stage_on_disk() {
    let dir = folder();
    let input = lines(dir.path());
    survives_every_kill(&input, |stage| path(dir.path(), &format!("lake-{stage}")), &[]);
}

#[test]
fn killed_at_every_stage_on_s3() {
    let dir = folder();
    let input = lines(dir.path());
    let s3 = S3::moto();
    survives_every_kill(&input, |stage| s3.url(&format!("lake-{stage}")), &s3.env());
}

#[test]
fn killed_at_every_stage_on_ceph() {
    let Some(s3) = S3::ceph() else { return };
    let dir = folder();
    let input = lines(dir.path());
    survives_every_kill(&input, |stage| s3.url(&format!("lake-{stage}")), &s3.env());
}

/// Killed at moments that no stage names, while data files are being written.
#[test]
fn killed_at_any_moment_on_disk() {
    let dir = folder();
    let input = lines(dir.path());
    let lake = path(dir.path(), "lake");
    for millis in [5, 20, 40, 60, 80, 100, 140, 200] {
        let mut child = harmonize(&classify_args(&input, &lake)).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(millis));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!([None, Some(0), Some(6000)].contains(&rows(&lake, &[])), "after {millis} ms");
    }
    ok_with(&classify_args(&input, &lake), &[]);
    assert_eq!(rows(&lake, &[]), Some(6000));
}

/// Different runs that commit at once: both are in the table, or one ends with 30 and adds nothing.
fn race(lake: &str, inputs: &[String], env: &[(String, String)]) -> i64 {
    let children: Vec<_> = inputs
        .iter()
        .map(|input| {
            harmonize(&classify_args(input, lake))
                .envs(env.iter().cloned())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut done = 0;
    for child in children {
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        match ended.status.code() {
            Some(0) => done += 1,
            Some(30) => {}
            other => panic!("{other:?}: {said}"),
        }
    }
    done
}

fn four_inputs(dir: &std::path::Path) -> Vec<String> {
    (0..4)
        .map(|i| {
            let texts: StringArray = (0..500).map(|row| Some(format!("cotton shirts {i} {row}"))).collect();
            let text: ArrayRef = Arc::new(texts);
            let file = dir.join(format!("in-{i}/lines.parquet"));
            write_parquet(&file, vec![("line_id", Arc::clone(&text)), ("description", text)]);
            file.to_str().unwrap().to_string()
        })
        .collect()
}

#[test]
fn different_runs_at_once_are_all_there_or_told_that_they_lost() {
    let dir = folder();
    let inputs = four_inputs(dir.path());
    let lake = path(dir.path(), "lake");
    let done = race(&lake, &inputs, &[]);
    assert!(done >= 1);
    assert_eq!(rows(&lake, &[]), Some(500 * done));
    if let Some(s3) = S3::ceph() {
        let lake = s3.url("lake");
        let done = race(&lake, &inputs, &s3.env());
        assert!(done >= 1);
        assert_eq!(rows(&lake, &s3.env()), Some(500 * done));
    }
}

#[test]
fn the_same_run_four_times_at_once_is_there_once() {
    let dir = folder();
    let one = four_inputs(dir.path()).remove(0);
    let inputs = vec![one.clone(), one.clone(), one.clone(), one];
    let lake = path(dir.path(), "lake");
    race(&lake, &inputs, &[]);
    assert_eq!(rows(&lake, &[]), Some(500));
    assert_eq!(read(&lake, "runs", "SELECT count(*) AS n FROM t")[0]["n"], 1);
    if let Some(s3) = S3::ceph() {
        let lake = s3.url("lake");
        race(&lake, &inputs, &s3.env());
        assert_eq!(rows(&lake, &s3.env()), Some(500));
    }
}

#[test]
fn an_interrupted_run_says_so_with_the_exit_code_of_its_signal() {
    let dir = folder();
    let input = lines(dir.path());
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let lake = path(dir.path(), &format!("lake{signal}"));
        let mut child = harmonize(&classify_args(&input, &lake))
            .env("HARMONIZE_HOLD_AT", "scoring")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert_eq!(said.next().unwrap(), "held at scoring");
        std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        assert!(said.any(|l| l.contains("whole or not at all")));
        assert_eq!(rows(&lake, &[]).unwrap_or(0), 0);
    }
    let _ = run_with(&["--version"], &[]);
}
