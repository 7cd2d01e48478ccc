use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::lab::{folder, harmonize, lab, ok, path, run, run_with, sql, write_lines};
use crate::support::models::{Models, copy_files, replace, sha256, trained, variant};
use crate::support::servers::{S3, python};

fn now() -> String {
    // Between two events there is at least this moment.
    std::thread::sleep(std::time::Duration::from_millis(5));
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    std::thread::sleep(std::time::Duration::from_millis(5));
    now
}

#[test]
fn training_registers_its_version_with_an_event() {
    let history = ok(&["models", "history", "hs", "--registry", &lab().registry, "--format", "json"]);
    let event: Value = serde_json::from_str(history.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&event["kind"], &event["version"], &event["by"]),
        (&"registered".into(), &1.into(), &"the tests".into())
    );
    let manifest = std::fs::read(trained().join("manifest.json")).unwrap();
    assert_eq!(event["model_digest"], sha256(&manifest).as_str());
}

#[test]
fn an_alias_names_what_it_was_given_and_a_rollback_gives_it_back() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 3);
    assert_eq!(models.answers("hs"), "hs@3", "without a champion the newest");
    let ended = models.run(&["promote", "hs@1"]);
    assert_eq!(ended.code, 2, "a promotion needs a reason: {}", ended.err);
    assert!(models.promote(1).contains("hs@1 is champion (event 4)"));
    assert_eq!((models.answers("hs").as_str(), models.answers("hs@latest").as_str()), ("hs@1", "hs@3"));
    let first = now();
    let out = models.promote(2);
    assert!(out.contains("before: hs@1; back to it: harmonize models rollback hs"), "{out}");
    let second = now();
    models.ok(&["promote", "hs@3", "--as", "challenger", "--why", "to be compared"]);
    assert_eq!(models.answers("hs@champion"), "hs@2");
    assert_eq!(models.answers("hs@challenger"), "hs@3");
    assert!(models.ok(&["rollback", "hs", "--why", "a test"]).contains("hs@1 is champion again"));
    assert_eq!(models.answers("hs@champion"), "hs@1");
    assert_eq!(models.answers(&format!("hs@champion#{second}")), "hs@2");
    assert_eq!(models.answers(&format!("hs@champion#{first}")), "hs@1");
    let today = chrono::Utc::now().date_naive();
    assert_eq!(models.answers(&format!("hs@champion#{today}")), "hs@1");
    let yesterday = today.pred_opt().unwrap();
    let ended = run(&["predict", "--registry", &models.url, "--model", &format!("hs@champion#{yesterday}"), "x"]);
    assert_eq!(ended.code, 21);
    assert!(ended.err.contains("named no version then"), "{}", ended.err);
    let ended = models.run(&["rollback", "hs", "--why", "a test"]);
    assert_eq!(ended.code, 21, "there is nothing before it: {}", ended.err);
    assert!(models.ok(&["promote", "hs@1", "--why", "again"]).contains("nothing to do"));
    let kinds: Vec<Value> = models.events().iter().map(|event| event["kind"].clone()).collect();
    let expected =
        ["registered", "registered", "registered", "promoted", "promoted", "promoted", "rolled_back"].map(Value::from);
    assert_eq!(kinds, expected);
    models.ok(&["verify"]);
}

/// Rolling back is safe to repeat with --from, and --to goes further back.
#[test]
fn a_rollback_may_say_from_where_and_to_where() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 3);
    models.promote_all(&[1, 2, 3]);
    let back = ["rollback", "hs", "--from", "3", "--why", "a test"];
    assert!(models.ok(&back).contains("hs@2 is champion again"));
    assert!(models.ok(&back).contains("nothing to do"));
    assert_eq!(models.answers("hs"), "hs@2");
    models.promote(3);
    assert!(models.ok(&["rollback", "hs", "--to", "1", "--why", "a test"]).contains("hs@1"));
    let ended = models.run(&["rollback", "hs", "--to", "3", "--why", "a test"]);
    assert_eq!(ended.code, 21, "{}", ended.err);
}

