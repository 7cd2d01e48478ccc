//! The model card: one page that tells a stranger what the model is, what it learnt from, how good it is, where it ends and
//! how to make it again (after Mitchell et al., "Model cards for model reporting", 2019). As Markdown it travels in the
//! bundle; as a self-contained page it is drawn from the bundle.
//!
//! The card states only what it is given; it reads no clock, no file and no environment, and prints no description.

mod html;
mod markdown;
mod tables;

use serde_json::{Value, json};

use super::inspect::DataReport;
use super::recipe::Recipe;
use super::record::{Record, SplitRecord};
use super::split::Grouping;
use super::table::{percent, thousands};
use crate::error::Result;
use crate::model::{DataFile, Draft, Policy};
use crate::registry::Loaded;

/// Everything that the card tells.
#[derive(Clone, Debug)]
pub struct Card<'a> {
    name: &'a str,
    /// Empty before the model has one.
    version: String,
    /// SHA-256 of the manifest; empty before there is one.
    digest: &'a str,
    program_version: &'a str,
    created_at: &'a str,
    /// Empty when nobody was named.
    owner: &'a str,
    edition: &'a str,
    /// Subheadings that it can answer with.
    classes: usize,
    files: &'a [DataFile],
    architecture: Value,
    calibration: Value,
    /// The thresholds and the evidence for them.
    policy: &'a Policy,
    record: &'a Record,
}

impl<'a> Card<'a> {
    /// Of a bundle that is being built.
    ///
    /// # Errors
    /// `Bug` when its network cannot be described.
    pub fn of_draft(draft: &'a Draft, record: &'a Record) -> Result<Card<'a>> {
        Ok(Card {
            name: &draft.name,
            version: String::new(),
            digest: "",
            program_version: &draft.program_version,
            created_at: &draft.created_at,
            owner: &draft.created_by,
            edition: &draft.labels.edition,
            classes: draft.labels.codes.len(),
            files: &draft.data,
            architecture: draft.network.config()?,
            calibration: json!(draft.calibration),
            policy: &draft.policy,
            record,
        })
    }

    /// Of a version of a registry; `record` is that of its bundle.
    ///
    /// # Errors
    /// As for [`Card::of_draft`].
    pub fn of_version(loaded: &'a Loaded, record: &'a Record) -> Result<Card<'a>> {
        let (bundle, manifest) = (&loaded.bundle, &loaded.bundle.manifest);
        Ok(Card {
            name: &loaded.name,
            version: loaded.version.to_string(),
            digest: &bundle.digest,
            program_version: &manifest.program_version,
            created_at: &manifest.created_at,
            owner: &manifest.created_by,
            edition: &bundle.labels.edition,
            classes: bundle.labels.codes.len(),
            files: &manifest.data,
            architecture: bundle.network.config()?,
            calibration: json!(bundle.calibration),
            policy: &bundle.policy,
            record,
        })
    }

    /// The name with the version, if there is one.
    fn title(&self) -> String {
        if self.version.is_empty() { self.name.to_string() } else { format!("{}@{}", self.name, self.version) }
    }
}

