//! A small lake with a tariff in words of our own, and a session over it.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use harmonize::lake::Place;
use harmonize::registry::Registry;
use harmonize::sql::{LakeOptions, LakeSession, Limits};
use serde_json::Value;

use super::lab::{classify_args, lab, ok, path, write_lines};

/// Three editions in a few codes: in 2022 the video recorders lose a part to other goods, and two kinds of bolts become one.
const HS: [(&str, &str); 2] = [
    (
        "2017",
        "73,2,,XV,Things of iron or steel\n7318,4,73,XV,Screws and what goes with them\n731815,6,7318,XV,Bolts\n\
         731816,6,7318,XV,Nuts\n731819,6,7318,XV,Bolts of other kinds\n85,2,,XVI,Electrical machines\n\
         8521,4,85,XVI,Video recorders\n852190,6,8521,XVI,\"Video recorders, not for tape\"\n8528,4,85,XVI,Screens\n\
         852871,6,8528,XVI,Television receivers without a screen\n",
    ),
    (
        "2022",
        "73,2,,XV,Things of iron or steel\n7318,4,73,XV,Screws and what goes with them\n731815,6,7318,XV,Bolts\n\
         731816,6,7318,XV,Nuts\n85,2,,XVI,Electrical machines\n8521,4,85,XVI,Video recorders\n\
         852190,6,8521,XVI,\"Video recorders, not for tape\"\n8549,4,85,XVI,Electrical waste\n\
         854911,6,8549,XVI,Waste with batteries\n",
    ),
];

const CN: &str = "hs_code,level,parent,section,description,language\n73,2,,XV,Iron,en\n73,2,,XV,Eisen,de\n7318,4,73,XV,Screws,en\n\
                  731815,6,7318,XV,Bolts,en\n731815,6,7318,XV,Bolzen,de\n73181542,8,731815,XV,Bolts of stainless steel,en\n\
                  73181542,8,731815,XV,Bolzen aus nichtrostendem Stahl,de\n";

const LINKS: &str = "hs2022,hs2017,relationship,partial\n731815,731815,n:1,\n731815,731819,n:1,\n731816,731816,1:1,\n\
                     852190,852190,1:n,\n854911,852190,1:n,ex\n";

/// Imports the tariff into a lake: HS 2017 and 2022, the table between them, and CN 2025 in two languages.
pub fn with_tariff(dir: &Path) -> String {
    let lake = path(dir, "lake");
    let put = |name: &str, text: &str| {
        let file = path(dir, name);
        std::fs::write(&file, text).unwrap();
        file
    };
    let mut files: Vec<String> = HS
        .iter()
        .map(|(year, rows)| {
            let text = format!("hs_code,level,parent,section,description\n{rows}");
            format!("{year}={}", put(&format!("hs{year}.csv"), &text))
        })
        .collect();
    files.push(put("links.csv", LINKS));
    let import = |args: &[&str]| ok(&[&["tariff", "import"], args, &["--lake", &lake]].concat());
    import(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let cn = put("cn.csv", CN);
    import(&[&cn, "--schedule", "CN", "--edition", "2025", "--valid-from", "2025-01-01"]);
    lake
}

/// Classifies these descriptions into a lake with the lab's model, as a run of its own.
pub fn classify(dir: &Path, lake: &str, file: &str, descriptions: &[Option<&str>]) {
    let input = dir.join(file);
    write_lines(&input, descriptions);
    ok(&classify_args(input.to_str().unwrap(), lake));
}

/// What a session is opened with: the lab's registry and, where it is named, a model of its own.
pub fn options(lake: &str, model: Option<&str>) -> LakeOptions {
    LakeOptions {
        lake: Place::open(lake).unwrap(),
        registry: Some(Registry::new(Place::open(&lab().registry).unwrap())),
        model: model.map(|model| model.parse().unwrap()),
        limits: Limits { memory_bytes: 1 << 28, threads: 2 },
    }
}

/// A session over a lake with the lab's `hs@1`.
pub async fn session(lake: &str) -> LakeSession {
    LakeSession::open(options(lake, Some("hs@1"))).await.unwrap()
}

/// Makes a table of these columns in a session.
pub fn register(session: &LakeSession, name: &str, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    session.context().register_batch(name, batch).unwrap();
}

pub async fn batches(session: &LakeSession, sql: &str) -> harmonize::Result<Vec<RecordBatch>> {
    let plan = session.plan(sql).await?;
    Ok(session.execute(plan).await?.collect().await?)
}

/// Rows of a query as JSON, in which a null is no key.
pub async fn rows(session: &LakeSession, sql: &str) -> Vec<Value> {
    let batches = batches(session, sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let mut out = Vec::new();
    let mut writer = arrow::json::LineDelimitedWriter::new(&mut out);
    writer.write_batches(&batches.iter().collect::<Vec<_>>()).unwrap();
    writer.finish().unwrap();
    String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one column of a query, `v`, row by row; nulls are JSON's.
pub async fn values(session: &LakeSession, sql: &str) -> Vec<Value> {
    rows(session, sql).await.into_iter().map(|row| row.get("v").cloned().unwrap_or(Value::Null)).collect()
}

/// Why a query is refused, with its exit code.
pub async fn refusal(session: &LakeSession, sql: &str) -> (u8, String) {
    match batches(session, sql).await {
        Ok(batches) => panic!("{sql} was not refused: {batches:?}"),
        Err(e) => (e.exit_code(), e.to_string()),
    }
}

/// An array as a shared one.
pub fn array(array: impl arrow::array::Array + 'static) -> ArrayRef {
    Arc::new(array)
}
