use crate::support::lab::{classify_args, folder, harmonize, lab, ok, ok_with, path, run_with, write_lines};
use crate::support::servers::{S3, python};

/// Lines, lake and registry on S3; written, read back by others, and done again.
fn the_job(s3: &S3) {
    let env = s3.env();
    let (lines, labelled, lake, registry) = (s3.url("lines"), s3.url("labelled"), s3.url("lake"), s3.url("models"));
    ok_with(&["sample", "--output", &lines, "--rows", "5000", "--seed", "3"], &env);
    ok_with(&["sample", "--output", &labelled, "--rows", "8000", "--labelled", "--classes", "40"], &env);
    ok_with(
        &[
            "train",
            "--input",
            &labelled,
            "--label",
            "hs6",
            "--registry",
            &registry,
            "--recipe",
            &lab().recipe,
            "--target-precision",
            "0.8",
        ],
        &env,
    );
    let args =
        ["classify", "--input", &lines, "--id", "line_id", "--lake", &lake, "--registry", &registry, "--model", "hs@1"];
    assert!(ok_with(&args, &env).contains("5,000"));
    for engine in ["duckdb", "deltalake"] {
        let table = python("read_delta.py", &[&format!("{lake}/predictions"), "--engine", engine, "--no-data"], &env);
        assert_eq!(table["rows"], 5000, "{engine}");
    }
    assert!(ok_with(&args, &env).contains("already done"));
    let check =
        ok_with(&["check", "--input", &lines, "--id", "line_id", "--lake", &lake, "--registry", &registry], &env);
    assert_eq!(check.matches("  ok   ").count(), 5, "{check}");
    assert!(check.contains("keys     from AWS_ACCESS_KEY_ID"), "{check}");
    assert!(check.contains("takes conditional PUT") && !check.contains("testtest"), "{check}");
    // The bucket itself as input, and a lake at its root.
    let (root, bare) = (s3.sibling().url(""), s3.sibling().url(""));
    ok_with(&["sample", "--output", &root, "--rows", "300", "--seed", "3"], &env);
    let whole = ["classify", "--input", &root, "--lake", &bare, "--registry", &registry];
    assert!(ok_with(&whole, &env).contains("300"));
    let keys = python("s3_list.py", &[&lake], &env).to_string();
    assert!(!keys.contains("harmonize_check"), "check leaves nothing: {keys}");
}

#[test]
fn the_job_on_moto() {
    the_job(&S3::moto());
}

#[test]
fn the_job_on_ceph() {
    if let Some(s3) = S3::ceph() {
        the_job(&s3);
    }
}

/// The same lines from disk and from S3 give the same predictions.
#[test]
fn predictions_do_not_depend_on_where_the_lines_are() {
    let s3 = S3::moto();
    let dir = folder();
    let (here, there) = (path(dir.path(), "lines"), s3.url("lines"));
    ok(&["sample", "--output", &here, "--rows", "3000", "--seed", "5"]);
    ok_with(&["sample", "--output", &there, "--rows", "3000", "--seed", "5"], &s3.env());
    let columns =
        "line_id, source_row, description, text_digest, hs6, confidence, margin, alternatives, decision, reasons";
    let query = format!("SELECT {columns} FROM t ORDER BY line_id");
    let mut answers = Vec::new();
    for (input, lake) in [(&here, path(dir.path(), "lake")), (&there, s3.url("lake"))] {
        let args = ["classify", "--input", input, "--id", "line_id", "--lake", &lake, "--registry", &lab().registry];
        ok_with(&args, &s3.env());
        answers.push(python(
            "read_delta.py",
            &[&format!("{lake}/predictions"), "--engine", "duckdb", "--query", &query],
            &s3.env(),
        ));
    }
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn wrong_keys_and_missing_rights_end_with_22_and_name_the_place() {
    let Some(s3) = S3::ceph() else { return };
    let (lines, lake) = (s3.url("lines"), s3.url("lake"));
    ok_with(&["sample", "--output", &lines, "--rows", "500"], &s3.env());
    let args = ["classify", "--input", &lines, "--lake", &lake, "--registry", &lab().registry];
    for env in [s3.wrong_keys(), s3.stranger_keys()] {
        let ended = run_with(&args, &env);
        assert_eq!(ended.code, 22, "{}", ended.err);
        assert!(ended.err.contains(&s3.bucket) && !ended.err.contains("readerreader"), "{}", ended.err);
    }
    // May read the lines, may not write the lake: nothing half visible.
    let ended = run_with(&args, &s3.read_only_keys());
    assert_eq!(ended.code, 22, "{}", ended.err);
    let keys = python("s3_list.py", &[&lake], &s3.env());
    assert_eq!(keys.as_array().unwrap().len(), 0, "{keys}");
    let check =
        run_with(&["check", "--input", &lines, "--lake", &lake, "--registry", &lab().registry], &s3.read_only_keys());
    assert_eq!(check.code, 22, "{}{}", check.out, check.err);
    assert!(check.out.contains("FAIL commit"), "{}", check.out);
}

/// Replaced by as many bytes while the run waits: on S3 only the ETag tells.
fn a_replaced_object_is_noticed(s3: &S3) {
    use std::io::{BufRead, BufReader};
    let dir = folder();
    let (one, two) = (dir.path().join("1.parquet"), dir.path().join("2.parquet"));
    write_lines(&one, &[Some("bolts"), Some("shirts")]);
    write_lines(&two, &[Some("bolts"), Some("skirts")]);
    assert_eq!(std::fs::metadata(&one).unwrap().len(), std::fs::metadata(&two).unwrap().len());
    let (input, lake) = (s3.url("in/lines.parquet"), s3.url("replaced"));
    let put = |file: &std::path::Path| {
        python("s3_put.py", &[file.to_str().unwrap(), &input], &s3.env());
    };
    put(&one);
    let mut child = harmonize(&classify_args(&input, &lake))
        .envs(s3.env())
        .env("HARMONIZE_HOLD_AT", "written")
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|line| line == "held at written"));
    put(&two);
    assert!(std::process::Command::new("kill").args(["-USR1", &child.id().to_string()]).status().unwrap().success());
    let rest: Vec<String> = said.collect();
    assert_eq!(child.wait().unwrap().code(), Some(20), "{rest:?}");
    assert!(rest.concat().contains("replaced"), "{rest:?}");
}

#[test]
fn a_replaced_object_is_noticed_on_moto() {
    a_replaced_object_is_noticed(&S3::moto());
}

#[test]
fn a_replaced_object_is_noticed_on_ceph() {
    if let Some(s3) = S3::ceph() {
        a_replaced_object_is_noticed(&s3);
    }
}

#[test]
fn a_server_that_is_not_there_ends_with_31() {
    let mut env = S3::moto().env();
    for (name, value) in &mut env {
        if name == "AWS_ENDPOINT" {
            *value = "http://127.0.0.1:9".into();
        }
    }
    let ended = run_with(
        &["classify", "--input", "s3://nowhere/x", "--lake", "s3://nowhere/lake", "--registry", &lab().registry],
        &env,
    );
    assert_eq!(ended.code, 31, "{}", ended.err);
}