#[test]
fn an_alias_works_wherever_a_model_is_named() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 2);
    models.promote(1);
    let (lines, lake) = (dir.path().join("in/lines.parquet"), path(dir.path(), "lake"));
    write_lines(&lines, &[Some("steel bolts")]);
    let input = lines.to_str().unwrap();
    let place = ["--lake", &lake, "--registry", &models.url, "--model", "hs@champion"];
    let with = |args: &[&str]| ok(&[args, &place].concat());
    let out = with(&["sql", "--format", "ndjson", "SELECT hs_predict('steel bolts') AS p"]);
    assert!(out.contains("\"hs@1\""), "{out}");
    assert!(with(&["classify", "--input", input]).contains("hs@1"));
    assert!(with(&["check", "--input", input]).contains("hs@1, "));
    let args = ["evaluate", "--input", &lab().labelled, "--label", "hs6", "--where", "line_id > 'L0000019000'"];
    assert!(with(&args).starts_with("hs@1 on "));
    assert!(with(&["explain", "steel bolts"]).contains("confidence"));
    let version = &sql(&lake, "SELECT model_name, model_version FROM predictions")[0];
    assert_eq!((&version["model_name"], &version["model_version"]), (&"hs".into(), &1.into()));
}

#[test]
fn a_run_keeps_the_version_that_it_began_with() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 2);
    models.promote(1);
    let (lines, lake) = (dir.path().join("in/lines.parquet"), path(dir.path(), "lake"));
    write_lines(&lines, &[Some("steel bolts"), Some("cotton shirts")]);
    let args = [
        "classify",
        "--input",
        lines.to_str().unwrap(),
        "--lake",
        &lake,
        "--registry",
        &models.url,
        "--model",
        "hs@champion",
    ];
    let mut child = harmonize(&args)
        .env("HARMONIZE_HOLD_AT", "scoring")
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|line| line == "held at scoring"));
    models.promote(2);
    assert!(std::process::Command::new("kill").args(["-USR1", &child.id().to_string()]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    let rows = sql(&lake, "SELECT DISTINCT model_version AS v FROM predictions");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["v"], 1);
    assert_eq!(models.answers("hs@champion"), "hs@2");
}

#[test]
fn a_rollback_works_when_the_champion_is_damaged_or_gone() {
    for gone in [false, true] {
        let dir = folder();
        let models = Models::on_disk(dir.path(), 2);
        models.promote_all(&[1, 2]);
        if gone {
            std::fs::remove_dir_all(models.folder("versions/2")).unwrap();
        } else {
            std::fs::write(models.folder("versions/2/manifest.json"), "{").unwrap();
        }
        let ended = run(&["predict", "--registry", &models.url, "bolts"]);
        assert_eq!(ended.code, 21, "{}", ended.err);
        assert!(ended.err.contains("hs@2 (named by hs)"), "{}", ended.err);
        assert!(ended.err.contains("harmonize models rollback hs --alias champion"), "{}", ended.err);
        models.ok(&["rollback", "hs", "--why", "the bundle is broken"]);
        assert_eq!(models.answers("hs@champion"), "hs@1");
    }
}

#[test]
fn a_version_that_is_not_whole_is_neither_promoted_nor_rolled_back_to() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 3);
    models.promote_all(&[1, 2, 3]);
    let weights = models.folder("versions/2/model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let ended = models.run(&["promote", "hs@2", "--as", "challenger", "--why", "a test"]);
    assert_eq!(ended.code, 21, "{}", ended.err);
    assert!(ended.err.contains("hs@2: model.safetensors: digest"), "{}", ended.err);
    let ended = models.run(&["rollback", "hs", "--why", "a test"]);
    assert_eq!(ended.code, 21, "{}", ended.err);
    assert!(ended.err.contains("go further back with --to N"), "{}", ended.err);
    models.ok(&["rollback", "hs", "--to", "1", "--why", "a test"]);
    assert_eq!(models.answers("hs"), "hs@1");
    assert_eq!(models.run(&["promote", "hs@9", "--why", "a test"]).code, 21);
}

