//! The server as its clients see it: psql, psycopg, the ADBC driver, node-postgres, and what tools ask when they start.
//!
//! Expected values come from PostgreSQL's documentation of what these clients get, from the number of lines that were written,
//! and from `harmonize predict`.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::lab::{folder, lab, ok};
use crate::support::served::{LINES, Served, lacking};
use crate::support::servers;

#[test]
fn psql_reads_tables_and_views_and_predicts_as_the_program_does() {
    let served = Served::start(&[]);
    let Some(counted) = served.psql("ana", &["-c", "SELECT count(*) FROM predictions"]) else { return };
    assert_eq!(counted.rows(), [LINES.to_string()]);
    let predicted = ok(&["predict", "--registry", &lab().registry, "--format", "json", "cotton shirts"]);
    let predicted: Value = serde_json::from_str(predicted.trim()).unwrap();
    let sql = "SELECT hs_code('cotton shirts'), hs_predict('cotton shirts')['decision']";
    let answer = served.psql("ana", &["-c", sql]).unwrap();
    assert_eq!(
        answer.rows(),
        [format!("{}|{}", predicted["hs6"].as_str().unwrap(), predicted["decision"].as_str().unwrap())]
    );
    let tables = ["review_queue", "runs", "runs()", "models()", "predictions_as_of(now())"];
    let counts = tables.map(|table| format!("SELECT count(*) FROM {table};")).concat();
    let counted = served.psql("rita", &["-c", &counts]).unwrap();
    let counted: Vec<i64> = counted.rows().iter().map(|n| n.parse().unwrap()).collect();
    assert!(counted[0] > 0 && counted[1..] == [1, 1, 1, LINES], "{counted:?}");
    // Several statements in one message, of which a failing one ends the rest.
    let several = served.psql("rita", &["-c", "SELECT 1; SELECT 1/0; SELECT 2"]).unwrap();
    assert_eq!((several.out.trim(), several.state()), ("1", "22012"));
}

#[test]
fn psql_describes_what_there_is() {
    let served = Served::start(&[]);
    let Some(tables) = served.psql("rita", &["-c", "\\dt"]) else { return };
    assert!(tables.rows().iter().any(|row| row.starts_with("public|predictions|table|")), "{tables:?}");
    let views = served.psql("rita", &["-c", "\\dv"]).unwrap();
    assert!(views.rows().iter().any(|row| row.starts_with("public|review_queue|view|")), "{views:?}");
    let columns = served.psql("rita", &["-c", "\\d predictions"]).unwrap();
    assert!(columns.rows().iter().any(|row| row.starts_with("hs6|text")), "{columns:?}");
    for command in ["\\l", "\\dn", "\\d", "\\conninfo"] {
        let shown = served.psql("rita", &["-c", command]).unwrap();
        assert_eq!(shown.code, 0, "{command}: {}", shown.err);
    }
    let own = served.psql("rita", &["-c", "SELECT current_user, current_database(), version() LIKE 'PostgreSQL 16%'"]);
    assert_eq!(own.unwrap().rows(), ["rita|lake|t"]);
    let settings = "SET application_name = 'mine'; SELECT setting FROM pg_settings WHERE name IN ('application_name', 'max_index_keys') ORDER BY name";
    assert_eq!(served.psql("rita", &["-q", "-c", settings]).unwrap().rows(), ["mine", "32"]);
}

#[test]
fn elements_of_lists_and_their_fields_are_named_as_in_postgresql() {
    let served = Served::start(&[]);
    let sql = "SELECT count(*) FROM predictions p WHERE (p.alternatives[1].hs6 IS DISTINCT FROM (p.alternatives[1])['hs6']) \
               OR (p.reasons[1] IS DISTINCT FROM array_element(reasons, 1))";
    let Some(same) = served.psql("rita", &["-c", sql]) else { return };
    assert_eq!(same.rows(), ["0"]);
    let some = "SELECT count(p.alternatives[1].hs6) > 0, count(p.reasons[1]) > 0 FROM predictions p";
    assert_eq!(served.psql("rita", &["-c", some]).unwrap().rows(), ["t|t"]);
}

