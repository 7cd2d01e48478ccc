use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use serde_json::Value;

use crate::support::lab::{lab, ok, path, run, sql, write_parquet};

/// The words of the built-in list are told from the list; what is like them, by the class that learned them.
#[test]
fn vague_texts_are_refused_by_the_list_and_beyond_it_by_what_was_learned() {
    let dir = crate::support::lab::folder();
    let registry = path(dir.path(), "models");
    let list = path(dir.path(), "vague.txt");
    std::fs::write(&list, "# ours\npersonal effects\nused personal items\nspare parts\nmixed goods\nassorted items\n")
        .unwrap();
    let recipe = path(dir.path(), "recipe.toml");
    let base = std::fs::read_to_string(&lab().recipe).unwrap();
    let (learned, others) = (path(dir.path(), "learned.parquet"), path(dir.path(), "others.parquet"));
    write_labelled(&learned, 100);
    write_labelled(&others, 700);
    let extra = format!("[[extra]]\ninput = [{learned:?}]\ntext = [\"description\"]\nlabel = \"hs6\"\nweight = 1.0\n");
    std::fs::write(&recipe, format!("{base}\n[vague]\nshare = 0.05\nlist = {list:?}\n{extra}")).unwrap();
    ok(&[
        "train",
        "--input",
        &lab().labelled,
        "--label",
        "hs6",
        "--registry",
        &registry,
        "--recipe",
        &recipe,
        "--target-precision",
        "0.5",
    ]);

    let of = |text: &str| -> Value {
        let out = ok(&["predict", "--registry", &registry, "--format", "json", text]);
        serde_json::from_str(out.lines().next().unwrap()).unwrap()
    };
    for text in
        ["Personal Effects", "19 ctns mixed goods and spare parts", "ASSORTED ITEMS / USED PERSONAL ITEMS 44 PKGS"]
    {
        let answer = of(text);
        assert_eq!(
            (&answer["decision"], &answer["reasons"][0]),
            (&"refuse".into(), &"vague".into()),
            "{text}: {answer}"
        );
        assert!(answer.get("hs6").is_none_or(Value::is_null), "{answer}");
    }
    let why = ok(&["explain", "--registry", &registry, "--format", "json", "44 ctns stuff for the shop urgent"]);
    let why: Value = serde_json::from_str(&why).unwrap();
    assert_eq!((&why["vague"], &why["hs6"]), (&true.into(), &Value::Null), "{why}");
    assert_eq!(why["vague_by"], "the learned class", "{why}");
    assert_eq!(of("44 ctns stuff for the shop urgent")["vague_by"], "the learned class");
    assert_eq!(of("19 ctns SPARE parts ref no 4")["vague_by"], "the list: spare parts");
    let page = ok(&["explain", "--registry", &registry, "19 ctns spare parts"]);
    assert!(page.contains("refused as vague by the list: spare parts"), "{page}");
    assert!(why["second"]["hs6"].is_string(), "{why}");
    let goods = of("cotton shirts 12 pcs");
    assert_ne!(goods["decision"], "refuse", "{goods}");
    let alternatives = goods["alternatives"].as_array().unwrap();
    assert!(alternatives.iter().all(|a| a["hs6"] != "000000"), "no code is no choice: {goods}");

    // The figures count them apart: rows that people labelled 000000, whose words are on no list.
    let figures: Value = serde_json::from_str(&ok(&[
        "evaluate",
        "--input",
        &others,
        "--label",
        "hs6",
        "--registry",
        &registry,
        "--json",
    ]))
    .unwrap();
    let vague = &figures["vague"];
    assert_eq!((&vague["rows"], &figures["rows"]), (&60.into(), &40.into()), "{vague}");
    assert!(vague["recall"].as_f64().unwrap() > 0.9 && vague["precision"].as_f64().unwrap() > 0.9, "{vague}");
    for form in ["markdown", "html"] {
        let page = ok(&["evaluate", "--input", &others, "--label", "hs6", "--registry", &registry, "--format", form]);
        let plain = page.replace("</td><td class=\"number\">", " | ");
        for (name, share) in [("precision", &vague["precision"]), ("recall", &vague["recall"])] {
            let said = format!("{name} of the refusals | {:.2} %", 100.0 * share.as_f64().unwrap());
            assert!(plain.contains(&said), "{said}\n{page}");
        }
        assert!(plain.contains("rows labelled 000000 | 60"), "{page}");
    }
}

/// Sixty lines that a person found to name no goods, and forty that do.
fn write_labelled(file: &str, from: usize) {
    let text = |n: usize| match n {
        0..60 => format!("{} ctns stuff for the shop {}", from + n, ["", "as agreed", "urgent"][n % 3]),
        _ => format!("{} pcs steel bolts m{}", from + n, n % 9),
    };
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..100).map(text)));
    let codes: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..100).map(|n| if n < 60 { "000000" } else { "731815" })));
    write_parquet(std::path::Path::new(file), vec![("description", texts), ("hs6", codes)]);
}

/// The list can be changed for one run, which is another policy and so another run.
#[test]
fn a_list_given_to_classify_counts_for_that_run() {
    let dir = crate::support::lab::folder();
    let lake = path(dir.path(), "lake");
    let list = path(dir.path(), "vague.txt");
    std::fs::write(&list, "cotton shirts\n").unwrap();
    let lines = path(dir.path(), "lines.parquet");
    crate::support::lab::write_lines(
        std::path::Path::new(&lines),
        &[Some("12 ctns COTTON SHIRTS"), Some("steel bolts")],
    );
    let mut args = crate::support::lab::classify_args(&lines, &lake);
    ok(&args);
    args.extend(["--vague", &list]);
    ok(&args);
    let rows = sql(
        &lake,
        "SELECT r.policy_origin p, count(*) FILTER (WHERE decision = 'refuse') n FROM predictions p JOIN runs r USING (run_id) GROUP BY 1 ORDER BY 2",
    );
    assert_eq!((&rows[0]["n"], &rows[1]["n"]), (&0.into(), &1.into()), "{rows:?}");
    assert!(rows[1]["p"].as_str().unwrap().contains("--vague"), "{rows:?}");
    args.extend(["--vague", "/nowhere/list"]);
    let missing = run(&[&args[..args.len() - 4], &["--vague", &path(dir.path(), "none")][..]].concat());
    assert!(missing.code != 0 && missing.err.contains("none"), "{}", missing.err);
}