#[test]
fn a_bundle_that_is_not_the_registered_one_is_refused_by_alias_and_number() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 1);
    models.promote(1);
    // Whole in itself, and another.
    replace(&models.folder("versions/1"), "README.md", b"# another\n");
    for model in ["hs@champion", "hs@1", "hs@latest"] {
        let ended = run(&["predict", "--registry", &models.url, "--model", model, "bolts"]);
        assert_eq!(ended.code, 21, "{model}: {}", ended.err);
        assert!(ended.err.contains("the events say"), "{model}: {}", ended.err);
    }
}

#[test]
fn a_retired_version_is_used_by_its_number_alone_and_with_a_warning() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 2);
    models.promote(2);
    let ended = models.run(&["retire", "hs@2"]);
    assert_eq!(ended.code, 21, "{}", ended.err);
    assert!(ended.err.contains("champion names version 2"), "{}", ended.err);
    models.promote(1);
    let then = now();
    assert!(models.ok(&["retire", "hs@2", "--why", "old"]).contains("hs@2 is retired"));
    assert!(models.ok(&["retire", "hs@2"]).contains("nothing to do"));
    assert_eq!(models.answers("hs@latest"), "hs@1");
    let ended = run(&["predict", "--registry", &models.url, "--model", "hs@2", "--format", "json", "bolts"]);
    assert!(ended.code == 0 && ended.err.contains("hs@2 is retired"), "{}", ended.err);
    assert_eq!(models.run(&["promote", "hs@2", "--why", "a test"]).code, 21);
    assert_eq!(models.run(&["rollback", "hs", "--why", "a test"]).code, 21, "what was before is retired");
    assert_eq!(models.answers(&format!("hs@champion#{then}")), "hs@1");
    assert!(models.ok(&["list"]).contains("retired"));
    models.promote(1);
    models.ok(&["verify"]);
}

#[test]
fn a_version_by_its_number_needs_no_events() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 2);
    models.promote(2);
    std::fs::write(models.folder("events/1.json"), "{}").unwrap();
    for model in ["hs", "hs@champion", "hs@latest"] {
        let ended = run(&["predict", "--registry", &models.url, "--model", model, "bolts"]);
        assert!(ended.code == 21 && ended.err.contains("damaged at event 1"), "{model}: {}", ended.err);
    }
    assert_eq!(models.run(&["promote", "hs@1", "--why", "a test"]).code, 21);
    let ended = run(&["predict", "--registry", &models.url, "--model", "hs@1", "--format", "json", "bolts"]);
    assert!(ended.code == 0 && ended.err.contains("hs@1 is used by its number alone"), "{}", ended.err);
}

/// As older programs left it: versions, and no events.
#[test]
fn a_registry_without_events_keeps_working_and_can_be_recorded() {
    let dir = folder();
    copy_files(&trained(), &dir.path().join("models/hs/versions/1"));
    variant(&dir.path().join("models/hs/versions/2"), "two");
    let models = Models { url: path(dir.path(), "models"), env: Vec::new() };
    assert_eq!((models.answers("hs").as_str(), models.answers("hs@1").as_str()), ("hs@2", "hs@1"));
    let list = models.ok(&["list", "--format", "json"]);
    let states: Vec<Value> = list.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["state"].clone()).collect();
    assert_eq!(states, ["unrecorded", "unrecorded"]);
    let ended = models.run(&["verify", "--format", "json"]);
    assert!(ended.code == 0 && ended.out.contains("no event registered it"), "{}{}", ended.out, ended.err);
    let ended = run(&["predict", "--registry", &models.url, "--model", "hs@champion", "bolts"]);
    assert!(ended.code == 21 && ended.err.contains("keeps no alias"), "{}", ended.err);
    models.promote(1);
    assert_eq!(models.answers("hs"), "hs@1");
    for version in ["hs@1", "hs@2"] {
        assert!(models.ok(&["register", version]).contains("is registered"));
        assert!(models.ok(&["register", version]).contains("nothing to do"));
    }
    let ended = models.run(&["verify"]);
    assert!(ended.code == 0 && ended.out.is_empty(), "{}", ended.out);
}

