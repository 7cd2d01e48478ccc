use crate::support::lab::{classify_args, folder, harmonize, lab, ok, path, run, run_with, write_lines};

#[test]
fn help_names_every_command_and_its_exit_codes_and_wrong_calls_end_with_2() {
    let help = ok(&["--help"]);
    for word in [
        "demo",
        "sample",
        "data",
        "train",
        "compare",
        "search",
        "evaluate",
        "card",
        "classify",
        "reclassify",
        "backfill",
        "findings",
        "replay",
        "review",
        "predict",
        "explain",
        "models",
        "tariff",
        "sql",
        "serve",
        "check",
        "completions",
        "Exit codes",
    ] {
        assert!(help.contains(word), "{word}");
    }
    for args in
        [&["classify"][..], &["frobnicate"], &["sample"], &["train", "--label", "x"], &["classify", "--threads", "0"]]
    {
        let ended = run(args);
        assert_eq!(ended.code, 2, "{args:?}: {}", ended.err);
        assert!(!ended.err.is_empty());
    }
    assert!(ok(&["completions", "bash"]).contains("harmonize"));
}

#[test]
fn settings_come_from_flags_then_environment_then_file_and_check_says_which() {
    let dir = folder();
    let file = dir.path().join("in/lines.parquet");
    write_lines(&file, &[Some("bolts")]);
    let (input, lake) = (file.to_str().unwrap(), path(dir.path(), "deep/er/lake"));
    let job = path(dir.path(), "job.toml");
    let text = format!("input = [\"{input}\"]\nlake = \"{lake}\"\nmodel = \"hs@7\"\nthreads = 2\nmemory = \"2GiB\"\n");
    std::fs::write(&job, &text).unwrap();
    let env = [("HARMONIZE_MODEL", "hs@1"), ("HARMONIZE_REGISTRY", lab().registry.as_str())]
        .map(|(a, b)| (a.to_string(), b.to_string()));
    let ended = run_with(&["check", "--config", &job, "--threads", "1"], &env);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    let line = |name: &str| ended.out.lines().find(|l| l.trim_start().starts_with(name)).unwrap().to_string();
    assert!(line("threads").contains(" 1 ") && line("threads").ends_with("flag"));
    assert!(line("model").contains("hs@1") && line("model").ends_with("environment"), "{}", line("model"));
    assert!(line("memory").contains("2GiB") && line("memory").ends_with("job.toml"));
    assert!(line("text").ends_with("default"));
    assert_eq!(ended.out.matches("  ok   ").count(), 4, "{}", ended.out);
    assert!(!dir.path().join("deep").exists(), "check leaves nothing behind");
    let ended = run_with(&["classify", "--config", "nowhere.toml"], &env);
    assert_eq!(ended.code, 2, "{}", ended.err);
    assert!(ended.err.contains("--config nowhere.toml"), "{}", ended.err);
    let ended = run_with(&["classify", "--config", &job], &env);
    assert_eq!(ended.code, 0, "{}", ended.err);
    std::fs::write(&job, format!("{text}colour = 1\n")).unwrap();
    let ended = run_with(&["classify", "--config", &job], &env);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("colour"), "{}", ended.err);
}

#[test]
fn check_tells_everything_that_is_wrong_and_ends_with_the_code_of_the_first() {
    let dir = folder();
    let ended =
        run(&["check", "--input", &path(dir.path(), "none"), "--lake", &path(dir.path(), "lake"), "--model", "hs@3"]);
    assert_eq!(ended.code, 20, "{}", ended.out);
    assert_eq!(ended.out.matches("  FAIL ").count(), 2, "{}", ended.out);
    assert!(ended.out.contains("hs@3") && ended.out.contains("no Parquet files"), "{}", ended.out);
}

#[test]
fn predict_answers_arguments_and_lines_of_standard_input_in_their_order() {
    let out = ok(&["predict", "--registry", &lab().registry, "--format", "json", "cotton shirts", "spare parts", ""]);
    let rows: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["text"], "cotton shirts");
    assert_eq!(rows[0]["model"], "hs@1");
    assert_eq!(rows[0]["alternatives"].as_array().unwrap().len(), 5);
    assert_eq!(rows[1]["reasons"], serde_json::json!(["vague"]));
    assert_eq!(rows[1]["vague_by"], "the list: spare parts");
    assert!(rows[0].get("vague_by").is_none_or(serde_json::Value::is_null), "{}", rows[0]);
    assert_eq!(rows[2]["reasons"], serde_json::json!(["empty"]));
    let dir = folder();
    let file = dir.path().join("lines.txt");
    std::fs::write(&file, "cotton shirts\nspare parts\n").unwrap();
    let piped = harmonize(&["predict", "--registry", &lab().registry, "--format", "json"])
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    let piped = String::from_utf8(piped.stdout).unwrap();
    assert_eq!(piped.lines().collect::<Vec<_>>(), out.lines().take(2).collect::<Vec<_>>());
    assert!(ok(&["predict", "--registry", &lab().registry, "cotton shirts"]).contains("confidence"));
}

