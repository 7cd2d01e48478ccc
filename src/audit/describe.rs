//! A pack as a page for people: the same facts as in the JSON, those first that one looks for first.

use serde_json::{Map, Value};

use super::line::{Line, Said};
use super::models::Facts;
use super::run::Run;
use crate::jobs::{Replay, Replayed, RunRecord};
use crate::sql::Explanation;
use crate::train::{Cell, Grid, Page};

type Row = Map<String, Value>;

/// A value in a cell or beside a name.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            if items.is_empty() { "none".into() } else { items.join(", ") }
        }
        other => other.to_string(),
    }
}

fn cell(row: &Row, name: &str) -> Cell {
    Cell::Words(row.get(name).map_or("–".into(), shown))
}

fn pair(name: &str, value: impl Into<String>) -> [String; 2] {
    [name.into(), value.into()]
}

fn or_none(text: Option<&str>) -> String {
    text.unwrap_or("–").to_string()
}

/// Rows with these columns, or a sentence where there is none.
fn rows(page: Page, rows: &[Row], columns: &[&str], none: &str) -> Page {
    if rows.is_empty() {
        return page.list(&[none.to_string()]);
    }
    let mut grid = Grid { header: columns.iter().map(|name| name.replace('_', " ")).collect(), rows: Vec::new() };
    grid.rows = rows.iter().map(|row| columns.iter().map(|name| cell(row, name)).collect()).collect();
    page.grid(&grid)
}

/// The page of a line.
pub(super) fn line(line: &Line, replayed: &Replayed, digest: &str) -> Page {
    let run = &replayed.again.run;
    let served = line.said.iter().find(|said| said.then.get("served") == Some(&Value::Bool(true)));
    let served = served.or(line.said.first());
    let of = |name: &str| served.and_then(|said| said.then.get(name)).map_or("–".into(), shown);
    let mut page = Page::new(&format!("Audit pack of row {} of {}", line.row, line.file))
        .lead(&format!(
            "What run {} said of this line, why, by which model and policy, what people decided since, and whether it comes \
             out again today. Digest of the pack: {digest}.",
            run.run_id
        ))
        .tiles(&[
            (of("hs6"), "code"),
            (of("confidence"), "confidence"),
            (of("decision"), "decision"),
            (if line.is_equal() { "equal" } else { "not equal" }.into(), "made again"),
        ]);
    let asked = line.asked.as_ref();
    page = page.section("The line", "").pairs(&[
        pair("file", &line.file),
        pair("row, from 0", line.row.to_string()),
        pair("line id", or_none(line.line_id.as_deref())),
        pair("description as stored", or_none(line.stored.as_deref())),
        pair("description in the input now", or_none(asked.and_then(|asked| asked.description.as_deref()))),
        pair("input", line.input.why.clone().unwrap_or_else(|| "the file that the run read, by size and ETag".into())),
        pair("normalised text", or_none(line.normalised.as_ref().map(|(text, _)| text.as_str()))),
        pair("digest of the text then", or_none(line.text_digest.as_deref())),
        pair("digest of the text now", or_none(line.normalised.as_ref().map(|(_, digest)| digest.as_str()))),
    ]);
    if let Some(became) = &line.became {
        page = became.page(page);
    }
    for said in &line.said {
        page = of_role(page, said);
    }
    page = page.section("What people decided", "Decisions about this line, and about every line of its text.");
    let columns = ["decided_at", "reviewer", "verdict", "hs6", "tariff_edition", "binding", "reason_code", "note"];
    page = rows(page, &line.decisions, &columns, "Nobody has decided.");
    page = page.section("Other runs", "What other runs said of the same place in the same file.");
    let columns =
        ["run_id", "role", "served", "hs6", "confidence", "decision", "reasons", "model_name", "model_version"];
    page = rows(page, &line.history, &columns, "No other run has a row for it.");
    end(page, &line.models, run, &replayed.report, digest)
}

fn of_role(page: Page, said: &Said) -> Page {
    let mut page = page.section(&format!("What the {} said", said.role), "");
    page = page.list(&said.why.because);
    let facts: Vec<[String; 2]> =
        said.why.facts.iter().map(|(name, v)| pair(&name.replace('_', " "), shown(v))).collect();
    page = page.pairs(&facts);
    page = page.subsection("Candidates", "");
    if said.candidates.is_empty() {
        page = page.list(&["No code was given.".to_string()]);
    } else {
        let mut grid = Grid::new(["code", "confidence", "subheading", "heading", "chapter"]);
        for choice in &said.candidates {
            let wording = |level: &str| Cell::Words(shown(&choice["wording"][level]));
            let code = Cell::Words(shown(&choice["hs6"]));
            let confidence = Cell::Number(shown(&choice["confidence"]));
            grid.rows.push(vec![code, confidence, wording("subheading"), wording("heading"), wording("chapter")]);
        }
        page = page.grid(&grid);
    }
    page = match &said.explanation {
        Some(explanation) => explained(page, explanation),
        None => page.subsection("Words", "There is no text whose words could be told apart."),
    };
    page = page.subsection("Then and now", "Every column of its row in predictions, and the same row made again.");
    let mut grid = Grid::new(["column", "then", "now"]);
    for (name, then) in &said.then {
        if name == "run_date" {
            continue;
        }
        let now = said.now.as_ref().and_then(|now| now.get(name));
        let now = now.map_or("not made again".into(), |now| if now == then { "the same".into() } else { shown(now) });
        grid.rows.push(vec![Cell::Words(name.clone()), Cell::Words(shown(then)), Cell::Words(now)]);
    }
    page.grid(&grid)
}