#[test]
fn evidence_and_report_are_kept_with_the_promotion() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 1);
    let (evidence, report) = (path(dir.path(), "evidence.json"), path(dir.path(), "report.html"));
    std::fs::write(&evidence, "{\"p\": 0.01, \"p\": 0.5}").unwrap();
    std::fs::write(&report, "<p>better</p>").unwrap();
    let args = ["promote", "hs@1", "--why", "better", "--by", "anna", "--evidence", &evidence, "--report", &report];
    let ended = models.run(&args);
    assert!(ended.code == 2 && ended.err.contains("\"p\" is given twice"), "{}", ended.err);
    std::fs::write(&evidence, "{\"p\": 0.01, \"lines\": 12000}").unwrap();
    models.ok(&args);
    let event = models.events().pop().unwrap();
    assert_eq!(event["evidence"], serde_json::json!({"p": 0.01, "lines": 12000}));
    assert_eq!((&event["by"], &event["why"]), (&"anna".into(), &"better".into()));
    let digest = sha256(b"<p>better</p>");
    assert_eq!(event["report_sha256"], digest.as_str());
    assert_eq!(std::fs::read(models.folder(&format!("reports/{digest}.html"))).unwrap(), b"<p>better</p>");
    models.ok(&["verify"]);
}

/// Each kind of damage, and the words that name it.
#[test]
fn verify_finds_each_kind_of_damage() {
    type Spoil = fn(&Path);
    fn edit(file: &Path, change: impl Fn(String) -> String) {
        let text = std::fs::read_to_string(file).unwrap();
        let changed = change(text.clone());
        assert_ne!(text, changed);
        std::fs::write(file, changed).unwrap();
    }
    let cases: [(Spoil, &str); 14] = [
        (|hs| edit(&hs.join("events/2.json"), |t| t.replace("imported", "exported")), "events/3.json"),
        (|hs| edit(&hs.join("events/3.json"), |t| t.replace("\"version\": 1", "\"version\": 2")), "events/3.json"),
        (|hs| edit(&hs.join("events/4.json"), |t| t[..9].to_owned()), "events/4.json"),
        (|hs| edit(&hs.join("events/4.json"), |t| t.replacen('{', "{\"kind\": \"retired\",", 1)), "given twice"),
        (|hs| std::fs::remove_file(hs.join("events/2.json")).unwrap(), "event(s) from here on are missing"),
        (|hs| assert!(std::fs::copy(hs.join("events/2.json"), hs.join("events/02.json")).is_ok()), "events/02.json"),
        (|hs| assert!(std::fs::copy(hs.join("events/4.json"), hs.join("events/5.json")).is_ok()), "events/5.json"),
        (|hs| std::fs::write(hs.join("versions/1/config.json"), "{}").unwrap(), "config.json: size is"),
        (|hs| std::fs::remove_file(hs.join("versions/1/labels.json")).unwrap(), "labels.json: it is missing"),
        (|hs| std::fs::write(hs.join("versions/1/notes.txt"), "x").unwrap(), "versions/1/notes.txt"),
        (|hs| replace(&hs.join("versions/2"), "README.md", b"# x"), "the events say"),
        (|hs| std::fs::remove_dir_all(hs.join("versions/2")).unwrap(), "it is gone"),
        (|hs| std::fs::write(hs.join("versions/2/signature.json"), "{}").unwrap(), "signature.json"),
        (
            |hs| {
                let report = std::fs::read_dir(hs.join("reports")).unwrap().next().unwrap().unwrap().path();
                std::fs::write(report, "<p>worse</p>").unwrap();
            },
            "its digest is",
        ),
    ];
    let dir = folder();
    let models = Models::on_disk(dir.path(), 2);
    let report = path(dir.path(), "report.html");
    std::fs::write(&report, "<p>better</p>").unwrap();
    models.ok(&["promote", "hs@1", "--why", "a test", "--report", &report]);
    models.promote(2);
    let ended = models.run(&["verify"]);
    assert!(ended.code == 0 && ended.out.is_empty(), "{}{}", ended.out, ended.err);
    assert!(ended.err.contains("hs: 4 event(s), 2 version(s), 1 report(s) read"), "{}", ended.err);
    for (n, (spoil, words)) in cases.into_iter().enumerate() {
        let copy = dir.path().join(format!("copy-{n}"));
        copy_all(&dir.path().join("models"), &copy);
        spoil(&copy.join("hs"));
        let ended = run(&["models", "verify", "hs", "--registry", copy.to_str().unwrap(), "--format", "json"]);
        assert_eq!(ended.code, 21, "{n} {words}: {}{}", ended.out, ended.err);
        let damage: Vec<&str> = ended.out.lines().filter(|line| line.contains("\"damage\"")).collect();
        assert!(damage.iter().any(|line| line.contains(words)), "{n} {words}: {damage:?}");
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy_all(&entry.path(), &target) } else { drop(std::fs::copy(entry.path(), target)) }
    }
}

