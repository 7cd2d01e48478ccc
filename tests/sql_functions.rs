//! Every function over scalars, arrays, nulls and encodings, and every example of `docs/sql.md`.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::{
    BinaryArray, BinaryViewArray, DictionaryArray, LargeBinaryArray, LargeStringArray, ListArray, StringArray,
    StringViewArray,
};
use arrow::datatypes::{Int8Type, Int32Type, UInt64Type};
use harmonize::sql::LakeSession;
use serde_json::{Value, json};

use crate::support::lab::folder;
use crate::support::lake::{array, batches, classify, refusal, register, rows, session, values, with_tariff};
use crate::support::servers::{python, python_lines};

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

/// Registers `t` with the column `n` and one column of the same values for each encoding; their names.
fn encoded(session: &LakeSession, values: &[Option<&str>]) -> Vec<&'static str> {
    let text = || values.iter().copied();
    let bytes = || values.iter().map(|value| value.map(str::as_bytes));
    let columns = vec![
        ("utf8", array(text().collect::<StringArray>())),
        ("large", array(text().collect::<LargeStringArray>())),
        ("view", array(text().collect::<StringViewArray>())),
        ("bytes", array(BinaryArray::from_iter(bytes()))),
        ("large_bytes", array(LargeBinaryArray::from_iter(bytes()))),
        ("bytes_view", array(BinaryViewArray::from_iter(bytes()))),
        ("dict", array(text().collect::<DictionaryArray<Int32Type>>())),
        ("small_dict", array(text().collect::<DictionaryArray<Int8Type>>())),
        ("big_dict", array(text().collect::<DictionaryArray<UInt64Type>>())),
    ];
    let names = columns.iter().map(|(name, _)| *name).collect();
    let number = array(arrow::array::Int64Array::from_iter_values(0..values.len() as i64));
    register(session, "t", [vec![("n", number)], columns].concat());
    names
}

fn quoted(value: Option<&str>) -> String {
    value.map_or("NULL".into(), |value| format!("'{}'", value.replace('\'', "''")))
}

const TEXTS: [Option<&str>; 7] = [
    Some("steel bolts"),
    None,
    Some(""),
    Some("  STEEL   bolts "),
    Some("cotton shirts"),
    Some("steel bolts"),
    Some("café stainless kettles"),
];

const OF_TEXT: [&str; 10] = [
    "hs_predict({})",
    "hs_code({})",
    "hs_confidence({})",
    "hs_topk({}, 3)",
    "hs_within({}, '73')",
    "hs_within({}, ['7318', '8521'])",
    "hs_explain({})",
    "text_normalise({})",
    "text_digest({})",
    "text_of({})",
];

const CODES: [Option<&str>; 9] = [
    Some("731815"),
    None,
    Some(""),
    Some("7318"),
    Some("852190"),
    Some("731815"),
    Some("73"),
    Some("0101.21"),
    Some("731819"),
];

const OF_CODE: [&str; 7] = [
    "hs_parent({})",
    "hs_level({})",
    "hs_is_valid({}, '2017')",
    "hs_is_valid({}, 'CN 2025')",
    "hs_describe({}, '2017')",
    "hs_describe({}, 'CN 2025', 'de')",
    "hs_successors({}, '2017', '2022')",
];

#[test]
fn a_function_gives_one_answer_in_every_encoding_as_array_and_as_scalar() {
    let dir = folder();
    let lake = with_tariff(dir.path());
    block_on(async {
        for (given, calls) in [(&TEXTS[..], &OF_TEXT[..]), (&CODES[..], &OF_CODE[..])] {
            let session = session(&lake).await;
            let names = encoded(&session, given);
            for call in calls {
                let of = |arg: &str| call.replace("{}", arg);
                let expected = values(&session, &format!("SELECT {} AS v FROM t ORDER BY n", of("utf8"))).await;
                assert!(expected.iter().any(|v| !v.is_null()), "{call}");
                for name in &names {
                    let found = values(&session, &format!("SELECT {} AS v FROM t ORDER BY n", of(name))).await;
                    assert_eq!(found, expected, "{call} of {name}");
                }
                for (value, expected) in given.iter().zip(&expected) {
                    let found = values(&session, &format!("SELECT {} AS v", of(&quoted(*value)))).await;
                    assert_eq!(found, std::slice::from_ref(expected), "{call} of {value:?}");
                }
                // A null is null, in every field of a struct.
                let null = &expected[1];
                assert!(null.is_null() || *null == json!({}), "{call}: {null}");
            }
        }
    });
}

