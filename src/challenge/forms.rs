//! A comparison as data: the evidence of an event, everything as JSON, and CSV.

use serde_json::{Value, json};

use super::compare::Found;
use crate::error::{Error, Result};
use crate::trial::{Interval, Pairs};

impl Found {
    /// One line a level and a chapter, numbers as they are; nothing where there is none.
    ///
    /// # Errors
    /// `Bug` when it cannot be written.
    pub fn csv(&self) -> Result<String> {
        let failed = |e: String| Error::Bug(format!("comparison as CSV: {e}"));
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = [
            "of",
            "digits",
            "texts",
            "both_right",
            "lost",
            "gained",
            "both_wrong",
            "difference",
            "low",
            "high",
            "p_value",
            "exact",
            "churn_ratio",
            "not_worse_p",
            "worse_p",
        ];
        writer.write_record(header).map_err(|e| failed(e.to_string()))?;
        let row = |of: &str, digits: u64, pairs: &Pairs, difference: f64, interval: &Interval, rest: [String; 5]| {
            let counts = [pairs.lines(), pairs.both_right, pairs.lost, pairs.gained, pairs.both_wrong];
            let mut row = vec![of.to_string(), digits.to_string()];
            row.extend(counts.map(|count| count.to_string()));
            row.extend([difference, interval.low, interval.high].map(|number| number.to_string()));
            row.extend(rest);
            row
        };
        let c = &self.comparison;
        for l in &c.levels {
            let churn = if l.digits == 6 { c.churn_ratio.to_string() } else { String::new() };
            let test =
                [l.mcnemar.p_value.to_string(), l.mcnemar.exact.to_string(), churn, String::new(), String::new()];
            let row = row("all", l.digits, &l.pairs, l.difference, &l.interval, test);
            writer.write_record(row).map_err(|e| failed(e.to_string()))?;
        }
        for l in &c.chapters {
            let [churn, not_worse, worse] = [l.churn_ratio, l.not_worse_p, l.worse_p].map(|number| number.to_string());
            let test = [String::new(), String::new(), churn, not_worse, worse];
            let row = row(&l.chapter, 6, &l.pairs, l.difference, &l.interval, test);
            writer.write_record(row).map_err(|e| failed(e.to_string()))?;
        }
        let bytes = writer.into_inner().map_err(|e| failed(e.to_string()))?;
        String::from_utf8(bytes).map_err(|e| failed(e.to_string()))
    }

    /// Everything, one document: the evidence, and beside it what is not kept in an event.
    ///
    /// # Errors
    /// `Bug` when it cannot be written.
    pub fn json(&self) -> Result<String> {
        let failed = |e: serde_json::Error| Error::Bug(format!("comparison as JSON: {e}"));
        let mut all = serde_json::to_value(&self.comparison).map_err(failed)?;
        if let Value::Object(all) = &mut all {
            all.insert("left_out".into(), serde_json::to_value(self.left_out).map_err(failed)?);
            if let Some(nights) = &self.nights {
                let side_by_side =
                    json!({"texts": nights.texts, "differing": nights.differing, "both_wrong": nights.both_wrong});
                all.insert("side_by_side".into(), side_by_side);
            }
            if !(self.lost.is_empty() && self.gained.is_empty()) {
                all.insert("lost".into(), serde_json::to_value(&self.lost).map_err(failed)?);
                all.insert("gained".into(), serde_json::to_value(&self.gained).map_err(failed)?);
            }
        }
        Ok(serde_json::to_string_pretty(&all).map_err(failed)? + "\n")
    }

    /// The evidence alone, which an event can keep: no descriptions.
    ///
    /// # Errors
    /// `Bug` when it cannot be written.
    pub fn evidence(&self) -> Result<String> {
        let json = serde_json::to_string_pretty(&self.comparison);
        Ok(json.map_err(|e| Error::Bug(format!("evidence as JSON: {e}")))? + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::Comparison;
    use super::super::report::tests::found;
    use super::*;

    #[test]
    fn the_evidence_is_read_back_and_has_no_descriptions() {
        let found = found();
        let evidence = found.evidence().unwrap();
        let (read, kept): (Comparison, _) = (serde_json::from_str(&evidence).unwrap(), &found.comparison);
        assert_eq!((&read.champion, &read.challenger, &read.lines), (&kept.champion, &kept.challenger, &kept.lines));
        assert_eq!((read.levels[0].pairs, &read.nightly), (kept.levels[0].pairs, &kept.nightly));
        assert!(!evidence.contains("nut") && !evidence.contains("laptop"));
        let all: Value = serde_json::from_str(&found.json().unwrap()).unwrap();
        assert_eq!((&all["left_out"]["without_code"], &all["side_by_side"]["both_wrong"]), (&json!(2), &json!(1)));
        assert_eq!((&all["lost"][0]["text"], &all["gained"][0]["truth"]), (&json!("<b>nut</b>"), &json!("847130")));
    }

    #[test]
    fn the_rows_of_the_csv_are_levels_and_chapters() {
        let csv = found().csv().unwrap();
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        let of = |row: &csv::StringRecord| [0, 1, 4, 5].map(|at| row[at].to_string()).join(" ");
        let mut rows: Vec<String> = reader.records().map(|row| of(&row.unwrap())).collect();
        rows[3..].sort();
        assert_eq!(rows, ["all 6 1 1", "all 4 1 0", "all 2 1 0", "73 6 1 0", "84 6 0 1"]);
    }
}