#[test]
fn a_version_is_shown_listed_and_compared_field_by_field() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 2);
    let policy = models.folder("versions/1/policy.json");
    let mut changed: Value = serde_json::from_slice(&std::fs::read(policy).unwrap()).unwrap();
    changed["audit_ratio"] = 0.25.into();
    let third = dir.path().join("third");
    variant(&third, "variant 1");
    replace(&third, "policy.json", &serde_json::to_vec_pretty(&changed).unwrap());
    models.ok(&["import", third.to_str().unwrap()]);
    models.promote(1);
    let shown: Value = serde_json::from_str(&models.ok(&["show", "hs@champion", "--format", "json"])).unwrap();
    assert_eq!((&shown["model"], &shown["aliases"]), (&"hs@1".into(), &serde_json::json!(["champion"])));
    assert_eq!(shown["events"].as_array().unwrap().len(), 2);
    assert_eq!(shown["digest"], sha256(&std::fs::read(models.folder("versions/1/manifest.json")).unwrap()).as_str());
    assert!(models.ok(&["show", "hs@1"]).contains("policy.target_precision"));
    let rows = |out: String| -> Vec<Value> { out.lines().map(|l| serde_json::from_str(l).unwrap()).collect() };
    let list = rows(models.ok(&["list", "--format", "json"]));
    assert_eq!(list.len(), 3);
    assert_eq!((&list[0]["aliases"], &list[0]["state"]), (&"champion".into(), &"registered".into()));
    let diff = rows(models.ok(&["diff", "hs@1", "hs@3", "--format", "json"]));
    let row = diff.iter().find(|row| row["part"] == "policy").unwrap();
    assert_eq!((&row["field"], &row["hs@3"]), (&"audit_ratio".into(), &"0.25".into()));
    assert!(diff.iter().any(|row| row["field"] == "files.policy.json.sha256"), "{diff:?}");
    assert!(diff.iter().all(|row| row["hs@1"] != row["hs@3"]));
    assert!(models.ok(&["history", "hs"]).contains("promoted"));
}

#[test]
fn an_exported_version_is_opened_by_hugging_face_and_imported_with_its_digest() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 1);
    let (out, other) = (path(dir.path(), "out"), path(dir.path(), "other"));
    assert!(models.ok(&["export", "hs@1", &out]).contains("hs@1 is in"));
    let read = python("read_export.py", &[&out], &[]);
    assert_eq!(read["yaml"]["library_name"], "harmonize");
    assert_eq!(read["yaml"]["pipeline_tag"], "text-classification");
    assert_eq!(read["yaml"]["harmonize_version"], 1);
    assert_eq!(read["yaml"]["tags"], serde_json::json!(["harmonized-system", "hs-2022"]));
    assert_eq!(read["title"], "# Model card: hs");
    assert_eq!(read["config"]["architecture"], "text-cnn");
    assert!(read["tensors"].as_array().unwrap().contains(&"embedding.weight".into()), "{read}");
    assert!(read["ids"].as_array().is_some_and(|ids| !ids.is_empty()), "{read}");
    let ended = models.run(&["export", "hs@1", &out]);
    assert!(ended.code == 2 && ended.err.contains("is not empty"), "{}", ended.err);
    let moved = Models { url: other, env: Vec::new() };
    assert!(moved.ok(&["import", &out, "--name", "hs"]).contains("hs@1 is registered"));
    assert!(moved.ok(&["import", &out]).contains("nothing to do: hs@1"));
    assert_eq!(moved.events()[0]["model_digest"], models.events()[0]["model_digest"]);
    assert_eq!(read["yaml"]["harmonize_digest"], models.events()[0]["model_digest"]);
    for file in ["README.md", "model.safetensors", "manifest.json"] {
        let of = |models: &Models| std::fs::read(models.folder(&format!("versions/1/{file}"))).unwrap();
        assert_eq!(of(&moved), of(&models), "{file}");
    }
    assert_eq!(moved.run(&["import", &out, "--name", "other"]).code, 21, "it was built as hs");
    assert_eq!(moved.run(&["import", &path(dir.path(), "nowhere")]).code, 21);
    std::fs::write(dir.path().join("out/README.md"), "---\nx: 1\n---\n# changed\n").unwrap();
    let ended = Models { url: path(dir.path(), "third"), env: Vec::new() }.run(&["import", &out]);
    assert!(ended.code == 21 && ended.err.contains("README.md"), "{}", ended.err);
}