#[test]
fn a_prediction_is_the_one_of_the_program_and_other_functions_are_parts_of_it() {
    let dir = folder();
    let lake = with_tariff(dir.path());
    block_on(async {
        let session = session(&lake).await;
        encoded(&session, &TEXTS);
        let all = rows(
            &session,
            "SELECT p, hs_code(utf8) AS code, hs_confidence(utf8) AS confidence, hs_topk(utf8, 2) AS two, hs_topk(utf8, 5) AS five \
             FROM (SELECT *, hs_predict(utf8) AS p FROM t) ORDER BY n",
        )
        .await;
        let registry = &crate::support::lab::lab().registry;
        let given: Vec<&str> = TEXTS.into_iter().flatten().collect();
        let args = [&["predict", "--registry", registry, "--model", "hs@1", "--format", "json"], &given[..]].concat();
        let told: Vec<Value> =
            crate::support::lab::ok(&args).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut told = told.into_iter();
        for (row, text) in all.iter().zip(TEXTS) {
            let p = &row["p"];
            assert_eq!((row.get("code"), row.get("confidence")), (p.get("hs6"), p.get("confidence")), "{row}");
            assert_eq!(row.get("five"), p.get("alternatives"), "{row}");
            let two = p.get("alternatives").map(|all| json!(all.as_array().unwrap()[..2]));
            assert_eq!(row.get("two").cloned(), two, "{row}");
            if text.is_none() {
                continue;
            }
            let (mut told, mut p) = (told.next().unwrap(), p.clone());
            for (name, value) in p.as_object_mut().unwrap() {
                assert_eq!(told[name.as_str()].take(), value.take(), "{text:?}: {name}");
            }
        }
        assert_eq!(all[0]["p"]["model"], "hs@1");
        assert_eq!((&all[2]["p"]["decision"], &all[2]["p"]["reasons"]), (&json!("refuse"), &json!(["empty"])));
        // Not even the fields that a line of a run has are there for a null, and unnest sees the same.
        assert_eq!(all[1]["p"], json!({}));
        let unnested = rows(&session, "SELECT unnest(hs_predict(utf8)) FROM t WHERE n = 1").await;
        assert_eq!(unnested, [json!({})]);
    });
}

#[test]
fn a_line_of_a_run_without_a_text_keeps_its_decision_and_reason() {
    let dir = folder();
    let lake = with_tariff(dir.path());
    classify(dir.path(), &lake, "in/lines.parquet", &[Some("steel bolts"), None]);
    block_on(async {
        let session = session(&lake).await;
        let found =
            rows(&session, "SELECT decision, reasons, model_name FROM predictions WHERE text_digest IS NULL").await;
        assert_eq!(found, [json!({"decision": "refuse", "reasons": ["no_text"], "model_name": "hs"})]);
        let same = "SELECT bool_and(text_digest = text_digest(description)) AS v FROM predictions";
        assert_eq!(values(&session, same).await, [json!(true)]);
    });
}

