//! The lake over PostgreSQL's wire protocol: users, roles and their limits, and the server as one that runs it sees it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::lab::{folder, harmonize, lab, ok, path, run};
use crate::support::models::Models;
use crate::support::served::{LINES, SECRET, Served, add_user, certificate, lake};

/// One that is stopped by nobody in the time of a test.
const HEAVY: &str = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b WHERE (a.value * b.value) % 7 = 3";

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