#[test]
fn rows_go_out_by_copy_and_nothing_comes_in_or_reaches_a_file() {
    let served = Served::start(&[]);
    let copy = "COPY (SELECT 'a,b' AS x, NULL AS y, '' AS z) TO STDOUT (FORMAT csv, HEADER)";
    let Some(copied) = served.psql("rita", &["-c", copy]) else { return };
    assert_eq!(copied.rows(), ["\"x\",\"y\",\"z\"", "\"a,b\",,\"\""]);
    let text = served.psql("rita", &["-c", "COPY (SELECT 'a' || chr(9) || 'b', NULL::text) TO STDOUT"]).unwrap();
    assert_eq!(text.rows(), ["a\\tb\t\\N"]);
    let all = served.psql("rita", &["-c", "COPY predictions TO STDOUT"]).unwrap();
    assert_eq!(all.rows().len() as i64, LINES);
    let there = served.dir.path().join("stolen");
    for sql in [
        format!("COPY predictions TO '{}'", there.display()),
        format!("COPY (SELECT 1) TO PROGRAM 'touch {}'", there.display()),
        "COPY predictions FROM STDIN".into(),
        "COPY predictions FROM '/etc/passwd'".into(),
    ] {
        assert_eq!(served.psql("otto", &["-c", &sql]).unwrap().state(), "42501", "{sql}");
    }
    assert!(!there.exists());
}

#[test]
fn psycopg_gets_values_parameters_transactions_cursors_and_errors_as_from_postgresql() {
    let served = Served::start(&[]);
    let got = served.python("serve_psycopg.py", &[]);
    let values = json!([
        1,
        2,
        3,
        1.5,
        2.25,
        "text",
        true,
        null,
        "2026-03-01",
        "2026-03-01T10:00:00",
        "12.34",
        ["a", "b"],
        [1, 2],
        "über",
        ""
    ]);
    assert_eq!(got["text"], values);
    assert_eq!(got["binary"], values);
    for kind in ["parameters", "binary parameters"] {
        let expected = json!({"int": 42, "text": "red shirts!", "float": 2.5, "null": true, "date": "2026-03-01",
            "decimal": 1.75, "array": [1, 2, 3], "bool": false, "predict": 6, "where": true, "limit": 3, "in": 2});
        assert_eq!(got[kind], expected, "{kind}");
    }
    // Neither a description that came as a parameter nor one in the text of a statement is in the log.
    let log = served.audit().iter().map(Value::to_string).collect::<String>();
    assert!(log.contains("hs_code") && !log.contains("cotton shirts") && !log.contains("red shirts"), "{log}");
    let doubled: Vec<i64> = (0..20).map(|i| i * 2).collect();
    assert_eq!(got["prepared"], json!({"got": doubled, "prepared": 1, "explicit": "x"}));
    assert_eq!(
        got["transactions"],
        json!({"inside": "INTRANS", "inner": "42P01", "after savepoint": 1, "outside": "IDLE", "division": "22012",
            "failed": "INERROR", "in failed": "25P02", "rolled back": 1})
    );
    assert_eq!(got["cursors"], json!({"total": 5000 * 5001 / 2, "few": 20, "streamed": 30000}));
    assert_eq!(got["pipeline"], json!({"got": true, "state": "42P01", "after": 3}));
    let canceled = &got["cancellation"];
    assert_eq!((canceled["state"].as_str(), canceled["after"].as_i64()), (Some("57014"), Some(1)));
    assert_eq!(canceled["timed"], "57014 canceling statement due to statement timeout");
    assert!(canceled["took"].as_f64().unwrap() < 10.0 && canceled["short"].as_f64().unwrap() < 8.0, "{canceled}");
    let states = json!({
        "SELEC 1": "42601", "SELECT * FROM nothing_here": "42P01", "SELECT nocolumn FROM predictions": "42703",
        "SELECT nofunction(1)": "42883", "SELECT CAST('red shirts' AS INT)": "22P02", "SELECT 1/0": "22012",
        "COPY predictions TO '/tmp/stolen'": "42501", "COPY predictions FROM STDIN": "42501",
        "INSERT INTO predictions VALUES (1)": "42501", "CREATE TABLE t (a int)": "42501",
        "SET datafusion.execution.batch_size = 1": "42501", "SELECT * FROM 'file.parquet'": "42501",
        "SELECT * FROM \"/etc/passwd\"": "42P01", "SELECT hs6, count(*) FROM predictions": "42803",
        "EXECUTE nothing": "0A000", "FETCH 1 FROM nothing": "34000",
        "SELECT 1; SELECT nocolumn FROM predictions; SELECT 2": "42703", "position": "12", "after": 1
    });
    assert_eq!(got["errors"], states);
    let settings = json!({"application": "the tests", "timeout": "7s", "told": "other", "zone": "Europe/Berlin",
        "discarded": "the tests", "version": 160006, "encoding": "utf-8", "setting": "the tests", "user": "ana",
        "database": "lake", "schema": "public", "pid": true});
    assert_eq!(got["settings"], settings);
}