#[test]
fn a_dictionary_is_scored_once_for_each_value_that_a_row_has() {
    let dir = folder();
    let lake = with_tariff(dir.path());
    block_on(async {
        let session = session(&lake).await;
        let classifier = std::sync::Arc::clone(session.model(None).await.unwrap().classifier());
        // 900 rows of 3 values; 97 values that no row has.
        let words: Vec<String> = (0..100).map(|n| format!("goods number {n}")).collect();
        let keys = (0..900).map(|row| (row % 9 != 0).then_some(row % 3)).collect::<arrow::array::Int32Array>();
        let values_of_it = array(StringArray::from_iter_values(&words));
        let dictionary = DictionaryArray::<Int32Type>::new(keys, values_of_it);
        register(&session, "d", vec![("text", array(dictionary))]);
        for (call, rows, texts) in [
            ("hs_predict(text)", 4, 3),
            ("hs_code(text)", 4, 0),
            ("hs_topk(text, 2)", 4, 0),
            ("hs_within(text, '73')", 0, 3),
        ] {
            let before = (classifier.rows(), classifier.texts());
            let found = rows_of(&session, &format!("SELECT {call} AS v FROM d")).await;
            assert_eq!(found, 900);
            // The values, and one null for the rows without one; texts that were scored before are remembered.
            assert_eq!((classifier.rows() - before.0, classifier.texts() - before.1), (rows, texts), "{call}");
        }
    });
}

async fn rows_of(session: &LakeSession, sql: &str) -> usize {
    batches(session, sql).await.unwrap().iter().map(|batch| batch.num_rows()).sum()
}

#[test]
fn a_choice_within_codes_is_among_them_alone_and_its_shares_are_those_of_the_engine() {
    let dir = folder();
    let lake = with_tariff(dir.path());
    block_on(async {
        let session = session(&lake).await;
        let model = session.model(None).await.unwrap();
        let known = model.classifier().codes();
        let of = |prefix: &str| -> Vec<u32> {
            known
                .iter()
                .enumerate()
                .filter(|(_, code)| code.starts_with(prefix))
                .map(|(class, _)| class as u32)
                .collect()
        };
        let shares = |classes: &[u32]| model.classifier().within("steel bolts", classes).unwrap();
        for prefix in ["61", "6109", "85"] {
            let classes = of(prefix);
            assert!(classes.len() > 1, "{prefix}");
            let shares = shares(&classes);
            let mut best: Vec<(&str, f32)> =
                classes.iter().map(|class| known[*class as usize].as_str()).zip(shares.iter().copied()).collect();
            best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
            let found = &values(&session, &format!("SELECT hs_within('steel bolts', '{prefix}') AS v")).await[0];
            let float = |value: &Value| value.as_f64().unwrap() as f32;
            assert_eq!((found["hs6"].as_str().unwrap(), float(&found["confidence"])), best[0]);
            assert!((float(&found["margin"]) - (best[0].1 - best[1].1)).abs() < 1e-6);
            assert_eq!((&found["candidates"], &found["model"]), (&json!(classes.len()), &json!("hs@1")));
            let alternatives = found["alternatives"].as_array().unwrap();
            assert_eq!(alternatives.len(), classes.len().min(5));
            for (one, (code, share)) in alternatives.iter().zip(&best) {
                assert_eq!((one["hs6"].as_str().unwrap(), float(&one["confidence"])), (*code, *share));
            }
            assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
        // A list is the union of what its codes stand for; one code has all there is.
        let one = &values(&session, "SELECT hs_within('steel bolts', ['610910']) AS v").await[0];
        assert_eq!((&one["hs6"], &one["confidence"], &one["margin"]), (&json!("610910"), &json!(1.0), &json!(1.0)));
        let union = of("6109").len() + of("85").len();
        let query = "SELECT hs_within('steel bolts', ['6109', '85', '610910'])['candidates'] AS v";
        assert_eq!(values(&session, query).await, [json!(union)]);
        // Column by column: successors of each code, and nothing to choose from.
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]);
        register(&session, "numbers", vec![("list", array(lists))]);
        let query = "SELECT hs_within(t, c)['hs6'] AS v FROM (VALUES (1, 'steel bolts', hs_successors('731819', '2017', '2022')), \
                     (2, 'steel bolts', hs_successors('999998', '2017', '2022')), (3, 'steel bolts', arrow_cast([], 'List(Utf8)')), (4, '', ['7318']), \
                     (5, 'steel bolts', ['99', 'x'])) AS w(n, t, c) ORDER BY n";
        assert_eq!(
            values(&session, query).await,
            [json!("731815"), Value::Null, Value::Null, Value::Null, Value::Null]
        );
    });
}