/// What each word added to the first choice.
fn explained(page: Page, e: &Explanation) -> Page {
    let second = e.second.as_ref();
    let over = second.map_or("over the second".to_string(), |(code, ..)| format!("over {code}"));
    let page = page.subsection(
        "Words",
        &format!(
            "What each word adds to the logit of {}, in nats, over the mean of all codes and over the second choice ({}).",
            e.first.0,
            e.method.as_str()
        ),
    );
    let signed = |x: f64| Cell::Number(format!("{x:+.3}"));
    let mut grid = Grid { header: vec!["word".into(), "over all".into(), over], rows: Vec::new() };
    let rest = e.method.rest().to_string();
    let parts = e.words.iter().zip(&e.parts.words).map(|(word, x)| (word.clone(), *x));
    let against = second.map(|(_, _, parts)| parts);
    for (n, (word, x)) in parts.enumerate() {
        let over = against.map_or(Cell::Number("–".into()), |parts| signed(parts.words[n]));
        grid.rows.push(vec![Cell::Words(word), signed(x), over]);
    }
    for (name, x, over) in [
        (rest, e.parts.bias, against.map(|parts| parts.bias)),
        ("sum".into(), e.parts.logit(), against.map(|parts| parts.logit())),
    ] {
        grid.rows.push(vec![Cell::Words(name), signed(x), over.map_or(Cell::Number("–".into()), signed)]);
    }
    page.grid(&grid)
}

/// The page of a run.
pub(super) fn run(run: &Run, replayed: &Replayed, digest: &str) -> Page {
    let (record, report) = (&replayed.again.run, &replayed.report);
    let mut page = Page::new(&format!("Audit pack of run {}", record.run_id))
        .lead(&format!(
            "What this run read, what it said, by which model and policy, and whether it comes out again today. Digest of the \
             pack: {digest}."
        ))
        .tiles(&[
            (record.lines_written.to_string(), "lines"),
            (record.accept_lines.to_string(), "accepted"),
            (record.review_lines.to_string(), "to people"),
            (record.refuse_lines.to_string(), "refused"),
            (if report.is_equal() { "equal" } else { "not equal" }.into(), "made again"),
        ]);
    page = page.section("Inputs", "Files as the run read them, and what became of them.");
    let mut grid = Grid::new(["file", "bytes", "rows", "ETag", "now"]);
    for file in &report.files {
        let found = &file.found;
        grid.rows.push(vec![
            Cell::Words(found.file.url.clone()),
            Cell::Number(found.file.size_bytes.to_string()),
            Cell::Number(found.file.rows.to_string()),
            Cell::Words(or_none(found.file.e_tag.as_deref())),
            Cell::Words(found.why.clone().unwrap_or_else(|| "there".into())),
        ]);
    }
    page = page.grid(&grid);
    if !record.quarantined.is_empty() {
        let told = |file: &crate::jobs::QuarantinedFile| format!("Set aside: {}: {}", file.url, file.reason);
        page = page.list(&record.quarantined.iter().map(told).collect::<Vec<_>>());
    }
    for (title, name, columns) in [
        ("By decision", "decisions", &["role", "served", "decision", "rows"][..]),
        ("By reason", "reasons", &["role", "reason", "rows"]),
        ("By chapter", "chapters", &["role", "chapter", "decision", "rows"]),
    ] {
        page = page.section(title, "");
        let counted = run.counts.get(name).map_or(&[][..], Vec::as_slice);
        page = rows(page, counted, columns, "There is none.");
    }
    page = page.section("Samples", "Lines that come first by the hash of their addresses.");
    let columns = ["source_row", "role", "description", "hs6", "confidence", "decision", "reasons", "source_file"];
    page = rows(page, &run.samples, &columns, "The run has no lines.");
    end(page, &run.models, record, report, digest)
}