/// What the card says, in any form.
impl Card<'_> {
    fn what_it_is(&self) -> String {
        let owner = if self.owner.is_empty() { "nobody was named" } else { self.owner };
        let labelled = self.record.checks.as_ref().map_or_else(String::new, |checks| {
            format!(
                " The labelled rows carry {} subheadings in {} headings and {} chapters.",
                thousands(checks.labels.classes),
                thousands(checks.labels.headings),
                checks.labels.chapters,
            )
        });
        format!(
            "A classifier of goods descriptions into six-digit subheadings of the Harmonized System, edition HS {}.{labelled} \
             It can answer only with the {} that its training part and further examples had. Trained on {} with harmonize \
             {}. Who answers for it: {owner}.",
            self.edition,
            thousands(self.classes),
            self.created_at,
            self.program_version,
        )
    }

    fn measured(&self) -> String {
        let metrics = &self.record.figures;
        format!(
            "Measured on {}: {} rows, {} distinct descriptions, {} rows without a prediction.",
            self.record.measured_on,
            thousands(metrics.rows),
            thousands(metrics.texts),
            thousands(metrics.unscored_rows),
        )
    }

    /// `None` when the threshold was set by a review budget.
    fn target_precision(&self) -> Option<f64> {
        self.policy.review_budget.is_none().then_some(self.policy.target_precision)
    }

    /// The recipe as a file for `--recipe`; `None` where it is of another form than this program's.
    fn recipe(&self) -> Option<String> {
        let recipe: Recipe = serde_json::from_value(self.record.recipe.clone()).ok()?;
        recipe.to_toml().ok()
    }

    /// What there is to say before the recipe.
    fn again(&self) -> String {
        let secs = self.record.fit["secs"].as_f64();
        let took = secs.map_or_else(String::new, |secs| {
            format!(" The fit took {secs:.1} seconds (of one that was taken up from a checkpoint: since then).")
        });
        format!("The recipe that was in force; saved to a file, it is what --recipe takes.{took}")
    }

    fn settings(&self) -> &Value {
        &self.record.recipe["fit"]
    }

    fn limits(&self) -> Vec<String> {
        let checks = self.record.checks.as_ref().map(|checks: &DataReport| &checks.labels);
        let best = checks.map_or_else(String::new, |checks| {
            format!(
                " Text alone can be right on at most {} of the labelled rows, because equal descriptions carry different codes.",
                percent(checks.best_possible_ratio)
            )
        });
        let few = checks.map(|checks| &checks.rare).filter(|rare| rare.below > 0).map(|rare| {
            let classes = thousands(rare.classes.len());
            format!("{classes} of the subheadings have fewer than {} labelled rows: expect little of them.", rare.below)
        });
        let sentences = [
            Some(format!(
                "The labels are what was declared; nobody checked them.{best} A figure above measures agreement with such \
                 labels, not with the law."
            )),
            Some("Six digits only. National digits, duty and origin are not its business.".to_string()),
            Some(
                "A line below the threshold needs a person, and so does a sample of the accepted ones. The model proposes; \
                 the declarant decides and answers."
                    .to_string(),
            ),
            few,
            Some(format!(
                "It knows edition HS {} alone. A code that also exists in another edition may mean other goods there, and \
                 no check of numbers can see that.",
                self.edition
            )),
            Some(
                "Figures hold for goods and wording like those of the files above. Watch drift, and measure again before \
                 using it elsewhere."
                    .to_string(),
            ),
        ];
        sentences.into_iter().flatten().collect()
    }
}

impl SplitRecord {
    fn says(&self) -> String {
        let key = match self.grouping {
            Grouping::Text => "the normalised description, so that equal descriptions share a part",
            Grouping::TextWithoutNumbers => {
                "the normalised description without its numbers, so that descriptions that differ only in numbers share a part"
            }
        };
        format!("By a hash of {key}, with seed {}. No row is in two parts.", self.seed)
    }
}

/// A value of another room as dotted names and their values.
pub(super) fn flattened(value: &Value) -> Vec<[String; 2]> {
    let mut rows = Vec::new();
    flatten("", value, &mut rows);
    rows
}

fn flatten(name: &str, value: &Value, rows: &mut Vec<[String; 2]>) {
    let text = match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (field, value) in fields {
                let full = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(&full, value, rows);
            }
            return;
        }
        other => told(other),
    };
    rows.push([name.to_string(), text]);
}

