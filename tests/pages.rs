use harmonize::tariff::{Codes, Edition};
use harmonize::train::Recipe;
use serde_json::Value;

use crate::support::browser::looked_at;
use crate::support::lab::{RECIPE, folder, lab, ok, path, run};

/// Headings, drawings and tables are there, and the page is readable in the sense of [`looked_at`].
#[test]
fn pages_can_be_read_on_a_phone_and_a_desk_in_light_and_dark() {
    let (registry, labelled) = (&lab().registry, &lab().labelled);
    let data = ok(&["data", "--input", labelled, "--label", "hs6", "--format", "html"]);
    let card = ok(&["card", "--registry", registry]);
    let mut evaluate = vec!["evaluate", "--input", labelled, "--label", "hs6", "--registry", registry];
    evaluate.extend(["--format", "html", "--examples", "5", "--min-rows", "5"]);
    for by in ["chapter", "support", "length", "language", "hs6"] {
        evaluate.extend(["--by", by]);
    }
    let evaluation = ok(&evaluate);
    let pages = [("data.html", &data[..]), ("card.html", &card), ("evaluation.html", &evaluation)];
    for seen in looked_at(&pages).unwrap_or_default() {
        let headings = seen["headings"].to_string();
        let (expected, drawings, tables): (&[&str], usize, u64) = match seen["page"].as_str().unwrap() {
            card if card.starts_with("Model card") => (
                &[
                    "Figures",
                    "Where it is weak",
                    "By words of the description",
                    "Data",
                    "Limits",
                    "Most frequent confusions",
                    "Further examples",
                ],
                2,
                11,
            ),
            data if data.starts_with("Data checks") => (&["Rows and labels", "Descriptions"], 0, 3),
            _ => (&["By column hs6", "By training rows of the known code", "Most frequent confusions"], 2, 6),
        };
        assert!(expected.iter().all(|heading| headings.contains(heading)), "{seen}");
        let widths: Vec<f64> = seen["drawings"].as_array().unwrap().iter().map(|d| d.as_f64().unwrap()).collect();
        assert!(widths.len() == drawings && widths.iter().all(|width| *width > 300.0), "{seen}");
        assert!(seen["tables"].as_u64() >= Some(tables) && seen["texts"].as_u64() > Some(50), "{seen}");
    }
}

/// What a page says is what the JSON of the same command says.
#[test]
fn an_evaluation_says_the_same_in_every_form() {
    let lab = lab();
    let args = |more: &[&'static str]| {
        let fixed = ["evaluate", "--input", &lab.labelled, "--label", "hs6", "--registry", &lab.registry];
        ok(&[&fixed[..], &["--by", "chapter", "--confusions", "3"], more].concat())
    };
    let json: Value = serde_json::from_str(&args(&["--format", "json"])).unwrap();
    assert_eq!(args(&["--json"]), args(&["--format", "json"]));
    let (table, markdown, html) = (args(&[]), args(&["--format", "markdown"]), args(&["--format", "html"]));
    let slices = json["slices"][0]["slices"].as_array().unwrap();
    let rows: u64 = slices.iter().map(|s| s["rows"].as_u64().unwrap()).sum();
    let small = json["slices"][0]["small"]["rows"].as_u64().unwrap_or(0);
    assert_eq!(rows + small, json["rows"].as_u64().unwrap());
    let ends: Vec<f64> = slices.iter().map(|s| s["hs6"]["high"].as_f64().unwrap()).collect();
    assert!(ends.is_sorted() && ends.len() > 5, "{ends:?}");
    let worst = &slices[0];
    let share = format!("{:.1} %", 100.0 * worst["hs6"]["ratio"].as_f64().unwrap());
    let line = table.lines().skip_while(|line| !line.starts_with("By chapter")).nth(2).unwrap();
    assert!(
        line.trim_start().starts_with(worst["value"].as_str().unwrap()) && line.contains(&share),
        "{line}\n{worst}"
    );
    let confusion = json["confusions"][0].clone();
    assert_eq!(json["confusions"].as_array().unwrap().len(), 3);
    for form in [&table, &markdown, &html] {
        for said in [share.as_str(), confusion["truth"].as_str().unwrap(), confusion["predicted"].as_str().unwrap()] {
            assert!(form.contains(said), "{said}\n{form}");
        }
    }
    assert!(json.get("examples").is_none());
    let examples: Value = serde_json::from_str(&args(&["--json", "--examples", "2"])).unwrap();
    let examples = examples["examples"].as_array().unwrap();
    assert!(examples.len() == 2 && examples[0]["confidence"].as_f64() >= examples[1]["confidence"].as_f64());
    let text = examples[0]["text"].as_str().unwrap();
    assert!(!table.contains(text) && !html.contains(text), "descriptions are shown when they are asked for");
}