#[test]
fn where_a_signature_is_required_only_signed_versions_are_used() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 2);
    let at = |name: &str| path(dir.path(), name);
    let (key, public) = (at("key.pem"), at("public.pem"));
    ok(&["models", "keygen", "--key", &key, "--public", &public]);
    assert_eq!(run(&["models", "keygen", "--key", &key, "--public", &public]).code, 2, "a key is never overwritten");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(models.ok(&["sign", "hs@1", "--key", &key]).contains("hs@1 is signed by key "));
    let (other, its_public) = (at("other.pem"), at("other-public.pem"));
    ok(&["models", "keygen", "--key", &other, "--public", &its_public]);
    let signature = std::fs::read(models.folder("versions/1/signature.json")).unwrap();
    assert_eq!(models.run(&["sign", "hs@1", "--key", &other]).code, 21, "a signature is never replaced");
    assert_eq!(models.run(&["sign", "hs@1", "--key", &key]).code, 0, "the same signature again changes nothing");
    assert_eq!(std::fs::read(models.folder("versions/1/signature.json")).unwrap(), signature);
    let bundle = models.folder("versions/1");
    assert_eq!(python("verify_signature.py", &[bundle.to_str().unwrap(), &public], &[]), true);

    let (lines, lake) = (dir.path().join("in/lines.parquet"), at("lake"));
    write_lines(&lines, &[Some("steel bolts")]);
    let labelled = lab().labelled.as_str();
    let commands: [&[&str]; 5] = [
        &["predict", "bolts"],
        &["sql", "SELECT hs_predict('bolts')"],
        &["classify", "--input", lines.to_str().unwrap()],
        &["evaluate", "--input", labelled, "--label", "hs6", "--where", "line_id > 'L0000019900'"],
        &["explain", "bolts"],
    ];
    for command in commands {
        let with = |model, keys: &str| {
            let place = ["--lake", &lake, "--registry", &models.url, "--model", model, "--require-signature", keys];
            run(&[command, &place].concat())
        };
        let signed = with("hs@1", &public);
        assert_eq!(signed.code, 0, "{command:?}: {}", signed.err);
        let unsigned = with("hs@2", &public);
        assert_eq!(unsigned.code, 21, "{command:?}");
        assert!(unsigned.err.contains("hs@2: it has no signature"), "{}", unsigned.err);
        assert_eq!(with("hs@1", &key).code, 2, "a private key is not a list of public ones");
    }
    let env = [("HARMONIZE_REQUIRE_SIGNATURE".to_string(), public.clone())];
    assert_eq!(run_with(&["predict", "--registry", &models.url, "--model", "hs@2", "x"], &env).code, 21);
    let ended = models.run(&["promote", "hs@2", "--why", "a test", "--require-signature", &public]);
    assert_eq!(ended.code, 21, "{}", ended.err);
    assert_eq!(models.run(&["verify", "--require-signature", &public]).code, 21);

    // By a key of OpenSSL out of the environment, and trusted beside the other.
    let openssl = std::process::Command::new("openssl").args(["genpkey", "-algorithm", "ed25519"]).output().unwrap();
    let pem = String::from_utf8(openssl.stdout).unwrap();
    let env = [("HARMONIZE_SIGNING_KEY".to_string(), pem.clone())];
    assert_eq!(models.run(&["sign", "hs@2"]).code, 2, "without a key");
    let signed = run_with(&models.args(&["sign", "hs@2"]), &env);
    assert_eq!(signed.code, 0, "{}", signed.err);
    let strange = run(&["predict", "--registry", &models.url, "--model", "hs@2", "--require-signature", &public, "x"]);
    assert!(strange.code == 21 && strange.err.contains("none of the 1 trusted"), "{}", strange.err);
    std::fs::write(at("other.pem"), pem).unwrap();
    let other =
        std::process::Command::new("openssl").args(["pkey", "-pubout", "-in", &at("other.pem")]).output().unwrap();
    let both = format!("{}{}", std::fs::read_to_string(&public).unwrap(), String::from_utf8(other.stdout).unwrap());
    std::fs::write(at("both.pem"), both).unwrap();
    models.ok(&["verify", "--require-signature", &at("both.pem")]);

    // It travels with the bundle.
    let out = at("out");
    models.ok(&["export", "hs@1", &out]);
    let moved = Models { url: at("moved"), env: Vec::new() };
    moved.ok(&["import", &out, "--require-signature", &public]);
    moved.ok(&["verify", "--require-signature", &public]);
    // One that was made for another manifest does not fit.
    std::fs::copy(bundle.join("signature.json"), models.folder("versions/2/signature.json")).unwrap();
    let forged = run(&["predict", "--registry", &models.url, "--model", "hs@2", "--require-signature", &public, "x"]);
    assert!(forged.code == 21 && forged.err.contains("does not fit the manifest"), "{}", forged.err);
}