#[test]
fn the_adbc_driver_reads_arrow_tables_with_copy_and_without() {
    let served = Served::start(&[]);
    let got = served.python("serve_adbc.py", &[]);
    for how in ["copy", "rows"] {
        assert_eq!(got[how]["rows"], 1000, "{how}");
        assert_eq!(got[how]["columns"], json!(["line_id", "hs6", "confidence", "accepted_at"]));
        assert_eq!(got[how]["types"], json!(["string", "string", "float", "timestamp[us]"]));
    }
    assert_eq!(got["copy"]["first"], got["rows"]["first"]);
    assert_eq!(got["code"][0].as_str().map(str::len), Some(6));
    assert_eq!(got["parameter"], json!([3]));
    assert!(got["tables"].as_array().unwrap().contains(&json!("predictions")), "{}", got["tables"]);
}

#[test]
fn node_postgres_sends_simple_and_prepared_queries() {
    let served = Served::start(&[]);
    let dir = folder();
    let installed = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"])
        .arg(dir.path())
        .arg("pg@8.23.1")
        .stdin(Stdio::null())
        .output();
    if !installed.is_ok_and(|output| output.status.success()) {
        println!("skipped: node-postgres cannot be installed (npm install pg)");
        return;
    }
    let script = dir.path().join("client.js");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/serve_node.js"), &script).unwrap();
    let output = Command::new("node").arg(&script).arg(served.port.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let got: Value = serde_json::from_slice(&output.stdout).unwrap();
    // The driver gives 64-bit and decimal numbers as text.
    assert_eq!(got["values"], json!(["1", "text", true, null, 1.5, ["a", "b"], true]));
    assert_eq!(got["parameter"], json!([6, "42"]));
    assert_eq!(got["prepared"], json!(["0", "2", "4"]));
    assert_eq!(got["count"], LINES.to_string());
    assert_eq!((&got["state"], &got["column"], &got["after"]), (&json!("42P01"), &json!("42703"), &json!("1")));
}

/// With the driver's own calls for what there is, by which DBeaver, Metabase and others fill their lists.
#[test]
fn the_jdbc_driver_gets_values_parameters_cursors_and_the_catalog() {
    const DRIVER: &str = "/usr/share/java/postgresql.jar";
    if !Path::new(DRIVER).exists() || Command::new("javac").arg("-version").output().is_err() {
        return lacking("javac, or PostgreSQL's JDBC driver (Debian: default-jdk-headless libpostgresql-jdbc-java)");
    }
    let served = Served::start(&[]);
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ServeJdbc.java");
    let output = Command::new("java").args(["-cp", DRIVER, source]).arg(served.port.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let got = |name: &str| {
        let found = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
        found.unwrap_or_else(|| panic!("no {name}: {said}"))
    };
    assert_eq!(
        got("types"),
        "[i:int4, l:int8, r:float4, d:float8, t:text, b:bool, n:int4, day:date, at:timestamp, dec:numeric, list:_text]"
    );
    let values = "[2, 3, 1.5, 2.25, über, true, null, 2026-03-01, 2026-03-01 10:00:00.0, 12.34, [a, b]]";
    assert_eq!(got("values"), values);
    let predicted = ok(&["predict", "--registry", &lab().registry, "--format", "json", "cotton shirts"]);
    let predicted: Value = serde_json::from_str(predicted.trim()).unwrap();
    assert_eq!(got("predicted"), predicted["hs6"].as_str().unwrap());
    for (name, value) in [
        ("int", "42"),
        ("double", "2.5"),
        ("decimal", "1.75"),
        ("date", "2026-03-01"),
        ("timestamp", "2026-03-01 10:20:30.5"),
        ("between", "1"),
        ("null", "true"),
        ("where", "0"),
        ("product", "PostgreSQL"),
        ("keys", "0"),
        ("table", "42P01"),
        ("column", "42703"),
        ("write", "42501"),
        ("value", "22012"),
        ("cancel", "57014"),
        ("timeout", "57014"),
        ("after", "1"),
    ] {
        assert_eq!(got(name), value, "{name}: {said}");
    }
    let prepared: Vec<String> = (0..12).map(|i| format!("{}/1099511627776/1.5/2026-03-01/x", 2 * i)).collect();
    assert_eq!(got("prepared"), format!("[{}]", prepared.join(", ")));
    assert_eq!(got("cursor"), LINES.to_string());
    for (list, holds) in [
        ("schemas", "public"),
        ("tables", "predictions:TABLE"),
        ("tables", "review_queue:VIEW"),
        ("columns", "confidence:float4"),
        ("columns", "reasons:_text"),
    ] {
        let entries: Vec<&str> = got(list).trim_matches(['[', ']']).split(", ").collect();
        assert!(entries.contains(&holds), "{list}: {entries:?}");
    }
}

/// What programs send when they start, as the library whose catalog this is has collected it.
#[test]
fn what_dashboards_and_tools_ask_when_they_start_is_answered() {
    let home = std::env::var("CARGO_HOME").unwrap_or_else(|_| format!("{}/.cargo", std::env::var("HOME").unwrap()));
    let sources = std::fs::read_dir(format!("{home}/registry/src")).into_iter().flatten().flatten();
    let tests = sources.map(|s| s.path().join("datafusion-postgres-0.19.0/tests")).find(|tests| tests.exists());
    let Some(tests) = tests else {
        println!("skipped: the sources of datafusion-postgres are not at hand");
        return;
    };
    let asked: Vec<Value> = ["dbeaver", "grafana", "metabase", "pgadmin", "pgcli", "psql"]
        .iter()
        .map(|name| {
            let queries = raw_strings(&std::fs::read_to_string(tests.join(format!("{name}.rs"))).unwrap());
            assert!(queries.len() > 1, "{name}");
            json!({"name": name, "queries": queries})
        })
        .collect();
    let served = Served::start(&[]);
    let port = served.port.to_string();
    for answer in servers::python_lines("serve_catalogs.py", &[&port], &asked) {
        assert_eq!(answer["failed"], json!([]), "{}", answer["name"]);
    }
}

/// The string literals of the constant list in a file.
fn raw_strings(source: &str) -> Vec<String> {
    let list = source.split("&[&str] = &[").nth(1).unwrap().split("\n];").next().unwrap();
    let mut found = Vec::new();
    let mut rest = list;
    while let Some(at) = rest.find(['"', '/']) {
        if rest[at..].starts_with("//") {
            rest = &rest[at..][rest[at..].find('\n').unwrap_or(rest.len() - at)..];
            continue;
        }
        if !rest[at..].starts_with('"') {
            rest = &rest[at + 1..];
            continue;
        }
        let hashes = rest[..at].chars().rev().take_while(|c| *c == '#').count();
        let raw = rest[..at - hashes].ends_with('r');
        let end = format!("\"{}", "#".repeat(hashes));
        let body = &rest[at + 1..];
        let length = body.match_indices(&end).find(|(at, _)| raw || !body[..*at].ends_with('\\')).unwrap().0;
        let text = &body[..length];
        found.push(if raw {
            text.to_owned()
        } else {
            text.replace("\\\n", "").replace("\\n", "\n").replace("\\\"", "\"")
        });
        rest = &body[length + end.len()..];
    }
    found
}