/// A mistake in a query is the user's, and is not called a defect.
#[test]
fn mistakes_in_sql_end_with_2() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    for (query, said) in [
        ("SELECT nocol FROM predictions", "nocol"),
        ("SELECT * FROM notable", "notable"),
        ("SELECT 1; SELECT 2", "single SQL statement"),
        ("SELECT hs_predict('x')", "--model"),
        ("SELECT nofunction('x')", "nofunction"),
        ("SELECT CAST('secret' AS INT)", "try_cast"),
    ] {
        let ended = run(&["sql", "--lake", &lake, query]);
        assert_eq!(ended.code, 2, "{query}: {}", ended.err);
        assert!(ended.err.contains(said) && !ended.err.contains("secret"), "{query}: {}", ended.err);
    }
    let out = ok(&["sql", "--lake", &lake, "SELECT hs6, decision FROM predictions"]);
    assert!(out.contains("hs6") && out.contains("decision"), "the header of no rows: {out}");
}

#[test]
fn the_description_of_lines_is_text() {
    let dir = folder();
    let file = dir.path().join("in/lines.parquet");
    write_lines(&file, &[Some("cotton shirts")]);
    let lake = path(dir.path(), "lake");
    let out = ok(&["sql", "--lake", &lake, "--input", file.to_str().unwrap(), "SELECT description FROM lines"]);
    assert!(out.contains("cotton shirts"), "{out}");
}

#[test]
fn sql_reads_and_predicts_and_does_not_write() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let registry = &lab().registry;
    let out = ok(&[
        "sql",
        "--lake",
        &lake,
        "--registry",
        registry,
        "--model",
        "hs@1",
        "--input",
        &lab().lines,
        "--format",
        "csv",
        "SELECT count(*) AS n, count(p) AS m FROM (SELECT hs_predict(description) AS p FROM lines WHERE origin = 'DE')",
    ]);
    let numbers: Vec<&str> = out.lines().nth(1).unwrap().split(',').collect();
    assert!(numbers[0].parse::<u64>().unwrap() > 100 && numbers[0] == numbers[1], "{out}");
    for query in
        ["CREATE TABLE x AS SELECT 1", "DROP VIEW review_queue", "SET x = 1", "COPY (SELECT 1) TO 'x.csv'", "SELEC 1"]
    {
        let ended = run(&["sql", "--lake", &lake, query]);
        assert_eq!(ended.code, 2, "{query}: {}{}", ended.out, ended.err);
    }
    let ended = run(&["sql", "--lake", &lake, "--registry", registry, "--model", "hs@1", "SELECT hs_predict(5)"]);
    assert_eq!(ended.code, 2, "{}", ended.err);
}

#[test]
fn evaluate_measures_on_labelled_lines_and_says_what_it_left_out() {
    let registry = &lab().registry;
    let args = [
        "evaluate",
        "--input",
        &lab().labelled,
        "--label",
        "hs6",
        "--registry",
        registry,
        "--where",
        "line_id > 'L0000015000'",
    ];
    let out = ok(&args);
    assert!(out.contains("right at 6 / 4 / 2 digits") && out.contains("without a code of edition 2022"), "{out}");
    let mut json = args.to_vec();
    json.push("--json");
    let figures: serde_json::Value = serde_json::from_str(&ok(&json)).unwrap();
    assert!(figures["accuracy"]["hs6"].as_f64().unwrap() > 0.5);
    let ended = run(&["evaluate", "--input", &lab().labelled, "--label", "origin", "--registry", registry]);
    assert_eq!(ended.code, 20, "{}", ended.err);
}

#[test]
fn logs_can_be_json_and_never_hold_a_description() {
    let dir = folder();
    let file = dir.path().join("in/lines.parquet");
    write_lines(&file, &[Some("a very secret shipment of bolts")]);
    let lake = path(dir.path(), "lake");
    let mut args = classify_args(file.to_str().unwrap(), &lake);
    args.extend(["--log", "harmonize=debug", "--log-format", "json"]);
    let ended = run(&args);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let logs: Vec<serde_json::Value> = ended.err.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(!logs.is_empty());
    assert!(!ended.err.contains("secret"), "{}", ended.err);
}

#[test]
fn sample_refuses_a_folder_that_holds_lines() {
    let dir = folder();
    let out = path(dir.path(), "lines");
    ok(&["sample", "--output", &out, "--rows", "10"]);
    let ended = run(&["sample", "--output", &out, "--rows", "10"]);
    assert_eq!(ended.code, 2, "{}", ended.err);
    assert!(ended.err.contains("part-00000.parquet"));
}

#[test]
fn the_demo_goes_all_the_way_and_the_commands_that_it_names_work() {
    let dir = folder();
    let out =
        harmonize(&["demo", "--rows", "20000", "--train-rows", "12000"]).current_dir(dir.path()).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    for word in ["lines/s", "accepted", "for review", "refused", "that it did not train on", "review queue", "Try next"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
    let commands: Vec<&str> = text.lines().filter_map(|l| l.strip_prefix("  harmonize ")).collect();
    assert_eq!(commands.len(), 4, "{text}");
    for command in commands {
        let binary = env!("CARGO_BIN_EXE_harmonize");
        let shell = format!("{binary} {}", command.split("    #").next().unwrap());
        let ended = std::process::Command::new("sh").args(["-c", &shell]).current_dir(dir.path()).output().unwrap();
        assert!(ended.status.success(), "{shell}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    let again = harmonize(&["demo"]).current_dir(dir.path()).output().unwrap();
    assert_eq!(again.status.code(), Some(2));
}
