use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, StringArray};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::Value;

use crate::support::lab::{
    Ended, classify_args, folder, lab, number, ok, parquet_files, path, read, run, sql, write_lines, write_parquet,
};

/// A file whose `description` is declared as UTF-8 and holds these bytes.
fn write_raw(file: &Path, rows: &[Option<&[u8]>]) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let schema =
        parse_message_type("message m { required binary line_id (UTF8); optional binary description (UTF8); }")
            .unwrap();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer =
        SerializedFileWriter::new(std::fs::File::create(file).unwrap(), Arc::new(schema), properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let ids: Vec<ByteArray> = (0..rows.len()).map(|i| ByteArray::from(i.to_string().into_bytes())).collect();
    let values: Vec<ByteArray> = rows.iter().flatten().map(|v| ByteArray::from(v.to_vec())).collect();
    let levels: Vec<i16> = rows.iter().map(|r| i16::from(r.is_some())).collect();
    for i in 0..2 {
        let mut column = group.next_column().unwrap().unwrap();
        let ColumnWriter::ByteArrayColumnWriter(typed) = column.untyped() else { panic!() };
        if i == 0 {
            typed.write_batch(&ids, None, None).unwrap();
        } else {
            typed.write_batch(&values, Some(&levels), None).unwrap();
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

fn by_id(lake: &str) -> BTreeMap<String, Value> {
    read(lake, "predictions", "SELECT * FROM t")
        .into_iter()
        .map(|row| (row["line_id"].as_str().unwrap().to_string(), row))
        .collect()
}

#[test]
fn crooked_lines_get_a_row_with_their_reason_and_neighbours_do_not_move() {
    let dir = folder();
    let million = "steel bolts ".repeat(83_334);
    let straight = "STAINLESS STEEL BOLTS M8";
    let rows: Vec<(Option<&[u8]>, &str)> = vec![
        (Some(straight.as_bytes()), ""),
        (None, "no_text"),
        (Some(b""), "empty"),
        (Some(b" \t\r\n \x0b"), "empty"),
        (Some(million.as_bytes()), "truncated"),
        (Some(b"steel \xff\xfe bolts"), "invalid_utf8"),
        (Some(b"\x00\x01\x02\x07"), "empty"),
        (Some("😀😀😀 🚢".as_bytes()), "?"),
        (Some("قمصان قطنية للرجال".as_bytes()), "?"),
        (Some("\u{202e}stlob leets".as_bytes()), "?"),
        (Some(b"spare parts"), "vague"),
        (Some(straight.as_bytes()), ""),
    ];
    let file = dir.path().join("in/lines.parquet");
    let bytes: Vec<Option<&[u8]>> = rows.iter().map(|(b, _)| *b).collect();
    write_raw(&file, &bytes);
    let lake = path(dir.path(), "lake");
    ok(&classify_args(file.to_str().unwrap(), &lake));
    let got = by_id(&lake);
    assert_eq!(got.len(), rows.len(), "one row for each line");
    for (i, (_, reason)) in rows.iter().enumerate() {
        let row = &got[&i.to_string()];
        let reasons: Vec<&str> = row["reasons"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
        match *reason {
            // Read as text, whatever the vocabulary makes of it: a code, or none for that reason.
            "" | "?" => {
                assert!(!["invalid_utf8", "no_text"].iter().any(|r| reasons.contains(r)), "{row}");
                let refused = row["decision"] == "refuse";
                assert_eq!(refused, row["hs6"].is_null(), "{row}");
                assert_eq!(refused, ["out_of_vocabulary", "vague"].iter().any(|r| reasons.contains(r)), "{row}");
                assert!(*reason == "?" || !refused, "{row}");
            }
            "truncated" => {
                assert!(reasons.contains(&"truncated"), "{row}");
                assert_ne!(row["decision"], "accept");
                assert!(row["description"].as_str().unwrap().chars().count() <= 512);
            }
            reason => {
                assert!(reasons.contains(&reason), "line {i}: {row}");
                assert_eq!((&row["decision"], &row["hs6"]), (&Value::from("refuse"), &Value::Null), "{row}");
            }
        }
    }
    assert_eq!(got["1"]["description"], Value::Null);
    assert_eq!(got["5"]["description"], "steel \u{fffd}\u{fffd} bolts");
    // The straight lines alone give the same answers.
    let alone = dir.path().join("alone/lines.parquet");
    write_lines(&alone, &[Some(straight)]);
    let other = path(dir.path(), "other");
    ok(&classify_args(alone.to_str().unwrap(), &other));
    let alone = &by_id(&other)["0"];
    for id in ["0", "11"] {
        for column in ["hs6", "confidence", "margin", "alternatives", "decision", "reasons", "text_digest"] {
            assert_eq!(got[id][column], alone[column], "{id} {column}");
        }
    }
}

#[test]
fn a_missing_column_is_named_with_the_columns_that_there_are() {
    let dir = folder();
    let file = dir.path().join("in/lines.parquet");
    write_lines(&file, &[Some("bolts")]);
    let lake = path(dir.path(), "lake");
    for (args, flag) in [(["--text", "goods"], "--text"), (["--id", "number"], "--id")] {
        let mut all = classify_args(file.to_str().unwrap(), &lake);
        all.retain(|a| *a != "--id" && *a != "line_id");
        all.extend(args);
        let ended = run(&all);
        assert_eq!(ended.code, 20, "{}", ended.err);
        assert!(ended.err.contains("line_id, description") && ended.err.contains(flag), "{}", ended.err);
    }
    assert!(!Path::new(&lake).join("predictions").exists(), "nothing was made");
}

#[test]
fn a_text_column_that_holds_no_text_and_files_that_disagree_are_refused_by_name() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let file = dir.path().join("numbers/a.parquet");
    write_parquet(&file, vec![("line_id", Arc::clone(&numbers)), ("description", Arc::clone(&numbers))]);
    let ended = run(&classify_args(file.to_str().unwrap(), &lake));
    assert_eq!(ended.code, 20);
    assert!(ended.err.contains("does not hold text") && ended.err.contains("a.parquet"), "{}", ended.err);
    write_lines(&dir.path().join("two/a.parquet"), &[Some("bolts")]);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["bolts"]));
    write_parquet(&dir.path().join("two/b.parquet"), vec![("line_id", numbers), ("description", text)]);
    let ended = run(&classify_args(&path(dir.path(), "two"), &lake));
    assert_eq!(ended.code, 20);
    assert!(ended.err.contains("\"line_id\" is Utf8View in") && ended.err.contains("b.parquet"), "{}", ended.err);
}

#[test]
fn nothing_to_read_is_a_named_error_and_nothing_in_the_files_is_success() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    std::fs::create_dir_all(dir.path().join("in")).unwrap();
    std::fs::write(dir.path().join("in/_SUCCESS"), "").unwrap();
    for missing in [path(dir.path(), "in"), path(dir.path(), "nowhere")] {
        let ended = run(&classify_args(&missing, &lake));
        assert_eq!(ended.code, 20, "{}", ended.err);
        assert!(ended.err.contains("no Parquet files at") && ended.err.contains(&missing), "{}", ended.err);
    }
    // A file of no rows, beside a marker, is a run of no lines.
    write_lines(&dir.path().join("in/none.parquet"), &[]);
    let out = ok(&classify_args(&path(dir.path(), "in"), &lake));
    assert!(out.contains("lines                  0"), "{out}");
    assert!(ok(&classify_args(&path(dir.path(), "in"), &lake)).contains("already done"));
}