fn told(value: &Value) -> String {
    match value {
        Value::Null => "–".to_string(),
        Value::String(text) => text.clone(),
        // A number of single precision is told as such, not with the digits that double precision adds.
        Value::Number(number) => match number.as_f64() {
            Some(single) if number.is_f64() && f64::from(single as f32) == single => format!("{:?}", single as f32),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Evidence, LevelThreshold};
    use crate::tariff::{Codes, Edition};
    use crate::train::checks::{Limits, Row, check};
    use crate::train::evaluate::{By, Scored, confusions, evaluate, slices};
    use crate::train::extra::{Count, Extra};
    use crate::train::labels::Label;
    use crate::train::profile::Profile;
    use crate::train::schema::Schema;
    use crate::train::split::{Part, Shares, Split};
    use crate::train::{DecisionReport, DecisionsLeftOut};

    fn formed(form: impl Fn(&Card<'_>) -> String) -> String {
        let label = Label::parse(Some("847130"), Codes::builtin(Edition::Hs2022));
        let checks = check(std::iter::repeat_n(Row { text: Some("secret laptop"), label: &label }, 1_200), 5);
        let truth = label.code(false).unwrap();
        let scored = Scored {
            truth,
            top: &[(truth, 0.875)],
            confidence_heading: 0.875,
            confidence_chapter: 1.0,
            first_of_text: true,
            accepted: true,
            sure_of: None,
        };
        let report = DataReport {
            edition: Edition::Hs2022,
            refused: Vec::new(),
            limits: Limits::default(),
            schema: Schema::default(),
            labels: checks,
            descriptions: Profile::default(),
            near_duplicates: None,
            decisions: None,
        };
        let split = Split::new(42, Shares::default(), Grouping::Text).unwrap();
        let metrics = evaluate(&[scored]);
        let row = [("", truth)];
        let wrong = Scored { truth: "731815".parse().unwrap(), ..scored };
        let mut recipe = Recipe::from_toml("[fit]\nseed = 42\n").unwrap();
        let text = vec!["t".to_string()];
        recipe.extra.push(Extra { input: vec!["t.csv".into()], text, label: "c".into(), where_sql: None, weight: 0.3 });
        let evidence = Evidence {
            rows: 700,
            texts: 600,
            accepted: 512,
            errors: 3,
            error_upper_bound: 0.015,
            ..Evidence::default()
        };
        let heading = LevelThreshold { threshold: 0.8125, evidence };
        let policy = Policy { heading, ..Policy::default() };
        let slices = [By::Chapter, By::Support].map(|by| slices(&by, &["84".into()], &[scored], 1));
        let record = Record {
            measured_on: "the test part".into(),
            figures: metrics,
            slices: slices.to_vec(),
            class_rows: row.iter().map(|(_, code)| (*code, 1_044)).collect(),
            split: Some(SplitRecord::new(&split, vec![(Part::Train, 1_044), (Part::Stop, 156)])),
            checks: Some(report),
            confusions: confusions(&[scored, wrong], 5, None),
            extra: vec![Count {
                input: vec!["s3://b/t.csv?key=hidden".into()],
                rows: 1_300,
                used_rows: 1_250,
                classes: 41,
            }],
            decisions: Some(DecisionReport {
                table: "s3://lake/decisions".into(),
                version: 6,
                decisions: 40,
                used: 31,
                texts: 29,
                left_out: DecisionsLeftOut { test: 9, ..DecisionsLeftOut::default() },
                digest: "d1".into(),
                ..DecisionReport::default()
            }),
            made_vague: 12,
            fit: json!({"secs": 93.4}),
            recipe: recipe.in_force().unwrap(),
            command: "harmonize train --input a.parquet --seed 42".into(),
        };
        let further =
            DataFile { url: "file:///texts.csv".into(), size_bytes: 9, e_tag: Some("\"e1\"".into()), rows: 12 };
        let file = DataFile { url: "s3://b/a|b.parquet?key=hidden".into(), size_bytes: 7, e_tag: None, rows: 1_200 };
        form(&Card {
            name: "hs",
            version: "7".into(),
            digest: "abc",
            program_version: "0.1.0",
            created_at: "2026-01-02T03:04:05Z",
            owner: "Customs data team",
            edition: "2022",
            classes: 3,
            files: &[file, further],
            architecture: json!({"filters": 256, "widths": [3, 4, 5], "pool": {"kind": "max"}}),
            calibration: json!({"temperature": 1.25, "share": 1.01_f32, "note": "line one\nline | two"}),
            policy: &policy,
            record: &record,
        })
    }

    fn page() -> String {
        formed(|card| card.markdown())
    }

    #[test]
    fn the_card_has_every_section_in_its_order() {
        let page = page();
        let sections: Vec<&str> = page.lines().filter(|line| line.starts_with('#')).collect();
        let expected = [
            "# Model card: hs@7",
            "## Data",
            "## Further examples",
            "## Decisions of people",
            "## Split",
            "## Architecture",
            "## Settings of the fit",
            "## Figures",
            "## Chapters, worst first",
            "## By training rows of the known code",
            "## Most frequent confusions",
            "## Calibration",
            "## Thresholds",
            "## Limits",
            "## How to make it again",
        ];
        assert_eq!(sections, expected);
        assert!(page.ends_with("```\n") && !page.contains("\n\n\n"));
    }

    /// The interval of 1 of 1 is 0.025 to 1, in closed form.
    #[test]
    fn the_card_states_what_it_is_given() {
        let page = page();
        for stated in [
            "Who answers for it: Customs data team.",
            "| pool.kind | max |",
            "| widths | [3,4,5] |",
            "| max_secs | – |",
            "| share | 1.01 |",
            "| bound | 0.95 |",
            "| the subheading: accepted | never | 0 | 0 | 0 | 0.00 % | 100.00 % |",
            "| the heading | 0.8125 | 600 | 512 | 3 | 0.00 % | 1.50 % |",
            "| s3://b/t.csv | 1,300 | 1,250 | 41 | 0.3 |",
            "## Decisions of people",
            "Of s3://lake/decisions, version 6 of the table.",
            "their codes: d1.",
            "| learned from | 31 |",
            "| text of the test part | 9 |",
            "| made from the list of texts that name no goods | 12 | 12 | – | 1.0 |",
            "| 731815 | 847130 | 1 | 1 | 1 | nothing |",
            "The fit took 93.4 seconds",
            "```toml\n[checks]\n",
            "| train | 1,044 | 93.00 % | fits the weights |",
            "with seed 42",
            "1 of them are right (100.00 %; 95 % interval 2.50 % to 100.00 %",
            "| 84 | 1 | 100.00 % | 100.00 % | 100.00 % |",
            "harmonize train --input a.parquet --seed 42",
            "answer only with the 3 that its training part and further examples had",
            "| `file:///texts.csv` | 12 | \"e1\" |",
            "| 84 | 1 | 100.0 % (2.5 to 100.0) |",
        ] {
            assert!(page.contains(stated), "{stated}\n{page}");
        }
    }

    /// The block of the Markdown and the one of the page, saved, are what `--recipe` takes, and make the same recipe.
    #[test]
    fn the_recipe_on_the_card_is_a_recipe_file() {
        let (page, html) = (page(), formed(|card| card.html().unwrap()));
        let block = page.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
        let on_page = html.split("<pre>").find(|block| block.starts_with("[checks]")).unwrap();
        let on_page = on_page.split_once("</pre>").unwrap().0.replace("&quot;", "\"").replace("&amp;", "&");
        assert_eq!(on_page.trim_end(), block.trim_end());
        let recipe = Recipe::from_toml(block).unwrap();
        assert_eq!((recipe.fit.seed, recipe.extra[0].weight, recipe.extra.len()), (42, 0.3, 1));
        let others = Recipe { fit: crate::train::Hyper { seed: 42, ..Default::default() }, ..Recipe::default() };
        assert_eq!(Recipe { extra: vec![], ..recipe }, others);
    }

    #[test]
    fn the_card_holds_no_description_no_key_and_no_broken_table() {
        let page = page();
        assert!(!page.contains("secret") && !page.contains("hidden"), "{page}");
        assert!(page.contains("`s3://b/a\\|b.parquet`") && page.contains("| note | line one line \\| two |"), "{page}");
    }

    #[test]
    fn the_page_has_what_the_card_says_with_drawings_and_nothing_private() {
        let html = formed(|card| card.html().unwrap());
        for stated in [
            "<title>Model card: hs@7</title>",
            "<h2>Data</h2>",
            "<h2>Split</h2>",
            "<h2>Decisions of people</h2>",
            "<h2>Where it is weak</h2>",
            "<h3>By chapter of the known code</h3>",
            "<h3>By training rows of the known code</h3>",
            "<h2>Limits</h2>",
            "<h2>Further examples</h2>",
            "<h2>Most frequent confusions</h2>",
            "<td data-name=\"sure of\">the heading</td><td class=\"number\" data-name=\"from confidence\">0.8125</td>",
            "The fit took 93.4 seconds",
            "harmonize train --input a.parquet --seed 42</pre>",
            "2.5 to 100.0",
            "s3://b/a|b.parquet",
            "abc",
        ] {
            assert!(html.contains(stated), "{stated}\n{html}");
        }
        assert_eq!((html.matches("<svg").count(), html.matches("</svg>").count()), (2, 2));
        for absent in ["secret", "hidden", "http", "<script", "#0"] {
            assert!(!html.contains(absent) || absent == "#0" && !html.contains("\"#0"), "{absent}\n{html}");
        }
    }

    #[test]
    fn the_card_of_an_older_version_has_what_was_recorded() {
        let record: Record = serde_json::from_value(json!({"measured_on": "x", "figures": {"rows": 3}})).unwrap();
        let html = formed(|card| Card { record: &record, ..card.clone() }.html().unwrap());
        assert!(
            html.contains("<h2>Limits</h2>") && !html.contains("<h2>Split</h2>") && !html.contains("<svg"),
            "{html}"
        );
        let page = formed(|card| Card { record: &record, ..card.clone() }.markdown());
        assert!(page.contains("## Figures") && !page.contains("## Split"), "{page}");
    }
}