#[test]
fn the_card_of_a_version_tells_where_the_model_is_weak_and_how_to_make_it_again() {
    let lab = lab();
    let json = std::fs::read_to_string(format!("{}/hs/versions/1/metrics.json", lab.registry)).unwrap();
    let record: Value = serde_json::from_str(&json).unwrap();
    let by: Vec<&str> = record["slices"].as_array().unwrap().iter().map(|s| s["by"].as_str().unwrap()).collect();
    assert_eq!(by, ["chapter", "support", "length", "language"]);
    let class_rows = record["class_rows"].as_object().unwrap();
    let trained: u64 = class_rows.values().map(|rows| rows.as_u64().unwrap()).sum();
    assert_eq!(record["split"]["rows"][0], serde_json::json!(["train", trained]));
    let page = ok(&["card", "--registry", &lab.registry, "--model", "hs@1"]);
    let manifest = std::fs::read_to_string(format!("{}/hs/versions/1/manifest.json", lab.registry)).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    for said in [record["command"].as_str().unwrap(), manifest["data"][0]["url"].as_str().unwrap(), "hs@1", "<svg"] {
        assert!(page.contains(said), "{said}\n{page}");
    }
    // What it costs to accept more is drawn for six, four and two digits.
    let costs = page.split_once("What it costs to accept more").unwrap().1.split_once("</figure>").unwrap().0;
    for said in ["stroke=\"var(--first)\"", "stroke=\"var(--second)\"", "stroke=\"var(--third)\"", "four", "two"] {
        assert!(costs.contains(said), "{said}\n{costs}");
    }
    let readme = std::fs::read_to_string(format!("{}/hs/versions/1/README.md", lab.registry)).unwrap();
    assert_eq!(ok(&["card", "--registry", &lab.registry, "--format", "markdown"]), readme);
    assert!(readme.contains("## By training rows of the known code"));
    // The recipe, saved, makes the recipe that the lab was trained with, and the command takes it.
    let block = readme.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
    assert_eq!(Recipe::from_toml(block).unwrap(), Recipe::from_toml(RECIPE).unwrap());
    let dir = folder();
    let saved = path(dir.path(), "again.toml");
    std::fs::write(&saved, block).unwrap();
    let missing = path(dir.path(), "missing");
    let train = ["train", "--input", &missing, "--label", "hs6", "--registry", &path(dir.path(), "models")];
    let ended = run(&[&train[..], &["--recipe", &saved]].concat());
    assert!(ended.code == 20 && ended.err.contains("missing"), "the recipe is read before the lines: {}", ended.err);
    // Thresholds of each level with the evidence of the policy; confusions, and how long the fit took.
    let policy = std::fs::read_to_string(format!("{}/hs/versions/1/policy.json", lab.registry)).unwrap();
    let policy: Value = serde_json::from_str(&policy).unwrap();
    for (name, level) in [("the heading", &policy["heading"]), ("the chapter", &policy["chapter"])] {
        let texts = level["evidence"]["texts"].as_u64().unwrap();
        let texts = if texts > 999 { format!("{},{:03}", texts / 1000, texts % 1000) } else { texts.to_string() };
        let threshold = level["threshold"].as_f64().unwrap();
        let from = if threshold > 1.0 { "never".to_string() } else { format!("{threshold:.4}") };
        let said = format!("| {name} | {from} | {texts} |");
        assert!(readme.contains(&said), "{said}\n{readme}");
    }
    let confusion = &record["confusions"][0];
    let said = format!("| {} | {} |", confusion["truth"].as_str().unwrap(), confusion["predicted"].as_str().unwrap());
    assert!(readme.contains("## Most frequent confusions") && readme.contains(&said), "{said}\n{readme}");
    let took = record["fit"]["secs"].as_f64().unwrap();
    assert!(took > 0.0 && readme.contains(&format!("The fit took {took:.1} seconds")), "{readme}");
    let made = record["made_vague"].as_u64().unwrap();
    assert!(made > 0 && readme.contains(&format!("that name no goods | {made} | {made} |")), "{readme}");
}

/// Confused codes are told by what the nomenclature says of them.
#[test]
fn a_card_names_confused_codes_by_the_nomenclature_that_it_was_trained_with() {
    let lab = lab();
    let dir = folder();
    let (file, registry) = (path(dir.path(), "names.csv"), path(dir.path(), "models"));
    let mut csv = "hs_code,level,parent,section,description\n".to_string();
    let codes = Codes::builtin(Edition::Hs2022);
    let above = codes.chapters().chain(codes.headings()).map(str::to_string);
    for code in above.chain(codes.iter().map(|code| code.to_string())) {
        csv += &format!("{code},{},{},I,goods of {code}\n", code.len(), &code[..code.len() - 2]);
    }
    std::fs::write(&file, csv).unwrap();
    let train = ["train", "--input", &lab.labelled, "--label", "hs6", "--registry", &registry, "--recipe", &lab.recipe];
    ok(&[&train[..], &["--nomenclature", &file, "--target-precision", "0.5"]].concat());
    let json = std::fs::read_to_string(path(dir.path(), "models/hs/versions/1/metrics.json")).unwrap();
    let record: Value = serde_json::from_str(&json).unwrap();
    let (truth, predicted) = (&record["confusions"][0]["truth"], &record["confusions"][0]["predicted"]);
    let (truth, predicted) = (truth.as_str().unwrap(), predicted.as_str().unwrap());
    let card = ok(&["card", "--registry", &registry, "--format", "markdown"]);
    assert!(card.contains(&format!("| {truth} goods of {truth} | {predicted} goods of {predicted} |")), "{card}");
}
