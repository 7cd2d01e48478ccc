//! Each limit of a role and of the server, met from both sides: what just fits is answered, what goes beyond ends as the manual
//! says. And a lake on S3, with a store that fails in between.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::lab::{folder, lab, ok_with, path};
use crate::support::models::Models;
use crate::support::proxy::{Fault, Proxy};
use crate::support::served::{Served, lake};
use crate::support::servers::S3;

/// One that is stopped by nobody in the time of a test.
const HEAVY: &str = "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 1000000) b WHERE (a.value * b.value) % 7 = 3";

#[test]
fn each_limit_of_a_role_ends_what_goes_beyond_it_and_nothing_less() {
    let dir = folder();
    let roles = path(dir.path(), "roles.toml");
    let limits = "[reader]\nrows = 40\nstatement-bytes = 3000\ndepth = 50\nbrackets = 5\nlist-terms = 20\npattern-bytes = 12\n\
                  schemas = [\"public\"]\n";
    std::fs::write(&roles, limits).unwrap();
    let served = Served::start(&["--roles", &roles]);
    let brackets = |n: usize| format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n));
    let sums = |n: usize| format!("SELECT 1{}", " + 1".repeat(n));
    let terms = |n: usize| {
        let terms: Vec<String> = (0..n).map(|n| n.to_string()).collect();
        format!("SELECT 1 WHERE 0 IN ({})", terms.join(","))
    };
    let long = |n: usize| format!("SELECT '{}'", "x".repeat(n - "SELECT ''".len()));
    let pattern = |n: usize| format!("SELECT 'x' ~ '{}'", "x".repeat(n));
    let rows = |n: usize| format!("SELECT value FROM generate_series(1, {n})");
    for (what, fits, beyond, state) in [
        ("rows", rows(40), rows(41), "54000"),
        ("statement-bytes", long(3_000), long(3_001), "54000"),
        ("depth", sums(49), sums(51), "54001"),
        ("brackets", brackets(5), brackets(6), "54001"),
        ("list-terms", terms(20), terms(21), "54001"),
        ("pattern-bytes", pattern(12), pattern(13), "54000"),
        (
            "schemas",
            "SELECT count(*) FROM public.runs".into(),
            "SELECT count(*) FROM information_schema.tables".into(),
            "42501",
        ),
    ] {
        let Some(fitted) = served.psql("rita", &["-c", &fits]) else { return };
        assert_eq!(fitted.code, 0, "{what}: {}", fitted.err);
        let ended = served.psql("rita", &["-c", &beyond]).unwrap();
        assert_eq!(ended.state(), state, "{what}: {}", ended.err);
        // Another role has its own.
        let other = served.psql("ana", &["-c", &beyond]).unwrap();
        assert_eq!(other.code, 0, "{what}: {}", other.err);
    }
}

/// What lies within itself is answered or refused in the time that its length takes: no text of a few hundred bytes keeps a core.
#[test]
fn nested_statements_take_no_longer_than_flat_ones() {
    let served = Served::start(&[]);
    let got = served.python("serve_nesting.py", &[]);
    println!("{got:#}");
    assert!(got["longest"][0][0].as_f64().unwrap() < 10.0, "{got:#}");
    assert!(got["answered"].as_u64().unwrap() > 100, "{got:#}");
    assert!(got["states"].get("XX000").is_none(), "{got:#}");
}

