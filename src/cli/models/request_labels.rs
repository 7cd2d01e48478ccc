//! `harmonize models request-labels`

use std::fmt;
use std::str::FromStr;

use clap::{ArgMatches, Args};

use super::super::settings::{PlaceArgs, Settings, TrustArgs};
use super::super::table::{count, text};
use super::ByArgs;
use crate::challenge::{Ask, Draw, request_labels};
use crate::error::{Error, Result};
use crate::registry::ModelRef;

#[derive(Args)]
#[command(
    after_help = "The lines are those of the view challenger_differences with another code, which runs of `harmonize classify \
                        --challenger` leave behind: one line for each text, not those that a person has decided. They wait in the \
                        view review_queue with the reason comparison. Which ones are drawn is a hash of text and models: the same \
                        call again adds nothing, a larger share adds to the smaller. Example:\n\n  \
                        harmonize models request-labels hs@champion hs@challenger --lake s3://lake --ratio 20%"
)]
pub struct RequestLabelsArgs {
    /// The model of the runs, such as hs@champion
    champion: ModelRef,
    /// The model that was scored beside it, such as hs@challenger
    challenger: ModelRef,
    /// Share of the texts to ask for, such as 20% or 0.2
    #[arg(long, value_name = "SHARE", required_unless_present = "lines", conflicts_with = "lines")]
    ratio: Option<Ratio>,
    /// Number of texts to ask for, those asked for before included
    #[arg(long, value_name = "N")]
    lines: Option<u64>,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    trust: TrustArgs,
}

/// A share as `20%` or `0.2`.
#[derive(Clone, Copy, Debug)]
struct Ratio(f64);

impl FromStr for Ratio {
    type Err = Error;

    fn from_str(written: &str) -> Result<Ratio> {
        let (digits, whole) = written.strip_suffix('%').map_or((written, 1.0), |digits| (digits, 100.0));
        let share = digits.trim().parse::<f64>().ok().map(|n| n / whole).filter(|share| *share > 0.0 && *share <= 1.0);
        share.map(Ratio).ok_or_else(|| Error::Usage(format!("{written}: write a share such as 20% or 0.2")))
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

pub async fn run(args: RequestLabelsArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let lake = settings.lake(&args.place)?;
    let registry = settings.trusted_registry(&args.place, &args.trust)?;
    let limits = settings.limits(&args.place)?;
    let act = args.by.act("labels are requested")?;
    let (champion, challenger) = (registry.load(&args.champion).await?, registry.load(&args.challenger).await?);
    let draw = match (args.ratio, args.lines) {
        (Some(Ratio(ratio)), _) => Draw::Ratio(ratio),
        (None, lines) => Draw::Lines(lines.unwrap_or(0)),
    };
    let ask =
        Ask { champion: &champion.bundle.digest, challenger: &challenger.bundle.digest, draw, by: &act.by, at: act.at };
    let found = request_labels(&lake, &ask, limits).await?;
    let mut said = format!(
        "{}@{} and {}@{} give different codes on {} text(s): {} decided already, {} requested before, {} requested now\n",
        champion.name,
        champion.version,
        challenger.name,
        challenger.version,
        count(found.differing),
        count(found.decided),
        count(found.before),
        count(found.added)
    );
    if found.differing == 0 {
        said += "only runs of `harmonize classify --challenger` with these two versions find such texts\n";
    }
    if found.added > 0 {
        said += &format!(
            "drawn with probability {:.6}; they wait in the view review_queue with the reason comparison\n",
            found.sampling_ratio
        );
    }
    text(said.as_bytes())?;
    Ok(0)
}
