//! The lake over PostgreSQL's wire protocol, with real clients: psql, psycopg, the ADBC driver, node-postgres.
//!
//! Expected values come from PostgreSQL's documentation of what these clients get, from the number of lines that were written,
//! and from `harmonize predict`.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::lab::{folder, harmonize, lab, ok, path, run};
use crate::support::models::Models;
use crate::support::served::{LINES, SECRET, Served, add_user, certificate, lake};
use crate::support::servers;

/// One that is stopped by nobody in the time of a test.
const HEAVY: &str = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b WHERE (a.value * b.value) % 7 = 3";

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

#[test]
fn a_reader_reads_and_predicts_nothing_and_roles_and_limits_hold() {
    let dir = folder();
    let roles = path(dir.path(), "roles.toml");
    let limits = "[reader]\nseconds = 2\nrows = 100\nstatement-bytes = 65536\n\n\
                  [operator]\nseconds = 120\nmemory = \"16MiB\"\nspill = \"16MiB\"\n";
    std::fs::write(&roles, limits).unwrap();
    let served = Served::start(&["--roles", &roles]);
    let Some(refused) = served.psql("rita", &["-c", "SELECT hs_code('x')"]) else { return };
    assert_eq!(refused.state(), "42501");
    let state = |sql: &str| served.psql("rita", &["-c", sql]).unwrap().state().to_owned();
    assert_eq!(state("SELECT HS_Predict(line_id) FROM predictions"), "42501");
    assert_eq!(state("WITH a AS (SELECT \"hs_code\"('x')) SELECT * FROM a"), "42501");
    assert_eq!(state("SELECT * FROM predictions"), "54000");
    assert_eq!(state(HEAVY), "57014");
    for large in [
        "SELECT count(*) FROM (SELECT DISTINCT value * 7919 % 1000000007 FROM generate_series(1, 300000000))",
        "SELECT sum(value) OVER () FROM generate_series(1, 600000000) LIMIT 1",
    ] {
        let ended = served.psql("otto", &["-c", large]).unwrap();
        assert!(["53200", "53100"].contains(&ended.state()), "{large}: {}", ended.err);
    }
    assert_eq!(state(&format!("SELECT '{}'", "x".repeat(70_000))), "54000");
    assert_eq!(state("SET datafusion.execution.target_partitions = 99"), "42501");
    assert_eq!(state("SET ROLE operator"), "42501");
    let few = served.psql("rita", &["-c", "SELECT hs_parent('847130'), count(*) FROM predictions GROUP BY 1"]).unwrap();
    assert_eq!(few.rows(), [format!("8471|{LINES}")]);
    // A description may have several lines; an address has one.
    let all = served.psql("ana", &["-c", "SELECT source_file, source_row FROM predictions"]).unwrap();
    assert_eq!(all.rows().len() as i64, LINES);
}

#[test]
fn who_is_not_known_is_refused_and_cannot_tell_why() {
    let served = Served::start(&[]);
    let login = |user: &str, password: &str| {
        let began = Instant::now();
        let ended =
            served.psql_with(user, &["-c", "SELECT 1"], &[("PGPASSWORD", password), ("PGSSLMODE", "disable")])?;
        Some((ended, began.elapsed()))
    };
    let Some((wrong, took_wrong)) = login("ana", "wrong") else { return };
    let (unknown, took_unknown) = login("nobody", "wrong").unwrap();
    assert!(wrong.err.contains("password authentication failed for user \"ana\""), "{}", wrong.err);
    assert_eq!(wrong.err.replace("ana", "nobody"), unknown.err);
    assert!(took_wrong > Duration::from_millis(900) && took_unknown > Duration::from_millis(900));
    let (empty, _) = login("ana", "").unwrap();
    assert_ne!(empty.code, 0);
    // While one thinks about a wrong password, another comes in.
    std::thread::scope(|scope| {
        scope.spawn(|| login("ana", "wrong"));
        std::thread::sleep(Duration::from_millis(100));
        let began = Instant::now();
        assert_eq!(served.psql("ana", &["-c", "SELECT 1"]).unwrap().rows(), ["1"]);
        assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    });
    let other = served.psql_with("ana", &["-d", "elsewhere", "-c", "SELECT 1"], &[("PGSSLMODE", "disable")]).unwrap();
    assert!(other.err.contains("no such database"), "{}", other.err);
}