/// A connection of psql that stays.
fn staying(served: &Served, user: &str, sql: &str) -> Option<Child> {
    let mut command = served.psql_command(user)?;
    let command = command.args(["-c", sql, "-c", "\\! sleep 60"]).env("PGSSLMODE", "disable");
    Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Waits for a line of the metrics.
fn until_metric(served: &Served, line: &str) {
    let until = Instant::now() + Duration::from_secs(15);
    while !served.page("metrics").1.lines().any(|there| there == line) {
        assert!(Instant::now() < until, "no {line} in {}", served.page("metrics").1);
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn connections_are_bounded_for_a_user_and_for_all() {
    let dir = folder();
    let roles = path(dir.path(), "roles.toml");
    std::fs::write(&roles, "[reader]\nconnections = 1\n").unwrap();
    let served = Served::start(&["--roles", &roles, "--max-connections", "2", "--http", "127.0.0.1:0"]);
    let Some(first) = staying(&served, "rita", "SELECT 1") else { return };
    until_metric(&served, "harmonize_connections 1");
    // psql shows no SQLSTATE of a connection that is refused.
    let refused = |user: &str| served.psql(user, &["-c", "SELECT 1"]).unwrap().err;
    assert!(refused("rita").contains("too many connections of this user"), "{}", refused("rita"));
    assert_eq!(served.psql("ana", &["-c", "SELECT 1"]).unwrap().rows(), ["1"]);
    let second = staying(&served, "ana", "SELECT 1").unwrap();
    until_metric(&served, "harmonize_connections 2");
    assert!(refused("otto").contains("too many clients"), "{}", refused("otto"));
    end(first);
    until_metric(&served, "harmonize_connections 1");
    assert_eq!(served.psql("rita", &["-c", "SELECT 1"]).unwrap().rows(), ["1"]);
    end(second);
}

#[test]
fn statements_wait_for_their_turn_and_too_many_are_refused() {
    let served = Served::start(&["--max-statements", "1", "--max-waiting", "1", "--http", "127.0.0.1:0"]);
    let Some(running) = staying(&served, "otto", HEAVY) else { return };
    assert!(served.running(1));
    let waiting = staying(&served, "rita", HEAVY).unwrap();
    until_metric(&served, "harmonize_statements_waiting 1");
    assert_eq!(served.psql("ana", &["-c", "SELECT count(*) FROM runs"]).unwrap().state(), "53300");
    // The one that waits gives up: there is room to wait, and a place when the one that runs is gone.
    end(waiting);
    until_metric(&served, "harmonize_statements_waiting 0");
    let mut command = served.psql_command("ana").unwrap();
    let command = command.args(["-c", "SELECT count(*) FROM runs"]).env("PGSSLMODE", "disable").stdout(Stdio::piped());
    let patient = command.spawn().unwrap();
    until_metric(&served, "harmonize_statements_waiting 1");
    end(running);
    assert_eq!(String::from_utf8_lossy(&patient.wait_with_output().unwrap().stdout).trim(), "1");
}

#[test]
fn a_connection_that_is_idle_for_too_long_is_told_and_ended() {
    let served = Served::start(&["--idle", "1"]);
    let args = ["-c", "SELECT 1", "-c", "\\! sleep 2.5", "-c", "SELECT 2"];
    let Some(ended) = served.psql("ana", &args) else { return };
    assert!(ended.out.starts_with('1') && !ended.out.contains('2'), "{ended:?}");
    assert!(ended.err.contains("57P05"), "{}", ended.err);
    // One that works is not idle, however long it takes.
    let slow = "SELECT count(*) FROM generate_series(1, 60000) a, generate_series(1, 20000) b WHERE (a.value * b.value) % 7 = 3";
    let worked = served.psql("ana", &["-c", slow, "-c", "SELECT 2"]).unwrap();
    assert!(worked.rows().contains(&"2"), "{worked:?}");
}

/// A statement that was prepared sees the lake, and the model of an alias, as they are when it is run.
#[test]
fn a_prepared_statement_asks_the_champion_of_its_time() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 2);
    models.promote(1);
    let served = Served::over(lake(), &models.url, &["--model", "hs@champion"]);
    let got = served.python("serve_prepared.py", &[env!("CARGO_BIN_EXE_harmonize"), &models.url]);
    assert_eq!(got["models"], serde_json::json!(["hs@1", "hs@1", "hs@2"]), "{got}");
    assert_eq!(got["statements"], 1, "{got}");
}

#[test]
fn a_lake_on_s3_is_served_and_a_store_that_fails_is_told_and_found_again() {
    let s3 = S3::moto();
    let models = folder();
    let (input, lake) = (s3.url("in"), s3.url("lake"));
    let env = s3.env();
    ok_with(&["sample", "--output", &input, "--rows", "400", "--seed", "9"], &env);
    let classify = ["classify", "--input", &input, "--id", "line_id", "--lake", &lake, "--registry", &lab().registry];
    ok_with(&classify, &env);
    let registry = Models::new(models.path(), &s3.url("models"), 1, &env).url;
    let proxy = Proxy::before(&s3.endpoint);
    let mut through = env.clone();
    through.iter_mut().filter(|(name, _)| name == "AWS_ENDPOINT").for_each(|(_, at)| proxy.endpoint.clone_into(at));
    let served = Served::over_with(&lake, &registry, &["--http", "127.0.0.1:0"], &through);
    let count = "SELECT count(*), sum(length(description)) > 0 FROM predictions";
    let Some(before) = served.psql("ana", &["-c", count]) else { return };
    assert_eq!(before.rows(), ["400|t"]);
    let scored =
        served.psql("ana", &["-c", "SELECT count(DISTINCT hs_code(description)) > 1 FROM predictions"]).unwrap();
    assert_eq!(scored.rows(), ["t"]);
    // A new run is seen.
    let more = s3.url("more");
    ok_with(&["sample", "--output", &more, "--rows", "100", "--seed", "10"], &env);
    ok_with(&["classify", "--input", &more, "--id", "line_id", "--lake", &lake, "--registry", &registry], &env);
    std::thread::sleep(Duration::from_millis(1_100));
    assert_eq!(served.psql("ana", &["-c", count]).unwrap().rows(), ["500|t"]);
    // The data cannot be read: the statement ends with a state that says so, and others go on.
    proxy.inject(Fault::Lost, &["GET", ".parquet"]);
    let failed = served.psql("ana", &["-c", count]).unwrap();
    assert_eq!(failed.state(), "58030", "{}", failed.err);
    assert!(!failed.err.contains("testtest"), "{}", failed.err);
    assert_eq!(served.psql("ana", &["-c", "SELECT 1"]).unwrap().rows(), ["1"]);
    assert_eq!(served.page("health").0, 200);
    proxy.heal();
    assert_eq!(served.psql("ana", &["-c", count]).unwrap().rows(), ["500|t"]);
}
