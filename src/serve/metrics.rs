//! What the server counts, in the text format of Prometheus. No name of a user and no text of a statement is in it.

use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::roles::Role;

/// Upper bounds of the histogram's buckets, in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0];

/// How a statement can end, as the audit log says it.
pub(super) const OUTCOMES: [&str; 6] = ["ok", "refused", "failed", "canceled", "limit", "gone"];

#[derive(Debug, Default)]
struct OfRole {
    outcomes: [AtomicU64; OUTCOMES.len()],
    buckets: [AtomicU64; BUCKETS.len()],
    count: AtomicU64,
    microseconds: AtomicU64,
    rows: AtomicU64,
}

/// Counters that only go up, and gauges.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    roles: [OfRole; 3],
    pub connections: AtomicI64,
    pub connections_total: AtomicU64,
    pub connections_refused_total: AtomicU64,
    pub logins_failed_total: AtomicU64,
    pub refreshes_failed_total: AtomicU64,
}

/// What is read at the moment of asking.
pub(super) struct Now {
    pub running: usize,
    pub waiting: usize,
    pub memory_bytes: usize,
    pub memory_limit_bytes: usize,
    pub resident_bytes: u64,
    pub audit_writes: bool,
    /// Name, version and digest of the default model.
    pub model: Option<(String, u64, String)>,
}

impl Metrics {
    /// Counts a statement that has ended.
    pub fn statement(&self, role: Role, outcome: &str, took: Duration, rows: u64) {
        let of = &self.roles[role as usize];
        if let Some(outcome) = OUTCOMES.iter().position(|known| *known == outcome) {
            of.outcomes[outcome].fetch_add(1, Ordering::Relaxed);
        }
        let bucket = BUCKETS.iter().position(|most| took.as_secs_f64() <= *most);
        if let Some(bucket) = bucket {
            of.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        of.count.fetch_add(1, Ordering::Relaxed);
        of.microseconds.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        of.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// The page.
    pub fn page(&self, now: &Now) -> String {
        let mut page = Page(String::new());
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        page.head("connections", "gauge", "Open connections.");
        page.value("connections", "", self.connections.load(Ordering::Relaxed) as f64);
        for (name, help, counter) in [
            ("connections_total", "Connections that were taken.", &self.connections_total),
            ("connections_refused_total", "Connections refused for their number.", &self.connections_refused_total),
            ("logins_failed_total", "Logins that were refused.", &self.logins_failed_total),
            ("refreshes_failed_total", "Times the lake could not be looked at.", &self.refreshes_failed_total),
        ] {
            page.head(name, "counter", help);
            page.value(name, "", read(counter));
        }
        self.statements(&mut page);
        for (name, help, value) in [
            ("statements_running", "Statements that run.", now.running as f64),
            ("statements_waiting", "Statements that wait for their turn.", now.waiting as f64),
            ("memory_bytes", "What operators of statements hold.", now.memory_bytes as f64),
            ("memory_limit_bytes", "What they may hold together.", now.memory_limit_bytes as f64),
            ("resident_memory_bytes", "Memory of the process.", now.resident_bytes as f64),
            ("audit_log_writes", "Whether the last line of the audit log was written.", f64::from(now.audit_writes)),
        ] {
            page.head(name, "gauge", help);
            page.value(name, "", value);
        }
        if let Some((name, version, digest)) = &now.model {
            page.head("model_info", "gauge", "The model that answers where none is named.");
            page.value("model_info", &format!("model=\"{name}\",version=\"{version}\",digest=\"{digest}\""), 1.0);
        }
        page.0
    }

    fn statements(&self, page: &mut Page) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let roles = || Role::ALL.iter().zip(&self.roles);
        page.head("statements_total", "counter", "Statements that have ended, by how.");
        for (role, of) in roles() {
            for (outcome, count) in OUTCOMES.iter().zip(&of.outcomes) {
                page.value("statements_total", &format!("role=\"{role}\",outcome=\"{outcome}\""), read(count));
            }
        }
        page.head("rows_total", "counter", "Rows that were sent.");
        for (role, of) in roles() {
            page.value("rows_total", &format!("role=\"{role}\""), read(&of.rows));
        }
        page.head("statement_seconds", "histogram", "From a statement's arrival to its last row.");
        for (role, of) in roles() {
            let mut sum = 0.0;
            for (most, count) in BUCKETS.iter().zip(&of.buckets) {
                sum += read(count);
                page.value("statement_seconds_bucket", &format!("role=\"{role}\",le=\"{most}\""), sum);
            }
            page.value("statement_seconds_bucket", &format!("role=\"{role}\",le=\"+Inf\""), read(&of.count));
            page.value("statement_seconds_sum", &format!("role=\"{role}\""), read(&of.microseconds) / 1e6);
            page.value("statement_seconds_count", &format!("role=\"{role}\""), read(&of.count));
        }
    }
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP harmonize_{name} {help}\n# TYPE harmonize_{name} {kind}\n");
    }

    fn value(&mut self, name: &str, labels: &str, value: f64) {
        let _ = match labels {
            "" => writeln!(self.0, "harmonize_{name} {value}"),
            labels => writeln!(self.0, "harmonize_{name}{{{labels}}} {value}"),
        };
    }
}

/// Memory of this process that is in use, as the system counts it; zero where it does not.
pub(super) fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok().and_then(|text| {
        let pages = text.split_whitespace().nth(1)?;
        pages.parse::<u64>().ok()
    });
    pages.unwrap_or(0) * PAGE_BYTES
}

/// Of x86-64, and of aarch64 as most are built.
const PAGE_BYTES: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_what_was_counted_and_buckets_that_add_up() {
        let metrics = Metrics::default();
        metrics.statement(Role::Analyst, "ok", Duration::from_millis(3), 10);
        metrics.statement(Role::Analyst, "failed", Duration::from_secs(1_000), 0);
        let model = Some(("hs".to_owned(), 3, "ab".to_owned()));
        let page = metrics.page(&Now {
            running: 1,
            waiting: 0,
            memory_bytes: 5,
            memory_limit_bytes: 10,
            resident_bytes: resident_bytes(),
            audit_writes: true,
            model,
        });
        for line in [
            "harmonize_statements_total{role=\"analyst\",outcome=\"ok\"} 1",
            "harmonize_statements_total{role=\"analyst\",outcome=\"failed\"} 1",
            "harmonize_rows_total{role=\"analyst\"} 10",
            "harmonize_statement_seconds_bucket{role=\"analyst\",le=\"0.0025\"} 0",
            "harmonize_statement_seconds_bucket{role=\"analyst\",le=\"0.005\"} 1",
            "harmonize_statement_seconds_bucket{role=\"analyst\",le=\"300\"} 1",
            "harmonize_statement_seconds_bucket{role=\"analyst\",le=\"+Inf\"} 2",
            "harmonize_statement_seconds_sum{role=\"analyst\"} 1000.003",
            "harmonize_model_info{model=\"hs\",version=\"3\",digest=\"ab\"} 1",
        ] {
            assert!(page.lines().any(|there| there == line), "{line}\n{page}");
        }
        assert!(resident_bytes() > 1 << 20);
    }
}