/// Makes a good file and a bad one; how classify ends, in both modes.
fn with_bad_file(spoil: impl Fn(&Path), reason: &str, rows: Value) {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let texts: Vec<String> = (0..5000).map(|i| format!("steel bolts m{i} of lot {}", i * 7919 % 4999)).collect();
    let lines: Vec<Option<&str>> = texts.iter().map(|t| Some(t.as_str())).collect();
    write_lines(&dir.path().join("in/good.parquet"), &[Some("cotton shirts"), Some("bolts")]);
    let bad = dir.path().join("in/spoilt.parquet");
    write_lines(&bad, &lines);
    spoil(&bad);
    let input = path(dir.path(), "in");
    let args = classify_args(&input, &lake);
    let Ended { code, err, .. } = run(&args);
    assert_eq!(code, 20, "{err}");
    assert!(err.contains("spoilt.parquet") && err.contains("--on-bad-file quarantine"), "{err}");
    assert!(!err.contains("good.parquet"), "{err}");
    let predictions = dir.path().join("lake/predictions");
    assert!(parquet_files(&predictions).is_empty(), "nothing is left behind");
    assert!(!predictions.exists() || number(&lake, "predictions", "SELECT count(*) AS n FROM t") == 0);
    let mut set_aside = args.clone();
    set_aside.extend(["--on-bad-file", "quarantine"]);
    let out = ok(&set_aside);
    assert!(out.contains("spoilt.parquet"), "{out}");
    assert_eq!(number(&lake, "predictions", "SELECT count(*) AS n FROM t"), 2);
    let runs = read(&lake, "runs", "SELECT quarantined, quarantined_rows FROM t");
    let set = &runs[0]["quarantined"][0];
    assert!(set["url"].as_str().unwrap().ends_with("spoilt.parquet"));
    assert_eq!(set["rows"], rows, "{set}");
    assert!(set["reason"].as_str().unwrap().contains(reason), "{set}");
    assert_eq!(runs[0]["quarantined_rows"], rows.as_i64().unwrap_or(0));
    assert!(ok(&set_aside).contains("already done"));
}