#[test]
fn a_user_that_is_added_or_removed_counts_without_a_restart() {
    let served = Served::start(&[]);
    let users = path(served.dir.path(), "users.toml");
    let Some(refused) = served.psql("new", &["-c", "SELECT 1"]) else { return };
    assert_ne!(refused.code, 0);
    add_user(&users, "new", "reader");
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(served.psql("new", &["-c", "SELECT 1"]).unwrap().rows(), ["1"]);
    // A session that is open ends with its next statement.
    let script = format!(
        "SELECT 1;\n\\! {} serve user remove new --users {users}\n\\! sleep 1.2\nSELECT 2;\n",
        env!("CARGO_BIN_EXE_harmonize")
    );
    let file = path(served.dir.path(), "script.sql");
    std::fs::write(&file, script).unwrap();
    let ended = served.psql("new", &["-f", &file]).unwrap();
    assert!(ended.out.starts_with("1\n") && !ended.out.contains("\n2"), "{ended:?}");
    assert!(ended.err.contains("28000"), "{}", ended.err);
    let listed = ok(&["serve", "user", "list", "--users", &users]);
    assert!(listed.contains("rita") && listed.contains("reader") && !listed.contains("new"), "{listed}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&users).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&users).unwrap();
    assert!(text.contains("SCRAM-SHA-256$4096:") && !text.contains(SECRET), "{text}");
}

#[test]
fn beyond_this_machine_users_and_encryption_are_required() {
    let dir = folder();
    let users = path(dir.path(), "users.toml");
    add_user(&users, "ana", "reader");
    for (args, lacks) in [
        (vec!["--listen", "0.0.0.0:0", "--trust-loopback"], "--users"),
        (vec!["--listen", "0.0.0.0:0", "--users", &users], "--tls-cert"),
        (vec!["--listen", "[::]:0", "--users", &users], "--tls-cert"),
        (vec![], "--trust-loopback"),
    ] {
        let mut all = vec!["serve", "--lake", lake(), "--registry", &lab().registry];
        all.extend(&args);
        let ended = run(&all);
        assert_eq!(ended.code, 2, "{args:?}: {}", ended.err);
        assert!(ended.err.contains(lacks), "{args:?}: {}", ended.err);
    }
    let Some((certificate, key)) = certificate(dir.path()) else { return };
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let served = Served::start(&["--listen", "0.0.0.0:0", "--tls-cert", certificate, "--tls-key", key]);
    let Some(plain) = served.psql("ana", &["-c", "SELECT 1"]) else { return };
    assert!(plain.err.contains("encrypted connections only"), "{}", plain.err);
    let verified = [("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", certificate), ("PGHOST", "localhost")];
    let args = ["-h", "localhost", "-c", "SELECT 1", "-c", "\\conninfo"];
    let encrypted = served.psql_with("ana", &args, &verified).unwrap();
    assert!(encrypted.out.starts_with("1\n") && encrypted.out.contains("SSL connection"), "{encrypted:?}");
    // Bound to the certificate, so that nobody can stand in between.
    let bound = [("PGSSLMODE", "require"), ("PGCHANNELBINDING", "require")];
    assert_eq!(served.psql_with("ana", &["-c", "SELECT 1"], &bound).unwrap().rows(), ["1"]);
    let wrong = [("PGSSLMODE", "require"), ("PGPASSWORD", "wrong")];
    assert_ne!(served.psql_with("ana", &["-c", "SELECT 1"], &wrong).unwrap().code, 0);
    std::fs::set_permissions(key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let open = run(&[
        "serve",
        "--lake",
        lake(),
        "--registry",
        &lab().registry,
        "--users",
        &users,
        "--tls-cert",
        certificate,
        "--tls-key",
        key,
    ]);
    assert_eq!(open.code, 22, "{}", open.err);
}

#[test]
fn control_c_ends_a_query_and_the_session_goes_on() {
    let served = Served::start(&[]);
    let Some(mut command) = served.psql_command("ana") else { return };
    let psql = command
        .args(["-c", HEAVY, "-c", "SELECT 'still here'"])
        .env("PGSSLMODE", "disable")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1_000));
    let began = Instant::now();
    Command::new("kill").args(["-INT", &psql.id().to_string()]).status().unwrap();
    let ended = psql.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(err.contains("57014") && err.contains("user request"), "{out} {err}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(served.audit().iter().any(|line| line["outcome"] == "canceled" && line["sqlstate"] == "57014"));
}

#[test]
fn the_audit_log_says_who_ran_what_without_a_word_of_a_description() {
    let mut served = Served::start(&["--http", "127.0.0.1:0"]);
    let query = "SELECT hs_code('unmistakable zebra saddles') -- unmistakable comment";
    let Some(answered) = served.psql("ana", &["-c", query]) else { return };
    assert_eq!(answered.code, 0, "{}", answered.err);
    for wrong in [
        "SELECT hs_code(unmistakable zebra saddles)",
        "SELECT hs_code(\"unmistakable zebra saddles\")",
        "SELECT unmistakable FROM predictions",
        "SELECT 'unmistakable",
        "COPY predictions TO '/unmistakable'",
        "SELECT CAST('unmistakable' AS INT)",
    ] {
        assert_ne!(served.psql("ana", &["-c", wrong]).unwrap().code, 0, "{wrong}");
    }
    served.signal("TERM");
    assert_eq!(served.wait(Duration::from_secs(20)), Some(0));
    let text = std::fs::read_to_string(served.dir.path().join("audit.jsonl")).unwrap();
    assert!(!text.contains("unmistakable") && !text.contains("zebra"), "{text}");
    let lines = served.audit();
    let done = lines.iter().find(|line| line["event"] == "statement").unwrap();
    assert_eq!(done["shape"], "SELECT hs_code($1)");
    assert_eq!((&done["user"], &done["role"], &done["outcome"]), (&json!("ana"), &json!("analyst"), &json!("ok")));
    assert_eq!((&done["rows"], &done["application"]), (&json!(1), &json!("psql")));
    assert!(done["models"][0].as_str().unwrap().starts_with("hs@1 "), "{done}");
    assert!(
        done["milliseconds"].as_f64().unwrap() > 0.0 && done["address"].as_str().unwrap().starts_with("127.0.0.1:")
    );
    let copy = lines.iter().find(|line| line["sqlstate"] == "42501").unwrap();
    assert_eq!((&copy["shape"], &copy["outcome"]), (&json!("COPY predictions TO $1"), &json!("refused")));
    assert_eq!(lines.iter().filter(|line| line["event"] == "login").count(), 7);
    assert_eq!(lines.iter().filter(|line| line["event"] == "logout").count(), 7);
    assert_eq!(lines.iter().filter(|line| line["event"] == "statement").count(), 7);
}

#[test]
fn without_its_audit_log_the_server_answers_nothing_and_says_that_it_is_not_ready() {
    let served = Served::start(&["--http", "127.0.0.1:0"]);
    let audit = served.dir.path().join("audit.jsonl");
    let Some(first) = served.psql("rita", &["-c", "SELECT 1"]) else { return };
    assert_eq!(first.rows(), ["1"]);
    assert_eq!(served.page("ready").0, 200);
    // Rotated: moved away, and opened anew.
    std::fs::rename(&audit, served.dir.path().join("audit.jsonl.1")).unwrap();
    assert_eq!(served.psql("rita", &["-c", "SELECT 1"]).unwrap().rows(), ["1"]);
    assert!(std::fs::read_to_string(&audit).unwrap().contains("rita"));
    // In its place is a folder: nothing can be written.
    std::fs::remove_file(&audit).unwrap();
    std::fs::create_dir(&audit).unwrap();
    let refused = served.psql("rita", &["-c", "SELECT 1"]).unwrap();
    assert!(refused.err.contains("58030") || refused.err.contains("audit log"), "{}", refused.err);
    assert!(!refused.out.contains('1'), "{}", refused.out);
    let (status, why) = served.page("ready");
    assert_eq!((status, why.trim()), (503, "the audit log cannot be written"));
    assert_eq!(served.page("health").0, 200);
    std::fs::remove_dir(&audit).unwrap();
    assert_eq!(served.psql("rita", &["-c", "SELECT 1"]).unwrap().rows(), ["1"]);
    assert_eq!(served.page("ready").0, 200);
}

#[test]
fn metrics_count_statements_by_role_and_outcome_and_name_the_model() {
    let served = Served::start(&["--http", "127.0.0.1:0"]);
    let Some(ok) = served.psql("ana", &["-c", "SELECT 1", "-c", "SELECT hs_code('x')"]) else { return };
    assert_eq!(ok.code, 0);
    served.psql("rita", &["-c", "SELECT hs_code('x')"]);
    served.psql_with("rita", &["-c", "SELECT 1"], &[("PGPASSWORD", "wrong")]);
    let (status, page) = served.page("metrics");
    assert_eq!(status, 200);
    for line in [
        "harmonize_statements_total{role=\"analyst\",outcome=\"ok\"} 2",
        "harmonize_statements_total{role=\"reader\",outcome=\"refused\"} 1",
        "harmonize_logins_failed_total 1",
        "harmonize_connections_total 3",
        "harmonize_audit_log_writes 1",
        "harmonize_statements_running 0",
    ] {
        assert!(page.lines().any(|there| there == line), "{line}\n{page}");
    }
    assert!(page.contains("harmonize_model_info{model=\"hs\",version=\"1\",digest=\""), "{page}");
    assert!(!page.contains("rita") && !page.contains("SELECT"), "{page}");
}

#[test]
fn a_new_champion_answers_the_next_statement_and_never_half_of_one() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 2);
    models.promote(1);
    let served = Served::over(lake(), &models.url, &["--model", "hs@champion", "--http", "127.0.0.1:0"]);
    let promote = format!(
        "\\! {} models promote hs@2 --as champion --why test --registry {} > /dev/null\n\\! sleep 1.2\n",
        env!("CARGO_BIN_EXE_harmonize"),
        models.url
    );
    let which = "SELECT DISTINCT hs_predict(line_id)['model'] FROM predictions;\n";
    let file = path(dir.path(), "script.sql");
    std::fs::write(&file, format!("{which}{promote}{which}")).unwrap();
    // One that is under way for seconds while it changes.
    let Some(mut command) = served.psql_command("otto") else { return };
    let long = "SELECT hs_predict(line_id)['model'], count(*) FROM predictions, generate_series(1, 20000) GROUP BY 1";
    let command = command.args(["-At", "-c", long]).env("PGSSLMODE", "disable").stdout(Stdio::piped());
    let under_way = command.spawn().unwrap();
    assert!(served.running(1));
    let answered = served.psql("ana", &["-f", &file]).unwrap();
    let under_way = under_way.wait_with_output().unwrap();
    assert_eq!(answered.rows(), ["hs@1", "hs@2"]);
    assert_eq!(String::from_utf8_lossy(&under_way.stdout).trim(), format!("hs@1|{}", LINES * 20_000));
    let asked = |user: &str| -> Vec<String> {
        let audit = served.audit();
        let lines = audit.iter().filter(|line| line["user"] == user);
        lines.filter_map(|line| line["models"][0].as_str().map(|m| m[..4].to_owned())).collect()
    };
    assert_eq!(asked("ana"), ["hs@1", "hs@2"]);
    assert_eq!(asked("otto"), ["hs@1"]);
    let all = served.audit();
    let line = |user: &str, nth: usize| {
        all.iter().filter(|line| line["user"] == user && !line["models"][0].is_null()).nth(nth).unwrap()
    };
    let at = |line: &Value| line["at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let took = Duration::from_secs_f64(line("otto", 0)["milliseconds"].as_f64().unwrap() / 1e3);
    assert!(at(line("otto", 0)) + took > at(line("ana", 1)), "it was over before the champion changed: {took:?}");
}

