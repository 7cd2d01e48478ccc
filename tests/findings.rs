use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray};

use crate::support::lab::{classify_args, folder, ok, path, run, sql, write_parquet};
use crate::support::servers::python;

#[test]
fn declared_codes_and_values_travel_along_and_are_found_when_they_differ() {
    let dir = folder();
    let (input, lake) = (path(dir.path(), "in"), path(dir.path(), "lake"));
    let texts: Vec<String> = sql_texts(dir.path());
    let ids: StringArray = (0..texts.len()).map(|n| Some(n.to_string())).collect();
    let column: StringArray = texts.iter().map(|t| Some(t.as_str())).collect();
    let file = dir.path().join("in/a.parquet");
    let write = |declared: &[String], values: Vec<Option<f64>>| {
        let declared: StringArray = declared.iter().map(|c| Some(c.as_str())).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("line_id", Arc::new(ids.clone())),
            ("description", Arc::new(column.clone())),
            ("hs_code", Arc::new(declared)),
            ("cif", Arc::new(Float64Array::from(values))),
        ];
        write_parquet(&file, columns);
    };
    write(&vec![String::new(); texts.len()], vec![None; texts.len()]);
    ok(&classify_args(&input, &lake));
    let codes: Vec<String> = sql(&lake, "SELECT hs6 FROM current_predictions ORDER BY source_row")
        .iter()
        .map(|row| row["hs6"].as_str().unwrap().to_owned())
        .collect();
    // The first as the model says, with more digits and dots; the second of the same heading; the third of another chapter.
    let other = |code: &str| format!("{}99.0000", &code[..4]);
    let mut declared: Vec<String> = codes.iter().map(|c| format!("{}.{}.0000", &c[..4], &c[4..])).collect();
    declared[1] = other(&codes[1]);
    declared[2] = "010121".into();
    write(&declared, (0..texts.len()).map(|n| Some(n as f64 * 100.0)).collect());
    let args = [&classify_args(&input, &lake)[..], &["--declared", "hs_code", "--value", "cif"]].concat();
    ok(&args);
    let found = sql(
        &lake,
        "SELECT line_id, declared_code, same_heading, same_chapter, value FROM declared_otherwise ORDER BY value DESC",
    );
    let line = |id: &str, code: &str, heading: bool, chapter: bool, value: f64| serde_json::json!({"line_id": id, "declared_code": code, "same_heading": heading, "same_chapter": chapter, "value": value});
    assert_eq!(found, [line("2", "010121", false, false, 200.0), line("1", &declared[1], true, true, 100.0)]);
    let ended = run(&[&classify_args(&input, &lake)[..], &["--declared", "nothing"]].concat());
    assert_eq!((ended.code, ended.err.contains("--declared")), (20, true), "{}", ended.err);
}

/// A few sample lines that get a code.
fn sql_texts(dir: &std::path::Path) -> Vec<String> {
    let lake = path(dir, "first");
    ok(&classify_args(&crate::support::lab::lab().lines, &lake));
    let texts =
        "SELECT DISTINCT description FROM predictions WHERE hs6 IS NOT NULL AND hs6 NOT LIKE '01%' ORDER BY 1 LIMIT 5";
    sql(&lake, texts).iter().map(|row| row["description"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn equal_goods_with_different_codes_are_found() {
    let dir = folder();
    let (input, lake) = (path(dir.path(), "in"), path(dir.path(), "lake"));
    let texts: StringArray = ["steel bolts", "STEEL  bolts", "cotton shirts"].map(Some).into_iter().collect();
    let column: ArrayRef = Arc::new(texts);
    write_parquet(&dir.path().join("in/a.parquet"), vec![("line_id", Arc::clone(&column)), ("description", column)]);
    ok(&[&classify_args(&input, &lake)[..], &["--threshold", "0"]].concat());
    assert!(sql(&lake, "SELECT * FROM same_text_other_code").is_empty(), "one model gives one code");
    let lines = sql(&lake, "SELECT text_digest, source_file FROM predictions ORDER BY source_row");
    let [digest, file] = ["text_digest", "source_file"].map(|name| lines[0][name].as_str().unwrap().to_owned());
    // Ana decides for the text, Ben for the second line.
    python("write_decisions.py", &[&format!("{lake}/decisions"), &digest, &file, "1"], &[]);
    let found = sql(
        &lake,
        "SELECT code_count, lines, array_to_string(array_sort(codes), ' ') AS codes, array_to_string(array_sort(decided_by), ' ') AS who FROM same_text_other_code",
    );
    assert_eq!(found, [serde_json::json!({"code_count": 2, "lines": 2, "codes": "732690 848790", "who": "Ana Ben"})]);
}