#[test]
fn an_empty_file_is_set_aside_by_name() {
    with_bad_file(|file| std::fs::write(file, "").unwrap(), "0 bytes", Value::Null);
}

#[test]
fn a_truncated_file_is_set_aside_by_name() {
    with_bad_file(
        |file| {
            let bytes = std::fs::read(file).unwrap();
            std::fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
        },
        "footer",
        Value::Null,
    );
}

#[test]
fn a_file_with_flipped_bits_in_its_pages_is_set_aside_with_its_rows_counted() {
    with_bad_file(
        |file| {
            let mut bytes = std::fs::read(file).unwrap();
            // Inside the pages; the footer, and so the number of rows, stays readable.
            for byte in &mut bytes[40..2000] {
                *byte ^= 0xa5;
            }
            std::fs::write(file, bytes).unwrap();
        },
        "Parquet",
        5000.into(),
    );
}

#[test]
fn a_file_that_is_no_parquet_is_set_aside_by_name() {
    with_bad_file(|file| std::fs::write(file, "line_id,description\n1,bolts\n").unwrap(), "Parquet", Value::Null);
}

/// One bit in a page that carries a checksum, in a file that we wrote ourselves.
#[test]
fn one_flipped_bit_in_a_page_with_a_checksum_is_noticed() {
    let dir = folder();
    let first = path(dir.path(), "first");
    let file = dir.path().join("in/lines.parquet");
    write_lines(&file, &[Some("bolts"), Some("cotton shirts"), Some("plastic bottles")]);
    ok(&classify_args(file.to_str().unwrap(), &first));
    let ours = parquet_files(&Path::new(&first).join("predictions")).remove(0);
    let mut bytes = std::fs::read(&ours).unwrap();
    let place = bytes.windows(7).position(|w| w == b"bottles").expect("short texts are stored as they are");
    bytes[place] ^= 1;
    std::fs::write(&ours, bytes).unwrap();
    let second = path(dir.path(), "second");
    let ended = run(&classify_args(ours.to_str().unwrap(), &second));
    assert_eq!(ended.code, 20, "{}", ended.err);
    assert!(ended.err.contains(ours.file_name().unwrap().to_str().unwrap()), "{}", ended.err);
    assert!(parquet_files(Path::new(&second)).is_empty());
}

#[test]
fn input_that_is_replaced_during_the_run_is_noticed_before_anything_is_visible() {
    use crate::support::lab::harmonize;
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    for stage in ["planned", "written"] {
        let dir = folder();
        let lake = path(dir.path(), "lake");
        let file = dir.path().join("in/lines.parquet");
        write_lines(&file, &[Some("bolts"), Some("shirts")]);
        let mut child = harmonize(&classify_args(file.to_str().unwrap(), &lake))
            .env("HARMONIZE_HOLD_AT", stage)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), format!("held at {stage}"));
        // Of the same size: only the time and the inode, so the ETag, tell.
        let size = std::fs::metadata(&file).unwrap().len();
        write_lines(&file, &[Some("bolts"), Some("skirts")]);
        assert_eq!(std::fs::metadata(&file).unwrap().len(), size);
        // A held run goes on when it is told to.
        let told = std::process::Command::new("kill").args(["-USR1", &child.id().to_string()]).status().unwrap();
        assert!(told.success());
        let said: Vec<String> = lines.map_while(Result::ok).collect();
        let code = child.wait().unwrap().code();
        assert_eq!(code, Some(20), "{said:?}");
        assert!(said.concat().contains("replaced"), "{said:?}");
        let predictions = dir.path().join("lake/predictions");
        assert!(!predictions.exists() || number(&lake, "predictions", "SELECT count(*) AS n FROM t") == 0);
        assert!(parquet_files(&predictions).is_empty());
    }
}

#[test]
fn a_bad_condition_is_a_usage_error_that_lists_the_columns() {
    let dir = folder();
    let file = dir.path().join("in/lines.parquet");
    write_lines(&file, &[Some("bolts")]);
    for condition in ["colour = 'red'", "line_id ==", "line_id", "1 + 1"] {
        let lake = path(dir.path(), "lake");
        let mut args = classify_args(file.to_str().unwrap(), &lake);
        args.extend(["--where", condition]);
        let ended = run(&args);
        assert_eq!(ended.code, 2, "{condition}: {}", ended.err);
        let told = ended.err.contains("--where") && ended.err.contains("the columns are: ");
        assert!(told && ended.err.contains("line_id"), "{condition}: {}", ended.err);
    }
}

