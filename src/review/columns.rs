//! The columns of the queue as a file, in their order, and which of them an import reads.

use super::reasons::ReasonCodes;
use super::sheet::{Column, Holds, Layout};

/// Candidates that are shown.
pub(super) const CANDIDATES: usize = 5;

/// What a person may decide, with its meaning.
pub(super) const DECISIONS: [(&str, &str); 3] = [
    ("confirm", "the code that is shown is right"),
    ("correct", "another code is right: write it into decided_code"),
    ("unclassifiable", "the text does not tell a code"),
];

/// Columns that an import reads; the first six are what people fill in.
pub(super) const READ: [&str; 14] = [
    "decision",
    "decided_code",
    "reason_code",
    "note",
    "reviewer",
    "binding",
    "text",
    "code",
    "source_file",
    "source_row",
    "text_digest",
    "run_id",
    "applies_to",
    "row_digest",
];

/// Those without which a row means nothing.
pub(super) const NEEDED: [&str; 8] =
    ["decision", "decided_code", "source_file", "source_row", "text_digest", "run_id", "applies_to", "row_digest"];

/// The file for people.
pub(super) fn layout(reasons: &ReasonCodes, grouped: bool) -> Layout {
    let text = |name: &str, about: &str, width| Column::new(name, about, width, Holds::Text);
    let code = |name: &str, about: &str| Column::new(name, about, 10, Holds::Code);
    let number = |name: &str, about: &str, width| Column::new(name, about, width, Holds::Number);
    let mut columns = vec![
        text("text", "What the goods are, as the line says it.", 60),
        text("why", "Why it waits for a person.", 40),
        text("reasons", "The same as the names of the closed list.", 20),
        number(
            "lines",
            "Lines of this text that wait, all of which the decision is for; 1 where it is for one line.",
            7,
        ),
        code("code", "The code that is shown: the model's, which confirm takes. Empty when it has none."),
        number("confidence", "Probability, 0 to 1, that it is right.", 11),
    ];
    for n in 1..=CANDIDATES {
        columns.push(code(&format!("candidate_{n}_code"), "What the model takes it for, best first."));
        columns.push(text(&format!("candidate_{n}_text"), "What the tariff says of that code.", 40));
        columns.push(number(&format!("candidate_{n}_confidence"), "Probability, 0 to 1, that it is right.", 8));
    }
    columns.extend([
        text(
            "evidence",
            "Words that speak most for the first choice, with what each added (logit over the mean of all codes).",
            40,
        ),
        code("previous_code", "The code that the line had before."),
        text("previous_decision", "What a person decided for it in an earlier edition: code, who, when.", 30),
        code("declared_code", "The code that it was declared under. The model did not look at it."),
        with_choices(text("decision", "Yours: one of the list.", 15), &DECISIONS.map(|(a, b)| (a.into(), b.into()))),
        code("decided_code", "Yours: the right code, six digits, when it is another one."),
        with_choices(text("reason_code", "Yours, if you like: one of the list.", 16), reasons.all()),
        text("note", "Yours, if you like: in your words.", 40),
        text("reviewer", "Yours: your name. Empty takes the name that is given at the import.", 16),
        with_choices(
            text("binding", "Yours: yes when it rests on a binding ruling, which no run may change. Empty is no.", 9),
            &[("yes", "it rests on a binding ruling"), ("no", "it does not")].map(|(a, b)| (a.into(), b.into())),
        ),
        text("line_id", "Name of the line in its source.", 16),
        text("source_file", "From here on: which row this is. Leave it as it is. File of the line.", 20),
        number("source_row", "Its position in the file, from 0.", 10),
        text("text_digest", "Digest of its normalised text.", 12),
        text("run_id", "Run that gave the code.", 12),
        text("model", "Model that gave it.", 10),
        text("model_digest", "Digest of that model.", 12),
        code("edition", "Edition of the tariff that the codes belong to."),
        text("applies_to", "line: the decision is for this line. text: for every line of this text.", 9),
        text("row_digest", "Digest of what the row is about, by which cells that were sorted apart are noticed.", 12),
    ]);
    Layout { title: "review".into(), about: about(grouped), columns, frozen: 1 }
}

fn with_choices(column: Column, choices: &[(String, String)]) -> Column {
    Column { choices: choices.to_vec(), ..column }
}

fn about(grouped: bool) -> Vec<String> {
    let rows = match grouped {
        true => "One row for every text that waits for a person: what you decide is for all of its lines.",
        false => "One row for every line that waits for a person.",
    };
    [
        rows,
        "Fill in decision, and decided_code where another code is right; reason_code, note, reviewer and binding as needed.",
        "Rows without a decision are left waiting. Rows may be sorted, filtered and deleted; keep the cells of a row together.",
        "A text that begins with ' was written so that no program computes or changes it; the ' is not part of it.",
        "Then: harmonize review import FILE --lake URL",
    ]
    .map(String::from)
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_that_is_read_is_written_and_says_what_it_is() {
        let layout = layout(&ReasonCodes::builtin(), false);
        let names: Vec<&str> = layout.columns.iter().map(|c| c.name.as_str()).collect();
        assert!(READ.iter().all(|name| names.contains(name)) && NEEDED.iter().all(|name| READ.contains(name)));
        assert!(layout.columns.iter().all(|c| c.about.len() > 10 && c.width > 0));
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len());
    }
}