#[test]
fn a_wrong_call_is_refused_while_it_is_planned_and_told_what_to_pass() {
    let dir = folder();
    let lake = with_tariff(dir.path());
    block_on(async {
        let session = session(&lake).await;
        let planned = async |sql: &str| match session.plan(sql).await {
            Ok(plan) => panic!("{sql} was planned: {plan}"),
            Err(e) => (e.exit_code(), e.to_string()),
        };
        for (call, says) in [
            ("hs_predict(5)", "hs_predict(text [, model]): text is a string or bytes; cast another type first"),
            ("hs_predict(true)", "it is Boolean here"),
            ("hs_predict('x', 5)", "model is a string such as 'hs@7'"),
            ("hs_predict('x', upper('hs@1'))", "the model is named by a literal such as 'hs@7'"),
            ("hs_predict('x', $1)", "the model is named by a literal"),
            ("hs_predict('x', 'HS@1')", "is no model name"),
            ("hs_predict('x', 'hs@0')", "0 is no version number; write hs@1"),
            ("hs_predict('x', 'hs@')", "names no model version"),
            ("hs_predict('x', 'hs@1', 'y')", "takes 1 to 2 arguments, not 3"),
            ("hs_code(1.5)", "hs_code(text [, model]): text is a string"),
            ("hs_confidence([1])", "hs_confidence(text [, model]): text is a string"),
            ("hs_topk('x')", "hs_topk(text, k [, model]) takes 2 to 3 arguments, not 1"),
            ("hs_topk('x', 'y')", "k is a whole number"),
            ("hs_topk('x', 0)", "k is 1 to 5, not 0"),
            ("hs_topk('x', 6)", "k is 1 to 5, not 6"),
            ("hs_within('x', 85)", "codes is a string such as '85', or a list"),
            ("hs_within('x', [85])", "codes is a string such as '85', or a list"),
            ("hs_within('x', '8')", "give 2, 4 or 6 digits"),
            ("hs_explain(now())", "hs_explain(text [, model]): text is a string"),
            ("hs_describe(850110)", "code is a string or bytes; cast another type first"),
            ("hs_describe('85', 2022)", "edition is a string"),
            ("hs_describe()", "does not support zero arguments"),
            ("hs_parent('85', '2022')", "hs_parent(code) takes 1 argument, not 2"),
            ("hs_level(85)", "code is a string"),
            ("hs_is_valid('85')", "hs_is_valid(code, edition) takes 2 arguments, not 1"),
            ("hs_successors('85', '2017')", "takes 3 arguments, not 2"),
            ("text_normalise(5)", "text_normalise(text): text is a string"),
            ("text_digest(5)", "text_digest(text): text is a string"),
            ("text_of(5)", "text_of(bytes): bytes is a string or bytes"),
        ] {
            let (code, said) = planned(&format!("SELECT {call}")).await;
            assert!(code == 2 && said.contains(says), "{call}: {code} {said}");
        }
        // What shows in the rows alone is refused when they come.
        for (call, code, says) in [
            ("hs_topk(t, k)", 2, "k is 1 to 5, not 9"),
            ("hs_describe(c, e)", 20, "the lake has no nomenclature HS 2012; import it"),
            ("hs_describe(c, 'CN 1999')", 20, "only: CN 2025, HS 2017, HS 2022; import it"),
            ("hs_describe(c, 'x')", 2, "names no edition"),
            ("hs_is_valid(c, '1996')", 20, "the lake has no nomenclature HS 1996"),
            ("hs_successors(c, '2022', '2017')", 2, "does not go forward"),
            ("hs_successors(c, '2012', '2022')", 20, "HS 2012"),
        ] {
            let query = format!("SELECT {call} FROM (VALUES ('bolts', 9, '7318', '2012')) AS v(t, k, c, e)");
            let (found, said) = refusal(&session, &query).await;
            assert!(found == code && said.contains(says), "{call}: {found} {said}");
        }
    });
}

