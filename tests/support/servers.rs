//! The programs that the tests run harmonize against: S3 servers on loopback, and readers in Python.
//!
//! One server of a kind serves the whole test process, each test in a bucket of its own. A server runs
//! under a script that holds our pipe: however this process ends, the pipe closes, and the script ends
//! the server and removes its directory. Nothing here reaches beyond 127.0.0.1.

use std::io::{BufRead, BufReader, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};

/// A fresh, empty bucket on a shared server.
pub struct S3 {
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    pub bucket: String,
    checks_keys: bool,
}

impl S3 {
    /// moto: complete semantics of conditional PUT, takes any key. Ready in two seconds.
    pub fn moto() -> S3 {
        static SERVER: OnceLock<Server> = OnceLock::new();
        let server = SERVER.get_or_init(|| Server::start("s3_moto").expect("tests/s3_moto never exits with 77"));
        S3::fresh_bucket(server, false)
    }

    /// Ceph's gateway: checks signatures and rights. `None` where its Debian packages are missing.
    ///
    /// # Panics
    /// Where they are missing though `HARMONIZE_REQUIRE_CEPH=1` promises them.
    pub fn ceph() -> Option<S3> {
        static SERVER: OnceLock<Option<Server>> = OnceLock::new();
        let server = SERVER.get_or_init(|| Server::start("s3_ceph"));
        if server.is_none() {
            let required = std::env::var("HARMONIZE_REQUIRE_CEPH").is_ok_and(|value| value == "1");
            assert!(!required, "HARMONIZE_REQUIRE_CEPH=1, but Ceph is not installed");
            println!("skipped: Ceph is not installed");
        }
        server.as_ref().map(|server| S3::fresh_bucket(server, true))
    }

    fn fresh_bucket(server: &Server, checks_keys: bool) -> S3 {
        S3 { endpoint: server.endpoint.clone(), bucket: String::new(), checks_keys }.sibling()
    }

    /// Another fresh bucket on the same server.
    pub fn sibling(&self) -> S3 {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let bucket = format!("bucket-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        administer(&self.endpoint, "create", &bucket);
        S3 { endpoint: self.endpoint.clone(), bucket, checks_keys: self.checks_keys }
    }

    /// `s3://bucket/key`
    pub fn url(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    /// The `AWS_*` environment of the bucket's owner.
    pub fn env(&self) -> Vec<(String, String)> {
        self.env_of("test", "testtest")
    }

    /// A known user with a wrong secret: every request is refused. Ceph only.
    pub fn wrong_keys(&self) -> Vec<(String, String)> {
        self.checked_env_of("test", "wrong")
    }

    /// A valid user without rights on the bucket, unless [`S3::read_only_keys`] gave some. Ceph only.
    pub fn stranger_keys(&self) -> Vec<(String, String)> {
        self.checked_env_of("reader", "readerreader")
    }

    /// Lets that user list the bucket and get its objects, never write. Ceph only.
    pub fn read_only_keys(&self) -> Vec<(String, String)> {
        let env = self.stranger_keys();
        administer(&self.endpoint, "allow_reads", &self.bucket);
        env
    }

    fn checked_env_of(&self, key: &str, secret: &str) -> Vec<(String, String)> {
        assert!(self.checks_keys, "moto takes any key: a refusal can only be tested with Ceph");
        self.env_of(key, secret)
    }

    fn env_of(&self, key: &str, secret: &str) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ALLOW_HTTP", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }
}

/// Runs `tests/<script>` in the venv and parses what it prints.
///
/// # Panics
/// If it fails, with what it said on standard error.
pub fn python(script: &str, args: &[&str], env: &[(String, String)]) -> Value {
    let printed = run_python(script, args, env, Stdio::null());
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{script} printed no JSON ({error}): {printed}"))
}

/// The same for a script that answers each JSON line of its standard input with a JSON line.
pub fn python_lines(script: &str, args: &[&str], input: &[Value]) -> Vec<Value> {
    let mut file = tempfile::tempfile().unwrap();
    for value in input {
        writeln!(file, "{value}").unwrap();
    }
    file.rewind().unwrap();
    let printed = run_python(script, args, &[], file.into());
    let lines: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), input.len(), "{script} answers every line");
    lines
}

/// What a script that has to fail says on standard error.
pub fn python_refused(script: &str, args: &[&str]) -> String {
    let output = ended(script, args, &[], Stdio::null());
    assert!(!output.status.success(), "{script} {args:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn ended(script: &str, args: &[&str], env: &[(String, String)], input: Stdio) -> Output {
    Command::new(interpreter())
        .arg(tests().join(script))
        .args(args)
        .envs(env.iter().map(|(name, value)| (name, value)))
        .stdin(input)
        .output()
        .unwrap()
}

fn run_python(script: &str, args: &[&str], env: &[(String, String)], input: Stdio) -> String {
    let output = ended(script, args, env, input);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} {args:?}: {}\n{complaint}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The venv of `tests/setup`, made on first use if `tests/run` has not.
fn venv() -> &'static Path {
    static VENV: OnceLock<PathBuf> = OnceLock::new();
    VENV.get_or_init(|| {
        assert!(Command::new(tests().join("setup")).status().unwrap().success(), "tests/setup failed");
        let named = std::env::var_os("HARMONIZE_VENV").filter(|value| !value.is_empty());
        named.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv"), PathBuf::from)
    })
}

/// Python with what the tests need.
pub fn interpreter() -> PathBuf {
    venv().join("bin/python")
}

struct Server {
    endpoint: String,
    /// Never written to: the server ends when this closes.
    _lifeline: Peer,
}

impl Server {
    /// `None` if the script says with exit code 77 that its server is not installed.
    fn start(script: &str) -> Option<Server> {
        // The server and the first use of the admin script warm up side by side.
        admin();
        let dir = tempfile::Builder::new().prefix(script).tempdir().unwrap().keep();
        let mut serve = Command::new(tests().join(script));
        serve.arg("serve").arg(&dir).arg("0").env("HARMONIZE_VENV", venv());
        let mut peer = Peer::spawn(serve);
        let endpoint = peer.read_line();
        if endpoint.is_empty() {
            let status = peer.process.wait().unwrap();
            let _ = std::fs::remove_dir_all(&dir);
            assert_eq!(status.code(), Some(77), "tests/{script} failed: {status}");
            return None;
        }
        Some(Server { endpoint, _lifeline: peer })
    }
}

/// A process that lives until our end of its standard input closes.
struct Peer {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn spawn(mut command: Command) -> Peer {
        // In a group of its own, so that a signal to ours leaves it the time to clean up.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Peer { process, input, output }
    }

    /// The next line without its end; empty once the process is gone.
    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

fn admin() -> &'static Mutex<Peer> {
    static ADMIN: OnceLock<Mutex<Peer>> = OnceLock::new();
    ADMIN.get_or_init(|| {
        let mut command = Command::new(interpreter());
        command.arg(tests().join("s3_admin.py"));
        Mutex::new(Peer::spawn(command))
    })
}

fn administer(endpoint: &str, action: &str, bucket: &str) {
    let mut admin = admin().lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(admin.input, "{}", json!([endpoint, action, bucket])).unwrap();
    assert_eq!(admin.read_line(), "null", "tests/s3_admin.py");
}