#[test]
fn lines_that_are_classified_meanwhile_are_seen_by_the_next_statement() {
    let dir = folder();
    let (lake, input) = (path(dir.path(), "lake"), path(dir.path(), "in"));
    ok(&["sample", "--output", &input, "--rows", "200", "--seed", "9"]);
    let served = Served::over(&lake, &lab().registry, &[]);
    let Some(before) = served.psql("rita", &["-c", "SELECT count(*) FROM predictions"]) else { return };
    assert_eq!(before.rows(), ["0"]);
    ok(&["classify", "--input", &input, "--id", "line_id", "--lake", &lake, "--registry", &lab().registry]);
    std::thread::sleep(Duration::from_millis(1_100));
    let after = served.psql("rita", &["-c", "SELECT count(*) FROM predictions"]).unwrap();
    assert_eq!(after.rows(), ["200"]);
}

#[test]
fn one_that_is_told_to_stop_cancels_what_goes_on_beyond_its_grace() {
    let mut served = Served::start(&["--grace", "2"]);
    let Some(mut command) = served.psql_command("ana") else { return };
    let idle = served
        .psql_command("rita")
        .unwrap()
        .args(["-c", "SELECT 1", "-c", "\\! sleep 3", "-c", "SELECT 2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("PGSSLMODE", "disable")
        .spawn()
        .unwrap();
    let heavy = command.args(["-c", HEAVY]).env("PGSSLMODE", "disable").stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    served.signal("TERM");
    std::thread::sleep(Duration::from_millis(100));
    assert_ne!(served.psql("ana", &["-c", "SELECT 1"]).unwrap().code, 0, "no new connections");
    let began = Instant::now();
    let heavy = heavy.wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&heavy.stderr).contains("57P01"), "{}", String::from_utf8_lossy(&heavy.stderr));
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    let idle = idle.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&idle.stdout).contains('2'));
    assert_eq!(served.wait(Duration::from_secs(15)), Some(0));
    assert!(served.audit().iter().any(|line| line["sqlstate"] == "57P01"));
}

