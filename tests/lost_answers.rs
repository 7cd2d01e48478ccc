use crate::support::lab::{classify_args, folder, ok_with, path, run_with, write_lines};
use crate::support::proxy::{Fault, Proxy};
use crate::support::servers::{S3, python};

/// A lake behind a proxy, and lines on disk.
struct Behind {
    s3: S3,
    proxy: Proxy,
    env: Vec<(String, String)>,
    input: String,
    _dir: tempfile::TempDir,
}

impl Behind {
    fn new() -> Behind {
        let s3 = S3::moto();
        let proxy = Proxy::before(&s3.endpoint);
        let mut env = s3.env();
        env.iter_mut().filter(|(n, _)| n == "AWS_ENDPOINT").for_each(|(_, v)| *v = proxy.endpoint.clone());
        let dir = folder();
        write_lines(&dir.path().join("in.parquet"), &[Some("steel bolts"), Some("cotton shirts"), None]);
        let input = path(dir.path(), "in.parquet");
        Behind { s3, proxy, env, input, _dir: dir }
    }

    /// Rows and runs as an independent reader sees them, past the proxy.
    fn seen(&self, lake: &str) -> (i64, i64) {
        let rows = |table: &str| {
            let url = format!("{lake}/{table}");
            python("read_delta.py", &[&url, "--engine", "duckdb", "--no-data"], &self.s3.env())["rows"]
                .as_i64()
                .unwrap()
        };
        (rows("predictions"), rows("runs"))
    }

    /// Keys of data files.
    fn data_files(&self, lake: &str) -> usize {
        let keys = python("s3_list.py", &[&format!("{lake}/predictions/")], &self.s3.env());
        keys.as_array().unwrap().iter().filter(|k| k.as_str().unwrap().ends_with(".parquet")).count()
    }
}

/// The second version of the log is the one that makes the rows visible; the first creates the table.
const COMMIT: [&str; 2] = ["PUT", "predictions/_delta_log/00000000000000000001.json"];

/// The answer to our own commit is lost, the retry finds "already exists": that is us, and the run succeeded.
#[test]
fn a_commit_whose_answer_is_lost_is_found_in_the_log() {
    let at = Behind::new();
    let lake = at.s3.url("lake");
    at.proxy.inject(Fault::AnswerLost, &COMMIT);
    let out = ok_with(&classify_args(&at.input, &lake), &at.env);
    assert_eq!(at.proxy.hits(), 1, "the fault struck");
    assert!(!out.contains("already done"), "{out}");
    assert_eq!((at.seen(&lake), at.data_files(&lake)), ((3, 1), 1));
    assert!(ok_with(&classify_args(&at.input, &lake), &at.env).contains("already done"));
}

/// The same for the commit that creates the table, for that of the run's record, and for a data file.
#[test]
fn any_answer_can_get_lost() {
    for (n, words) in [
        &["PUT", "predictions/_delta_log/00000000000000000000.json"][..],
        &["PUT", "runs/_delta_log/00000000000000000000.json"],
        &["PUT", "runs/_delta_log/00000000000000000001.json"],
        &["PUT", "predictions/run_date"],
    ]
    .into_iter()
    .enumerate()
    {
        let at = Behind::new();
        let lake = at.s3.url(&format!("lake-{n}"));
        at.proxy.inject(Fault::AnswerLost, words);
        let ended = run_with(&classify_args(&at.input, &lake), &at.env);
        assert_eq!(at.proxy.hits(), 1, "{words:?}");
        assert_eq!(ended.code, 0, "{words:?} {}", ended.err);
        assert_eq!(at.seen(&lake), (3, 1), "{words:?}");
    }
}

/// The store does the commit and falls silent: nobody can know. Nothing is deleted, and the next start finds out.
#[test]
fn silence_after_the_commit_is_unknown_and_loses_nothing() {
    let at = Behind::new();
    let lake = at.s3.url("lake");
    at.proxy.inject(Fault::AnswerLostThenSilence, &COMMIT);
    let ended = run_with(&classify_args(&at.input, &lake), &at.env);
    assert_eq!(ended.code, 32, "{}", ended.err);
    assert!(ended.err.contains("run the same command again"), "{}", ended.err);
    assert_eq!(at.data_files(&lake), 1, "a file that may be visible stays");
    at.proxy.heal();
    assert!(ok_with(&classify_args(&at.input, &lake), &at.env).contains("already done"));
    assert_eq!(at.seen(&lake), (3, 1));
}

/// The commit never arrives: for the program the same silence, and the next start does the work.
#[test]
fn silence_before_the_commit_is_unknown_and_the_next_start_does_the_work() {
    let at = Behind::new();
    let lake = at.s3.url("lake");
    at.proxy.inject(Fault::Silence, &COMMIT);
    let ended = run_with(&classify_args(&at.input, &lake), &at.env);
    assert_eq!(ended.code, 32, "{}", ended.err);
    at.proxy.heal();
    let out = ok_with(&classify_args(&at.input, &lake), &at.env);
    assert!(!out.contains("already done"), "{out}");
    assert_eq!(at.seen(&lake), (3, 1));
}

/// Before the commit a silent store is just that: 31, nothing visible.
#[test]
fn silence_while_data_are_written_ends_with_31() {
    let at = Behind::new();
    let lake = at.s3.url("lake");
    at.proxy.inject(Fault::Silence, &["PUT", "predictions/run_date"]);
    let ended = run_with(&classify_args(&at.input, &lake), &at.env);
    assert_eq!(ended.code, 31, "{}", ended.err);
    at.proxy.heal();
    ok_with(&classify_args(&at.input, &lake), &at.env);
    assert_eq!(at.seen(&lake), (3, 1));
}
