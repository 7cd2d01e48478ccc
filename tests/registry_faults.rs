use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::lab::{folder, harmonize, path};
use crate::support::models::{Models, variant};
use crate::support::proxy::{Fault, Proxy};
use crate::support::servers::S3;

/// A registry of two versions on S3, the first one champion, and a way to it that loses things.
struct Behind {
    proxy: Proxy,
    /// Through the proxy.
    models: Models,
    dir: tempfile::TempDir,
}

impl Behind {
    fn new() -> Behind {
        let s3 = S3::moto();
        let proxy = Proxy::before(&s3.endpoint);
        let mut env = s3.env();
        env.iter_mut().filter(|(n, _)| n == "AWS_ENDPOINT").for_each(|(_, v)| *v = proxy.endpoint.clone());
        let dir = folder();
        let models = Models::new(dir.path(), &s3.url("models"), 2, &env);
        models.promote(1);
        Behind { proxy, models, dir }
    }

    /// Runs the command until the fault strikes, and kills it there.
    fn kill_at(&self, args: &[&str], fault: Fault, words: &[&str]) {
        let hits = self.proxy.hits();
        self.proxy.inject(fault, words);
        let mut child = harmonize(&self.models.args(args))
            .envs(self.models.env.iter().cloned())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while self.proxy.hits() == hits {
            assert!(began.elapsed() < Duration::from_secs(60), "{args:?} never came to {words:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        self.proxy.heal();
    }
}

const FAULTS: [Fault; 2] = [Fault::Silence, Fault::AnswerLostThenSilence];

/// Before and after each write of a registration the champion answers, nothing is damaged, and the same command succeeds.
#[test]
fn killed_at_any_write_of_a_registration_the_champion_stays_served() {
    let at = Behind::new();
    let writes = ["claim.json", "model.safetensors", "config.json", "README.md", "manifest.json", "events/"];
    for (n, write) in writes.iter().enumerate() {
        for fault in FAULTS {
            let folder = variant(&at.dir.path().join(format!("{n}-{fault:?}")), &format!("{write} {fault:?}"));
            let args = ["import", &folder];
            at.kill_at(&args, fault, &["PUT", write]);
            assert_eq!(at.models.answers("hs@champion"), "hs@1", "{write} {fault:?}");
            at.models.ok(&args);
            let version = at.models.answers("hs@latest");
            let out = at.models.ok(&args);
            assert!(out.contains(&format!("nothing to do: {version}")), "{write} {fault:?}: {out}");
        }
    }
    // Numbers that were taken and left are notes; nothing is damaged.
    let verified = at.models.run(&["verify", "hs"]);
    assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);
    assert!(verified.out.contains("never completed"), "{}", verified.out);
}

#[test]
fn killed_at_any_write_of_a_promotion_or_rollback_one_of_the_two_is_served() {
    let report = |at: &Behind| {
        let file = path(at.dir.path(), "report.html");
        std::fs::write(&file, "<p>better</p>").unwrap();
        file
    };
    for fault in FAULTS {
        let written = fault == Fault::AnswerLostThenSilence;
        let at = Behind::new();
        let file = report(&at);
        let promote = ["promote", "hs@2", "--why", "a test", "--report", &file];
        at.kill_at(&promote, fault, &["PUT", "reports/"]);
        assert_eq!(at.models.answers("hs@champion"), "hs@1", "{fault:?}");
        at.kill_at(&promote, fault, &["PUT", "events/"]);
        assert_eq!(at.models.answers("hs@champion"), if written { "hs@2" } else { "hs@1" }, "{fault:?}");
        assert_eq!(at.models.ok(&promote).contains("nothing to do"), written, "{fault:?}");
        let back = ["rollback", "hs", "--from", "2", "--why", "a test"];
        at.kill_at(&back, fault, &["PUT", "events/"]);
        assert_eq!(at.models.answers("hs@champion"), if written { "hs@1" } else { "hs@2" }, "{fault:?}");
        assert_eq!(at.models.ok(&back).contains("nothing to do"), written, "{fault:?}");
        let retire = ["retire", "hs@2"];
        at.kill_at(&retire, fault, &["PUT", "events/"]);
        assert_eq!(at.models.ok(&retire).contains("nothing to do"), written, "{fault:?}");
        assert_eq!(at.models.answers("hs@latest"), "hs@1");
        at.models.ok(&["verify", "hs"]);
        assert_eq!(at.models.events().len(), 6, "two registered, three about the champion, one retired");
    }
}

/// The answer to our own event is lost, the retry finds "already exists": that is us.
#[test]
fn a_promotion_whose_answer_is_lost_is_found_in_the_chain() {
    let at = Behind::new();
    at.proxy.inject(Fault::AnswerLost, &["PUT", "events/4.json"]);
    let out = at.models.promote(2);
    assert_eq!(at.proxy.hits(), 1);
    assert!(out.contains("hs@2 is champion (event 4)"), "{out}");
    assert_eq!(at.models.events().len(), 4);
}

#[test]
fn silence_after_a_promotion_is_unknown_and_the_same_command_finds_out() {
    let at = Behind::new();
    for (fault, version, written) in [(Fault::AnswerLostThenSilence, "hs@2", true), (Fault::Silence, "hs@1", false)] {
        let promote = ["promote", version, "--why", "a test"];
        at.proxy.inject(fault, &["PUT", "events/"]);
        let ended = at.models.run(&promote);
        assert_eq!(ended.code, 32, "{}", ended.err);
        assert!(ended.err.contains("run the same command again"), "{}", ended.err);
        at.proxy.heal();
        assert_eq!(at.models.ok(&promote).contains("nothing to do"), written);
    }
    at.proxy.inject(Fault::AnswerLostThenSilence, &["PUT", "events/"]);
    let ended = at.models.run(&["rollback", "hs", "--why", "a test"]);
    assert_eq!(ended.code, 32, "{}", ended.err);
    assert!(ended.err.contains("--from 1"), "{}", ended.err);
    at.proxy.heal();
    assert!(at.models.ok(&["rollback", "hs", "--from", "1", "--why", "a test"]).contains("nothing to do"));
    assert_eq!(at.models.answers("hs"), "hs@2");
}

/// Nothing below `versions/` can be listed or read.
#[test]
fn a_rollback_is_made_while_the_store_loses_everything_about_versions() {
    let at = Behind::new();
    at.models.promote(2);
    at.proxy.inject(Fault::Lost, &["versions"]);
    let ended = at.models.run(&["rollback", "hs", "--why", "the store is in trouble"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.err.contains("hs@1 could not be checked"), "{}", ended.err);
    assert!(at.proxy.hits() > 0);
    at.proxy.heal();
    assert_eq!(at.models.answers("hs@champion"), "hs@1");
}