#[test]
fn wrong_calls_of_models_end_with_2_and_say_what_to_write() {
    let dir = folder();
    let models = Models::on_disk(dir.path(), 1);
    for (args, words) in [
        (&["promote", "hs@1", "--as", "Best", "--why", "x"][..], "is no alias"),
        (&["promote", "hs@1", "--as", "latest", "--why", "x"], "not latest"),
        (&["promote", "hs@1", "--why", " "], "the reason is missing"),
        (&["retire", "hs@champion"], "by its number"),
        (&["show", "hs@champion#tomorrow"], "no time"),
        (&["history", "HS"], "no model name"),
        (&["promote", "hs@1", "--why", "x", "--by", "a\u{7}b"], "control characters"),
    ] {
        let ended = models.run(args);
        assert_eq!(ended.code, 2, "{args:?}: {}", ended.err);
        assert!(ended.err.contains(words), "{args:?}: {}", ended.err);
    }
    assert_eq!(models.events().len(), 1);
}

#[test]
fn the_store_encrypts_what_it_is_told_to() {
    let s3 = S3::moto();
    let dir = folder();
    let mut env = s3.env();
    env.push(("AWS_SERVER_SIDE_ENCRYPTION".into(), "AES256".into()));
    let models = Models::new(dir.path(), &s3.url("models"), 1, &env);
    models.promote(1);
    let (lines, lake) = (dir.path().join("in/lines.parquet"), s3.url("lake"));
    write_lines(&lines, &[Some("steel bolts")]);
    let args = ["classify", "--input", lines.to_str().unwrap(), "--lake", &lake, "--registry", &models.url];
    assert_eq!(run_with(&args, &env).code, 0);
    let found = python("s3_encryption.py", &[&s3.url("")], &s3.env());
    let objects = found.as_object().unwrap();
    assert!(objects.len() > 12, "{found}");
    assert!(objects.values().all(|sse| sse[0] == "AES256"), "{found}");
    // With a key of the key service.
    let mut env = s3.env();
    env.push(("AWS_SERVER_SIDE_ENCRYPTION".into(), "aws:kms".into()));
    env.push(("AWS_SSE_KMS_KEY_ID".into(), "key-of-the-test".into()));
    Models::new(&dir.path().join("kms"), &s3.url("kms/models"), 1, &env);
    let found = python("s3_encryption.py", &[&s3.url("kms/")], &s3.env());
    assert!(found.as_object().unwrap().len() >= 11, "{found}");
    for (key, sse) in found.as_object().unwrap() {
        assert_eq!((sse[0].as_str(), sse[1].as_str()), (Some("aws:kms"), Some("key-of-the-test")), "{key}");
    }
}