/// What both kinds of page end with.
fn end(mut page: Page, models: &[Facts], run: &RunRecord, report: &Replay, digest: &str) -> Page {
    for model in models {
        page = of_model(page, model);
    }
    page = replay(page, report);
    page = page.section("The run", "Its record, as it stands in the table runs.");
    let record = serde_json::to_value(run).unwrap_or_default();
    let record = record.as_object().cloned().unwrap_or_default();
    let pairs: Vec<[String; 2]> = record
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "policy_json" | "inputs" | "quarantined"))
        .map(|(name, value)| pair(&name.replace('_', " "), shown(value)))
        .collect();
    page = page.pairs(&pairs);
    page = page.details("The policy in force, whole", |page| page.verbatim(&run.policy_json));
    page.section(
        "The digest",
        "SHA-256 over the JSON beside this page; the command finds a change of any character in it.",
    )
    .verbatim(&format!("{digest}\n\nharmonize replay --verify-pack FILE.json"))
}

fn of_model(page: Page, model: &Facts) -> Page {
    let manifest = &model.manifest;
    let mut page = page.section(&format!("The {}: {}@{}", model.role, model.name, model.version), "").pairs(&[
        pair("model digest", &model.digest),
        pair("digest of the model card", &model.card_sha256),
        pair("architecture", &manifest.architecture),
        pair("edition", &manifest.edition),
        pair("made", format!("{} by {}", manifest.created_at, manifest.created_by)),
        pair("by program version", &manifest.program_version),
        pair("seed", manifest.seed.to_string()),
        pair("digest of the policy in force", &model.policy_digest),
    ]);
    let chain = &model.registry;
    page = page.subsection(
        "What had happened to it",
        &format!("Events of the registry that concern this version, up to {}, when the run began.", chain.until),
    );
    let whole = match &chain.why {
        None => format!("The chain of events holds together; it had {} of them.", chain.events_until),
        Some(why) => format!("The chain of events does not hold together: {why}"),
    };
    let aliases = match &chain.aliases[..] {
        [] => "No alias named the version.".to_string(),
        names => format!("It was named by {}.", names.join(", ")),
    };
    page = page.list(&[whole, aliases]);
    if chain.events.is_empty() {
        return page.list(&["No event speaks of it.".to_string()]);
    }
    let mut grid = Grid::new(["number", "what", "when", "who", "why", "report", "digest of its file"]);
    for recorded in &chain.events {
        let event = &recorded.event;
        let alias = event.alias.as_ref().map_or(String::new(), |alias| format!(" {alias}"));
        grid.rows.push(vec![
            Cell::Words(event.number.to_string()),
            Cell::Words(format!("{}{alias}", event.kind)),
            Cell::Words(event.at.clone()),
            Cell::Words(event.by.clone()),
            Cell::Words(event.why.clone()),
            Cell::Words(or_none(event.report_sha256.as_deref())),
            Cell::Words(or_none(recorded.file_sha256.as_deref())),
        ]);
    }
    page.grid(&grid)
}

fn replay(page: Page, report: &Replay) -> Page {
    let counts = &report.rows;
    let sample = report.sample.as_deref().unwrap_or("all lines");
    let tables = |report: &Replay| -> Vec<String> {
        let told = |table: &crate::jobs::PastTable| {
            let version =
                table.version.map_or("which did not exist".to_string(), |version| format!("version {version}"));
            format!(
                "Read the table {}, {version}{}",
                table.table,
                table.why.as_ref().map_or(".".into(), |why| format!(": {why}."))
            )
        };
        report.tables.iter().map(told).chain(report.why.iter().map(|why| format!("Why: {why}."))).collect()
    };
    let mut page =
        page.section("Made again", &format!("The rows in the lake beside the same rows made again: {sample}."));
    let count = |n: u64| n.to_string();
    page = page.pairs(&[
        pair("program then", &report.program_then),
        pair("program now", &report.program_now),
        pair("rows equal in every column", count(counts.equal)),
        pair("rows differing", count(counts.differing)),
        pair("rows not in the lake", count(counts.not_in_lake)),
        pair("rows not reproduced", count(counts.not_reproduced)),
        pair("rows twice in the lake", count(counts.twice)),
        pair("rows of files that are gone or changed", count(counts.left_out)),
    ]);
    let said = tables(report);
    if !said.is_empty() {
        page = page.list(&said);
    }
    if report.differences.is_empty() {
        return page;
    }
    let mut grid = Grid::new(["file", "row", "role", "how", "column", "then", "now"]);
    for difference in &report.differences {
        let address = || {
            let (file, row) = (difference.source_file.clone(), difference.source_row.to_string());
            vec![file, row, difference.role.clone(), difference.kind.as_str().to_string()]
        };
        let mut told: Vec<[String; 3]> =
            difference.columns.iter().map(|one| [one.column.clone(), shown(&one.then), shown(&one.now)]).collect();
        if told.is_empty() {
            told.push(["–", "–", "–"].map(str::to_string));
        }
        for one in told {
            grid.rows.push(address().into_iter().chain(one).map(Cell::Words).collect());
        }
    }
    page.grid(&grid)
}
