//! A server over a small lake, users that may connect to it, and the clients that do.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::lab::{harmonize, lab, ok, path};
use super::servers;

/// Lines in the lake's table of predictions.
pub const LINES: i64 = 3_000;
/// Every user's password is the name with this behind it.
pub const SECRET: &str = "-secret word";

/// A lake with predictions, made once; nobody changes it.
pub fn lake() -> &'static str {
    static LAKE: OnceLock<(tempfile::TempDir, String)> = OnceLock::new();
    &LAKE
        .get_or_init(|| {
            let dir = tempfile::tempdir().unwrap();
            let (input, lake) = (path(dir.path(), "in"), path(dir.path(), "lake"));
            let rows = LINES.to_string();
            ok(&["sample", "--output", &input, "--rows", &rows, "--seed", "5"]);
            ok(&["classify", "--input", &input, "--id", "line_id", "--lake", &lake, "--registry", &lab().registry]);
            (dir, lake)
        })
        .1
}

/// A server that ends with this value.
pub struct Served {
    process: Child,
    pub port: u16,
    /// Of the pages, if they are served.
    pub http: Option<u16>,
    pub dir: tempfile::TempDir,
}

impl Served {
    /// With the users ana (analyst), rita (reader) and otto (operator), the lab's model, an audit log, and more arguments.
    pub fn start(args: &[&str]) -> Served {
        Served::over(lake(), &lab().registry, args)
    }

    pub fn over(lake: &str, registry: &str, args: &[&str]) -> Served {
        Served::over_with(lake, registry, args, &[])
    }

    /// With more environment.
    pub fn over_with(lake: &str, registry: &str, args: &[&str], env: &[(String, String)]) -> Served {
        let dir = tempfile::tempdir().unwrap();
        let (users, audit) = (path(dir.path(), "users.toml"), path(dir.path(), "audit.jsonl"));
        for (name, role) in [("ana", "analyst"), ("rita", "reader"), ("otto", "operator")] {
            add_user(&users, name, role);
        }
        let mut all = vec!["serve", "--lake", lake, "--registry", registry, "--users", &users, "--audit-log", &audit];
        if !args.contains(&"--listen") {
            all.extend(["--listen", "127.0.0.1:0"]);
        }
        if !args.contains(&"--model") {
            all.extend(["--model", "hs@1"]);
        }
        all.extend(args);
        let mut command = harmonize(&all);
        command.envs(env.iter().cloned());
        Served::spawn(command, dir)
    }

    fn spawn(mut command: Command, dir: tempfile::TempDir) -> Served {
        let mut process = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let wants_http = format!("{command:?}").contains("--http");
        let (mut port, mut http) = (None, None);
        while port.is_none() || (wants_http && http.is_none()) {
            let Some(Ok(line)) = lines.next() else { panic!("the server did not start: {said}") };
            if let Some(rest) = line.strip_prefix("listening on ") {
                port =
                    rest.split(',').next().and_then(|address| address.rsplit(':').next()).map(|p| p.parse().unwrap());
            }
            if let Some((_, address)) = line.split_once("metrics on http://") {
                http = address.rsplit(':').next().map(|port| port.parse().unwrap());
            }
            said.push_str(&line);
            said.push('\n');
        }
        // Its log is read so that it never waits for a reader.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| println!("server: {line}")));
        Served { process, port: port.unwrap(), http, dir }
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap().success());
    }

    /// Waits for its end; the exit code.
    pub fn wait(&mut self, most: Duration) -> Option<i32> {
        let until = Instant::now() + most;
        while Instant::now() < until {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// The lines of the audit log.
    pub fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("audit.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }

    /// Waits until so many statements run; whether they do. Needs `--http`.
    pub fn running(&self, n: u32) -> bool {
        let until = Instant::now() + Duration::from_secs(15);
        let line = format!("harmonize_statements_running {n}");
        while Instant::now() < until {
            if self.page("metrics").1.lines().any(|there| there == line) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// Resident memory of the process in bytes.
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// A page of the server: status and body.
    pub fn page(&self, page: &str) -> (u16, String) {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.http.unwrap())).unwrap();
        write!(stream, "GET /{page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split_whitespace().nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// `psql` as a user; `None` where it is not installed.
    pub fn psql(&self, user: &str, args: &[&str]) -> Option<Psql> {
        self.psql_with(user, args, &[("PGSSLMODE", "disable")])
    }

    pub fn psql_with(&self, user: &str, args: &[&str], env: &[(&str, &str)]) -> Option<Psql> {
        let mut command = self.psql_command(user)?;
        let output = command.envs(env.iter().copied()).args(args).output().unwrap();
        Some(Psql {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// The command of `psql`, which prints bare rows and SQLSTATEs.
    pub fn psql_command(&self, user: &str) -> Option<Command> {
        let found = ["/usr/bin/psql", "/usr/local/bin/psql"].into_iter().find(|path| Path::new(path).exists());
        let Some(found) = found else {
            lacking("psql (Debian: postgresql-client)");
            return None;
        };
        let mut command = Command::new(found);
        command
            .args([
                "-X",
                "-A",
                "-t",
                "-v",
                "VERBOSITY=verbose",
                "-h",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-U",
                user,
            ])
            .args(["-d", "lake"])
            .env("PGPASSWORD", format!("{user}{SECRET}"))
            .env("PGCONNECT_TIMEOUT", "20")
            .stdin(Stdio::null());
        Some(command)
    }

    /// Runs `tests/<script>` with the port, and what it prints.
    pub fn python(&self, script: &str, args: &[&str]) -> Value {
        let port = self.port.to_string();
        servers::python(script, &[&[port.as_str()], args].concat(), &[])
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How psql ended.
#[derive(Debug)]
pub struct Psql {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Psql {
    /// The rows of a success.
    pub fn rows(&self) -> Vec<&str> {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out.lines().collect()
    }

    /// The SQLSTATE of its first error.
    pub fn state(&self) -> &str {
        let after = |word: &str| self.err.split_once(word).map(|(_, rest)| rest.trim_start());
        let rest = after("ERROR:").or_else(|| after("FATAL:"));
        rest.and_then(|rest| rest.split(':').next()).unwrap_or_else(|| panic!("no error: {} {}", self.out, self.err))
    }
}

pub fn add_user(users: &str, name: &str, role: &str) {
    let mut add = harmonize(&["serve", "user", "add", name, "--role", role, "--users", users])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(add.stdin.take().unwrap(), "{name}{SECRET}").unwrap();
    let ended = add.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}

/// A certificate for localhost that signs itself, and its key; `None` without `openssl`.
pub fn certificate(dir: &Path) -> Option<(PathBuf, PathBuf)> {
    let (certificate, key) = (dir.join("server.crt"), dir.join("server.key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output();
    match made {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Command::new("chmod").arg("600").arg(&key).status().unwrap();
            Some((certificate, key))
        }
        Err(_) => {
            lacking("openssl");
            None
        }
    }
}

/// Passes over a test for want of a program, but where every one has to be there.
pub fn lacking(program: &str) {
    assert!(std::env::var_os("HARMONIZE_REQUIRE_CLIENTS").is_none(), "there is no {program}");
    println!("skipped: {program} is not installed");
}