#[test]
fn normalising_and_digests_are_those_of_the_definition() {
    let texts: Vec<String> = [
        "Cotton shirts",
        "  70CTNS\r\n\tCotton\u{a0}\u{3000}SHIRTS \u{0}",
        "ＦＵＬＬ　ｗｉｄｔｈ ﬁlter 10㎏ ½",
        "CAFE\u{301} İstanbul ΣΊΣΥΦΟΣ Ⅷ",
        "",
        " \u{85}\n",
        "塩化ナトリウム　９９％",
    ]
    .into_iter()
    .map(str::to_string)
    .chain([("é".repeat(600)), "ab ".repeat(300), format!("{} b", "a".repeat(511))])
    .collect();
    let dir = folder();
    let lake = with_tariff(dir.path());
    let given: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
    let told = python_lines("text_digest.py", &[], &given);
    block_on(async {
        let session = session(&lake).await;
        register(
            &session,
            "x",
            vec![
                ("n", array(arrow::array::Int64Array::from_iter_values(0..texts.len() as i64))),
                ("text", array(StringArray::from_iter_values(&texts))),
            ],
        );
        let query = "SELECT text_normalise(text) AS normalised, text_digest(text) AS digest FROM x ORDER BY n";
        for (found, told) in rows(&session, query).await.iter().zip(&told) {
            assert_eq!(found["normalised"], told["normalised"]);
            assert_eq!(found.get("digest").unwrap_or(&Value::Null), &told["digest"], "{}", told["normalised"]);
        }
    });
}

#[test]
fn codes_are_described_and_followed_as_the_files_of_the_nomenclature_say() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if !shared.join("nomenclature_hs2022.csv").exists() {
        println!("skipped: no nomenclatures beside the checkout");
        return;
    }
    let dir = folder();
    let lake = crate::support::lab::path(dir.path(), "lake");
    let file = |name: &str| shared.join(name).to_str().unwrap().to_string();
    let nomenclatures =
        ["2012", "2017", "2022"].map(|year| format!("{year}={}", file(&format!("nomenclature_hs{year}.csv"))));
    let tables = ["correlation_2012_2017.csv", "correlation_2017_2022.csv"].map(file);
    let files: Vec<&str> = nomenclatures.iter().chain(&tables).map(String::as_str).collect();
    crate::support::lab::ok(&[&["tariff", "import", "--lake", &lake], &files[..]].concat());
    let told = python("tariff_functions.py", &[shared.to_str().unwrap()], &[]);
    block_on(async {
        let session = session(&lake).await;
        for (from, to) in [("2017", "2022"), ("2012", "2017"), ("2012", "2022")] {
            let query = format!(
                "SELECT code, hs_successors(code, '{from}', '{to}') AS v FROM hs_nomenclature('{from}') WHERE level = 6"
            );
            let found: serde_json::Map<String, Value> =
                rows(&session, &query).await.into_iter().map(|row| (code(&row), row["v"].clone())).collect();
            assert_eq!(Value::Object(found), told["successors"][format!("{from} {to}")], "{from} {to}");
        }
        for year in ["2012", "2017", "2022"] {
            let query = format!("SELECT code, hs_describe(code, '{year}') AS v FROM hs_nomenclature('{year}')");
            let found: serde_json::Map<String, Value> =
                rows(&session, &query).await.into_iter().map(|row| (code(&row), row["v"].clone())).collect();
            assert_eq!(Value::Object(found), told["descriptions"][year], "{year}");
            // Every code of every edition, asked of this one.
            let query = format!(
                "SELECT count(*) FILTER (WHERE hs_is_valid(code, '{year}')) AS valid, count(*) AS all_codes, \
                 count(*) FILTER (WHERE hs_is_valid(code, '{year}') AND hs_parent(code) IS NOT NULL \
                 AND NOT hs_is_valid(hs_parent(code), '{year}')) AS orphans FROM (SELECT DISTINCT code FROM nomenclature)"
            );
            let found = &rows(&session, &query).await[0];
            assert_eq!(found["valid"], told["descriptions"][year].as_object().unwrap().len());
            assert_eq!((&found["all_codes"], &found["orphans"]), (&told["codes"], &json!(0)));
        }
    });
}

