//! `harmonize explain`: the words of a text, coloured by what each added to the code, over all codes and over the second choice.

use std::io::IsTerminal;
use std::sync::Arc;

use clap::{ArgMatches, Args, ValueEnum};

use super::settings::{PlaceArgs, Settings, TrustArgs};
use super::table::text;
use crate::error::{Error, Result};
use crate::model::VAGUE_CODE;
use crate::model::explain::{Method, Parts};
use crate::sql::{Classifier, Explainer, Explanation};

#[derive(Args)]
#[command(
    after_help = "A Text-CNN's logits are sums of what the words added and of biases, exactly; of another network it is shown what \
                        each word's absence takes away, and the rest stands beside (together). Shown is by how much the first code's logit \
                        lies above the mean of all codes, and above the second code's, in nats, each as a coloured line and as a column: words in green speak for the code, in red against it. Example:\n\n  \
                        harmonize explain --registry models \"steel bolts m8 zinc plated\""
)]
pub struct ExplainArgs {
    /// Descriptions
    #[arg(required = true)]
    texts: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Model version: hs@7, hs@champion, hs@champion#2026-03-01, or hs for the champion, else the newest [default: hs]
    #[arg(long, value_name = "MODEL", env = "HARMONIZE_MODEL")]
    model: Option<String>,
    #[command(flatten)]
    trust: TrustArgs,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
    /// Whether words are coloured
    #[arg(long, value_enum, default_value_t = Colour::Auto)]
    color: Colour,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Table,
    /// One JSON object a text
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Colour {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

pub async fn run(args: ExplainArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let registry = settings.trusted_registry(&args.place, &args.trust)?;
    let model = settings.model(args.model)?;
    let loaded = Arc::new(registry.load(&model).await?);
    let classifier = Arc::new(Classifier::new(&loaded, &loaded.bundle.policy)?);
    let explainer = Explainer::new(loaded, classifier);
    let colour = match args.color {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    let mut out = String::new();
    for (n, description) in args.texts.iter().enumerate() {
        let found = explainer.explain(description)?;
        match args.format {
            Form::Json => {
                let line = serde_json::to_string(&found.as_ref().map(Explanation::json))
                    .map_err(|e| Error::Bug(e.to_string()))?;
                out += &format!("{line}\n");
            }
            Form::Table => {
                let page = found.map_or_else(|| "there is no word in this text\n".to_string(), |e| page(&e, colour));
                out += &format!("{}{page}", if n > 0 { "\n" } else { "" });
            }
        }
    }
    text(out.as_bytes())?;
    Ok(0)
}

/// The code; `None` for the class of texts that name no goods.
fn code(class: &str) -> Option<&str> {
    (class != VAGUE_CODE).then_some(class)
}

/// What stands at the contributions over the mean of all codes.
const OVER_ALL: &str = "over all";

/// Contributions of this size, in nats, have the full colour.
const FULL: f64 = 3.0;

fn page(e: &Explanation, colour: bool) -> String {
    let second = e.second.as_ref();
    let over = |n: usize| second.map(|(_, _, parts)| parts.words[n]);
    let over_second = second.map(|(code, ..)| format!("over {}", named(code)));
    let mut page = if colour {
        let width = over_second.iter().map(|name| name.chars().count()).chain([OVER_ALL.len()]).max().unwrap_or(0);
        let line = |name: &str, parts: &Parts| {
            let words = e.words.iter().zip(&parts.words).map(|(word, part)| painted(word, *part));
            format!("{name:width$}  {}\n", words.collect::<Vec<_>>().join(" "))
        };
        let second_line = over_second.as_deref().zip(second).map(|(name, (_, _, parts))| line(name, parts));
        line(OVER_ALL, &e.parts) + &second_line.unwrap_or_default()
    } else {
        format!("{}\n", e.words.join(" "))
    };
    page += &format!("\n  {}  confidence {:.3}\n", named(&e.first.0), e.first.1);
    if let Some(by) = &e.vague_by {
        page += &format!("  refused as vague by {by}\n");
    }
    if let Some((code, confidence, _)) = second {
        page += &format!("  {}  confidence {confidence:.3}, the second choice\n", named(code));
    }
    page += match e.method {
        Method::Exact => "  what each word added, exactly\n",
        Method::LeaveOneOut => "  what is lost without each word (leave-one-out)\n",
    };
    let width = e.words.iter().map(|word| word.chars().count()).chain([10]).max().unwrap_or(10);
    let head = over_second.map_or(String::new(), |name| format!("  {name:>12}"));
    page += &format!("\n  {:width$}  {OVER_ALL:>12}{head}\n", "word");
    let mut row = |name: &str, one: f64, other: Option<f64>| {
        let other = other.map_or(String::new(), |x| format!("  {x:>+12.3}"));
        page += &format!("  {name:width$}  {one:>+12.3}{other}\n");
    };
    for (n, word) in e.words.iter().enumerate() {
        row(word, e.parts.words[n], over(n));
    }
    row(e.method.rest(), e.parts.bias, second.map(|(_, _, parts)| parts.bias));
    row("sum", e.parts.logit(), second.map(|(_, _, parts)| parts.logit()));
    page
}

fn named(class: &str) -> &str {
    code(class).unwrap_or("no goods: vague")
}

/// Green for what speaks for the code, red for what speaks against it, stronger for more.
fn painted(word: &str, contribution: f64) -> String {
    let strength = (contribution.abs() / FULL).min(1.0);
    // Of the 6 × 6 × 6 colours of terminals: from grey to full green or red.
    let (high, low) = (3 + (2.0 * strength).round() as u8, 3 - (3.0 * strength).round() as u8);
    let (r, g, b) = if contribution >= 0.0 { (low, high, low) } else { (high, low, low) };
    format!("\x1b[38;5;{}m{word}\x1b[0m", 16 + 36 * r + 6 * g + b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::VagueBy;

    #[test]
    fn a_page_has_every_word_and_the_sums_and_colour_only_on_request() {
        let parts = |words: [f64; 2], bias| Parts { words: words.into(), bias };
        let e = Explanation {
            normalised: "steel bolts".into(),
            words: vec!["steel".into(), "bolts".into()],
            method: Method::Exact,
            first: ("731815".into(), 0.75),
            parts: parts([1.5, 2.0], -0.5),
            second: Some(("731816".into(), 0.25, parts([-0.25, 1.0], 0.5))),
            vague_by: None,
        };
        let plain = page(&e, false);
        assert!(!plain.contains('\x1b') && plain.starts_with("steel bolts\n"), "{plain}");
        for row in ["steel             +1.500        -0.250", "sum               +3.000        +1.250"] {
            assert!(plain.contains(row), "{plain}");
        }
        let coloured = page(&e, true);
        // Of the 216 colours, 16 + 36 r + 6 g + b: (1, 4, 1) for 1.5 and 2, (3, 3, 3) for −0.25, (2, 4, 2) for 1.
        let lines: Vec<&str> = coloured.lines().take(2).collect();
        let expected = [
            "over all     \x1b[38;5;77msteel\x1b[0m \x1b[38;5;77mbolts\x1b[0m",
            "over 731816  \x1b[38;5;145msteel\x1b[0m \x1b[38;5;114mbolts\x1b[0m",
        ];
        assert_eq!(lines, expected);
        assert_ne!(painted("x", 3.0), painted("x", -3.0));
        let alone = Explanation { second: None, ..e.clone() };
        assert!(page(&alone, true).starts_with(&format!("{}\n\n", lines[0].replace("all     ", "all  "))));
        let refused = Explanation { vague_by: Some(VagueBy::List("spare parts".into())), ..e.clone() };
        assert!(page(&refused, false).contains("refused as vague by the list: spare parts\n"));
        assert_eq!(e.json()["second"]["logit_difference"], 1.25);
    }
}