/// The values that an expression stumbles over are other people's descriptions.
#[test]
fn a_condition_that_fails_on_a_value_does_not_show_it() {
    let dir = folder();
    let file = dir.path().join("in/lines.parquet");
    write_lines(&file, &[Some("very secret bolts")]);
    let lake = path(dir.path(), "lake");
    let mut args = classify_args(file.to_str().unwrap(), &lake);
    args.extend(["--where", "CAST(description AS INT) = 1"]);
    let ended = run(&args);
    assert_eq!(ended.code, 2, "{}", ended.err);
    assert!(ended.err.contains("try_cast") && !ended.err.contains("secret"), "{}", ended.err);
}

/// The program as a user whom mode bits stop: root, whom they do not, becomes another one (`setpriv` of util-linux).
fn as_a_user(args: &[&str], dir: &std::path::Path) -> Ended {
    let bin = dir.join("harmonize");
    std::fs::copy(env!("CARGO_BIN_EXE_harmonize"), &bin).unwrap();
    let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut command = if root {
        let mut setpriv = std::process::Command::new("setpriv");
        setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&bin);
        setpriv
    } else {
        std::process::Command::new(&bin)
    };
    command.args(args).output().unwrap().into()
}

#[test]
fn a_lake_or_input_without_permission_ends_with_22_and_nothing_half_visible() {
    let dir = folder();
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let file = dir.path().join("in/lines.parquet");
    write_lines(&file, &[Some("bolts")]);
    let (models, lake) = (dir.path().join("models"), dir.path().join("lake"));
    let copied = std::process::Command::new("cp").arg("-r").arg(&lab().registry).arg(&models).status().unwrap();
    assert!(copied.success());
    std::fs::create_dir_all(&lake).unwrap();
    open(dir.path(), 0o755);
    open(&lake, 0o555);
    let models = models.to_str().unwrap();
    let args = ["classify", "--input", file.to_str().unwrap(), "--lake", lake.to_str().unwrap(), "--registry", models];
    let ended = as_a_user(&args, dir.path());
    assert_eq!(ended.code, 22, "{}", ended.err);
    assert!(ended.err.contains("lake"), "{}", ended.err);
    assert_eq!(std::fs::read_dir(&lake).unwrap().count(), 0);
    // And an input that may not be read.
    open(&lake, 0o777);
    open(&file, 0o000);
    let ended = as_a_user(&args, dir.path());
    assert_eq!(ended.code, 22, "{}", ended.err);
    assert!(ended.err.contains("lines.parquet"), "{}", ended.err);
    assert!(parquet_files(&lake).is_empty());
}

#[test]
fn check_plans_the_filter() {
    let dir = folder();
    let file = dir.path().join("in/lines.parquet");
    write_lines(&file, &[Some("bolts")]);
    let lake = path(dir.path(), "lake");
    let mut args = classify_args(file.to_str().unwrap(), &lake);
    args[0] = "check";
    args.extend(["--where", "description LIKE '%bolt%'"]);
    ok(&args);
    *args.last_mut().unwrap() = "colour = 'red'";
    let ended = run(&args);
    assert_eq!(ended.code, 2, "{}{}", ended.out, ended.err);
    assert!(ended.out.contains("FAIL input") && ended.out.contains("line_id"), "{}", ended.out);
}

#[test]
fn an_input_of_nothing_but_bad_files_is_refused_by_name_in_both_modes() {
    let dir = folder();
    std::fs::create_dir_all(dir.path().join("in")).unwrap();
    std::fs::write(dir.path().join("in/a.parquet"), "no parquet").unwrap();
    std::fs::write(dir.path().join("in/b.parquet"), "PAR1 nor this PAR1").unwrap();
    let (input, lake) = (path(dir.path(), "in"), path(dir.path(), "lake"));
    for mode in ["fail", "quarantine"] {
        let mut args = classify_args(&input, &lake);
        args.extend(["--on-bad-file", mode]);
        let ended = run(&args);
        assert_eq!(ended.code, 20, "{mode}: {}", ended.err);
        assert!(ended.err.contains("a.parquet"), "{mode}: {}", ended.err);
    }
}

#[test]
fn columns_named_like_our_own_and_columns_of_bytes_are_read() {
    let dir = folder();
    let lake = path(dir.path(), "lake");
    let file = dir.path().join("in/lines.parquet");
    let text: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&b"cotton shirts"[..]), None]));
    let own: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
    write_parquet(&file, vec![("line_id", Arc::clone(&own)), ("source_file", own), ("description", text)]);
    ok(&classify_args(file.to_str().unwrap(), &lake));
    let rows = sql(&lake, "SELECT source_file, source_row, decision FROM predictions ORDER BY source_row");
    assert_eq!(rows.len(), 2);
    assert!(rows[0]["source_file"].as_str().unwrap().ends_with("lines.parquet"));
    assert_eq!(rows[1]["decision"], "refuse");
}
