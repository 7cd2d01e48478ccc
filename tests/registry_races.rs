//! Eight processes that promote at once. `HARMONIZE_RACE_PROMOTIONS` asks for more than the few of a usual test run.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use harmonize::Error;
use harmonize::lake::Place;
use harmonize::registry::{Act, Evidence, Registry, Target};

use crate::support::lab::{folder, path};
use crate::support::models::Models;
use crate::support::servers::S3;

const PROCESSES: u64 = 8;

fn promotions() -> u64 {
    std::env::var("HARMONIZE_RACE_PROMOTIONS").ok().and_then(|v| v.parse().ok()).unwrap_or(80)
}

/// One of the eight: promotes versions that nobody else promotes, each until it is acknowledged, and prints them and how
/// often it was told that another was first.
#[test]
#[ignore = "started by the races"]
fn racer() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let (first, count): (u64, u64) = (variable("RACE_FIRST").parse().unwrap(), variable("RACE_COUNT").parse().unwrap());
    let registry = Registry::new(Place::open(&variable("RACE_REGISTRY")).unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (mut told, mut unknown) = (0, 0);
    runtime.block_on(async {
        let mut history = registry.history("hs").await.unwrap();
        for version in first..first + count {
            let target = Target { version, digest: format!("{version:064x}") };
            loop {
                let act = Act::new("a racer", chrono::Utc::now(), "a race").unwrap();
                match history.promote(&target, "champion", Evidence::default(), &act).await {
                    Ok(_) => break,
                    Err(Error::RaceLost(_)) => told += 1,
                    Err(Error::CommitUnknown(_)) => {
                        unknown += 1;
                        history.refresh().await.unwrap();
                        if history.events().iter().any(|event| event.version == version) {
                            break;
                        }
                    }
                    Err(e) => panic!("{e}"),
                }
            }
            println!("acknowledged {version}");
        }
    });
    println!("told {told} unknown {unknown}");
}

fn start(url: &str, env: &[(String, String)], first: u64, count: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "registry_races::racer", "--ignored", "--nocapture"])
        .envs(env.iter().cloned())
        .env("RACE_REGISTRY", url)
        .env("RACE_FIRST", first.to_string())
        .env("RACE_COUNT", count.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Numbers behind a word in what the racers printed.
fn numbers(printed: &str, word: &str) -> Vec<u64> {
    let words: Vec<&str> = printed.split_whitespace().collect();
    words.windows(2).filter(|pair| pair[0] == word).map(|pair| pair[1].parse().unwrap()).collect()
}

/// Every acknowledged promotion is in the chain once, nothing else is, and the chain holds together.
fn race(url: &str, env: &[(String, String)]) {
    let began = std::time::Instant::now();
    let share = promotions().div_ceil(PROCESSES);
    let racers: Vec<Child> = (0..PROCESSES).map(|racer| start(url, env, 1 + racer * share, share)).collect();
    let (mut acknowledged, mut told, mut unknown) = (BTreeSet::new(), 0, 0);
    for racer in racers {
        let ended = racer.wait_with_output().unwrap();
        let printed = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(ended.status.success(), "{printed}{}", String::from_utf8_lossy(&ended.stderr));
        acknowledged.extend(numbers(&printed, "acknowledged"));
        told += numbers(&printed, "told").iter().sum::<u64>();
        unknown += numbers(&printed, "unknown").iter().sum::<u64>();
    }
    let secs = began.elapsed().as_secs_f64();
    let models = Models { url: url.to_string(), env: env.to_vec() };
    let events = models.events();
    let in_chain: BTreeSet<u64> = events.iter().map(|event| event["version"].as_u64().unwrap()).collect();
    assert_eq!(acknowledged.len() as u64, PROCESSES * share);
    assert_eq!(in_chain, acknowledged, "none is lost, none is made up");
    assert_eq!(events.len(), acknowledged.len(), "none is there twice");
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["number"], n + 1);
        let before = n.checked_sub(1).map(|before| events[before]["version"].clone());
        assert_eq!(event["replaced_version"], before.unwrap_or_default(), "the history is serial");
    }
    // These versions have no bundles; everything else must be whole.
    let ended = models.run(&["verify", "hs", "--format", "json"]);
    assert!(ended.out.lines().all(|line| line.contains("events speak of it")), "{}", ended.out);
    println!(
        "{} promotions by {PROCESSES} processes in {secs:.1} s, {told} told, {unknown} unknown: {url}",
        events.len()
    );
}

#[test]
fn eight_processes_that_promote_at_once_leave_a_serial_history_on_disk() {
    let dir = folder();
    race(&path(dir.path(), "models"), &[]);
}

#[test]
fn eight_processes_that_promote_at_once_leave_a_serial_history_on_moto() {
    let s3 = S3::moto();
    race(&s3.url("models"), &s3.env());
}

#[test]
fn eight_processes_that_promote_at_once_leave_a_serial_history_on_ceph() {
    if let Some(s3) = S3::ceph() {
        race(&s3.url("models"), &s3.env());
    }
}

/// Killed in the middle of it, on disk: what was acknowledged is there, and the chain holds together.
#[test]
fn writers_that_are_killed_leave_a_whole_chain_with_all_that_they_acknowledged() {
    let dir = folder();
    let url = path(dir.path(), "models");
    let models = Models { url: url.clone(), env: Vec::new() };
    let mut acknowledged = BTreeSet::new();
    for round in 0..5 {
        let mut racers: Vec<Child> =
            (0..4).map(|racer| start(&url, &[], 1 + 1_000_000 * (round * 4 + racer), 1_000_000)).collect();
        let events = dir.path().join("models/hs/events");
        let wanted = 10 * (round as usize + 1);
        while std::fs::read_dir(&events).map_or(0, Iterator::count) < wanted {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        racers.iter_mut().for_each(|racer| racer.kill().unwrap());
        for racer in racers {
            let printed = racer.wait_with_output().unwrap().stdout;
            // The last line may be cut.
            let whole =
                String::from_utf8_lossy(&printed).rsplit_once('\n').map_or(String::new(), |(all, _)| all.to_owned());
            acknowledged.extend(numbers(&whole, "acknowledged"));
        }
        let ended = models.run(&["verify", "hs", "--format", "json"]);
        assert!(ended.out.lines().all(|line| line.contains("events speak of it")), "{}", ended.out);
    }
    let in_chain: BTreeSet<u64> = models.events().iter().map(|event| event["version"].as_u64().unwrap()).collect();
    assert!(acknowledged.len() >= 20 && acknowledged.is_subset(&in_chain), "{acknowledged:?} {in_chain:?}");
}

/// The command itself, eight times at once, each with a version of its own.
#[test]
fn of_eight_commands_at_once_those_that_lose_end_with_30_and_say_what_won() {
    use crate::support::lab::harmonize;
    let dir = folder();
    let models = Models::on_disk(dir.path(), 3);
    let children: Vec<_> = (0..8)
        .map(|n| {
            let model = format!("hs@{}", n % 3 + 1);
            let args = models.args(&["promote", &model, "--why", "a race"]);
            harmonize(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut won = 0;
    for child in children {
        let ended = child.wait_with_output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        match ended.status.code() {
            Some(0) if out.contains("nothing to do") => {}
            Some(0) => won += 1,
            Some(30) => assert!(err.contains("another was first: hs@"), "{err}"),
            other => panic!("{other:?}: {out}{err}"),
        }
    }
    assert_eq!(models.events().len(), 3 + won);
    assert!(won >= 1);
    models.ok(&["verify"]);
}