#[test]
fn one_that_is_told_to_stop_lets_statements_end() {
    let mut served = Served::start(&["--grace", "300", "--http", "127.0.0.1:0"]);
    let Some(mut command) = served.psql_command("otto") else { return };
    let brief = "SELECT count(*) FROM generate_series(1, 30000) a, generate_series(1, 20000) b WHERE (a.value * b.value) % 7 = 3";
    let command = command.args(["-At", "-c", brief]).env("PGSSLMODE", "disable").stdout(Stdio::piped());
    let under_way = command.spawn().unwrap();
    assert!(served.running(1));
    served.signal("TERM");
    assert_eq!(served.wait(Duration::from_millis(50)), None, "it was over before the signal came");
    let ended = under_way.wait_with_output().unwrap();
    assert!(ended.status.success());
    assert_eq!(String::from_utf8_lossy(&ended.stdout).trim().parse::<u64>().unwrap(), 73_472_041);
    assert_eq!(served.wait(Duration::from_secs(15)), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut served = Served::start(&["--grace", "600"]);
    let Some(mut command) = served.psql_command("ana") else { return };
    let mut heavy = command.args(["-c", HEAVY]).env("PGSSLMODE", "disable").stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    served.signal("INT");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(served.wait(Duration::ZERO), None);
    served.signal("INT");
    assert_eq!(served.wait(Duration::from_secs(10)), Some(0));
    let _ = heavy.wait();
}

#[test]
fn a_client_that_is_killed_leaves_no_statement_behind() {
    let served = Served::start(&["--http", "127.0.0.1:0"]);
    let Some(mut command) = served.psql_command("ana") else { return };
    let mut psql = command.args(["-c", HEAVY]).env("PGSSLMODE", "disable").spawn().unwrap();
    assert!(served.running(1));
    psql.kill().unwrap();
    psql.wait().unwrap();
    assert!(served.running(0));
    // Its line follows: nobody waits for it.
    let until = Instant::now() + Duration::from_secs(5);
    let told = || served.audit().iter().any(|line| line["outcome"] == "gone");
    while !told() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(told(), "{:?}", served.audit());
}

/// A heavy statement of one client, and the times of short ones of another beside it.
#[test]
fn a_heavy_statement_leaves_room_for_short_ones() {
    let served = Served::start(&[]);
    let got = served.python("serve_beside.py", &["3"]);
    println!("p50 alone {} ms, beside a heavy statement {} ms; p99 {} ms", got["alone"], got["p50"], got["p99"]);
    assert!(got["statements"].as_u64().unwrap() >= 5, "{got}");
    // Generous, for the machine of the tests is busy; without threads of its own a statement would wait for the whole second.
    assert!(got["p99"].as_f64().unwrap() < 3_000.0, "{got}");
}

/// Every statement that a hostile reader sends is refused or stopped at a limit, the server lives, another session goes on.
#[test]
fn hostile_statements_are_refused_or_stopped_and_nobody_else_notices() {
    let dir = folder();
    let roles = path(dir.path(), "roles.toml");
    std::fs::write(&roles, "[reader]\nseconds = 3\nmemory = \"96MiB\"\nspill = \"64MiB\"\nrows = 200000\n").unwrap();
    let served = Served::start(&["--roles", &roles, "--memory", "512MiB"]);
    let rounds = std::env::var("HARMONIZE_HOSTILE").unwrap_or_else(|_| "150".into());
    let before = served.resident();
    let got = served.python("hostile.py", &[&rounds, &served.pid().to_string()]);
    println!("{got:#}");
    assert_eq!(got["survived"], true, "{got}");
    assert_eq!(got["other session"], true, "{got}");
    assert_eq!(got["answered"], json!([]), "statements that should have been refused: {got}");
    let defects = ["XX000", "closed"].map(|state| got["states"][state].clone());
    assert_eq!(defects, [Value::Null, Value::Null], "a panic, or a connection that was cut: {got}");
    assert_eq!(got["slow"], json!([]), "statements that went on after their time: {got}");
    assert_eq!(got["statements"].as_u64().unwrap().to_string(), rounds);
    let most = got["most resident"].as_u64().unwrap();
    assert!(most < before + (1 << 30), "{} MiB before, {} MiB at most", before >> 20, most >> 20);
    assert!(
        served.resident() < before + (512 << 20),
        "{} MiB before, {} MiB after",
        before >> 20,
        served.resident() >> 20
    );
}

#[test]
fn users_are_asked_for_their_password_on_standard_input_and_mistakes_are_told() {
    let dir = folder();
    let users = path(dir.path(), "users.toml");
    let ended = run(&["serve", "user", "list", "--users", &users]);
    assert_eq!(ended.code, 2, "{}", ended.err);
    let nothing = harmonize(&["serve", "user", "add", "ana", "--role", "reader", "--users", &users]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2), "an empty password");
    let role = harmonize(&["serve", "user", "add", "ana", "--role", "king", "--users", &users]).output().unwrap();
    assert!(String::from_utf8_lossy(&role.stderr).contains("analyst"));
    add_user(&users, "ana", "reader");
    assert_eq!(run(&["serve", "user", "remove", "bob", "--users", &users]).code, 2);
    assert_eq!(run(&["serve", "user", "remove", "ana", "--users", &users]).code, 0);
    let empty = run(&["serve", "--lake", lake(), "--registry", &lab().registry, "--users", &users]);
    assert_eq!(empty.code, 2, "{}", empty.err);
    std::fs::set_permissions(&users, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let open = run(&["serve", "--lake", lake(), "--registry", &lab().registry, "--users", &users]);
    assert_eq!(open.code, 22, "{}", open.err);
}