fn code(row: &Value) -> String {
    row["code"].as_str().unwrap().to_string()
}

/// The blocks of `docs/sql.md`: a query, and what it shows.
fn examples() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sql.md")).unwrap();
    let mut examples: Vec<(String, String)> = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let block: &mut dyn FnMut(String) = match line.trim() {
            "```sql" => &mut |block| examples.push((block, String::new())),
            "```text" => &mut |block| {
                let last = examples.last_mut().expect("output follows a query");
                assert!(last.1.is_empty(), "two outputs of {}", last.0);
                last.1 = block;
            },
            _ => continue,
        };
        block(lines.by_ref().take_while(|line| line.trim() != "```").collect::<Vec<_>>().join("\n"));
    }
    examples
}

#[test]
fn every_example_of_the_document_gives_what_it_shows() {
    let dir = folder();
    let lake = with_tariff(dir.path());
    classify(dir.path(), &lake, "in/lines.parquet", &[Some("steel bolts"), Some("cotton shirts"), None]);
    let examples = examples();
    assert!(examples.len() >= 19);
    block_on(async {
        let session = session(&lake).await;
        let mut wrong = Vec::new();
        for (query, shown) in &examples {
            let batches = batches(&session, query.trim().trim_end_matches(';')).await;
            let batches = batches.unwrap_or_else(|e| panic!("{query}: {e}"));
            let found = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
            if found.trim() != shown.trim() {
                wrong.push(format!("{query}\n{found}"));
            }
        }
        assert!(wrong.is_empty(), "docs/sql.md shows something else than\n{}", wrong.join("\n\n"));
    });
}

#[test]
fn every_function_is_in_the_document_and_in_the_information_schema() {
    let dir = folder();
    let lake = with_tariff(dir.path());
    let document = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sql.md")).unwrap();
    let examples = examples();
    block_on(async {
        let session = session(&lake).await;
        let query = "SELECT DISTINCT routine_name AS name, function_type AS kind, description, syntax_example AS syntax \
                     FROM information_schema.routines WHERE routine_name LIKE 'hs\\_%' OR routine_name LIKE 'text\\_%' OR \
                     routine_name IN ('runs', 'models', 'predictions_as_of')";
        let all = rows(&session, query).await;
        let names: BTreeSet<&str> = all.iter().map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(names.len(), 19, "{names:?}");
        for row in &all {
            let name = row["name"].as_str().unwrap();
            assert!(document.contains(&format!("### `{name}(")), "docs/sql.md has no section of {name}");
            assert!(examples.iter().any(|(query, _)| query.contains(&format!("{name}("))), "no example of {name}");
            if row["kind"] == "SCALAR" {
                let syntax = row["syntax"].as_str().unwrap();
                assert!(document.contains(&format!("### `{syntax}`")), "docs/sql.md has no section {syntax}");
                assert!(row["description"].as_str().unwrap().len() > 30);
            }
        }
        let shown = rows(&session, "SHOW FUNCTIONS LIKE 'hs\\_%'").await;
        let shown: BTreeSet<&str> = shown.iter().map(|row| row["function_name"].as_str().unwrap()).collect();
        assert_eq!(shown, names.iter().copied().filter(|name| name.starts_with("hs_")).collect());
        let arguments = rows(
            &session,
            "SELECT DISTINCT parameter_name AS name FROM information_schema.parameters WHERE specific_name = 'hs_within' \
             AND parameter_mode = 'IN'",
        )
        .await;
        assert_eq!(arguments.len(), 3, "{arguments:?}");
    });
}
