//! `harmonize card`: the model card of a version.

use clap::{ArgMatches, Args, ValueEnum};

use super::settings::{PlaceArgs, Settings};
use super::table::text;
use crate::error::Result;
use crate::train::{Card, Record};

#[derive(Args)]
#[command(after_help = "The page holds everything that it shows: no script, nothing from elsewhere. Example:\n\n  \
                        harmonize card --registry models --model hs@1 > card.html")]
pub struct CardArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Model version: hs@7, hs@champion, hs@champion#2026-03-01, or hs for the champion, else the newest [default: hs]
    #[arg(long, value_name = "MODEL", env = "HARMONIZE_MODEL")]
    model: Option<String>,
    /// Form of the card
    #[arg(long, value_enum, default_value_t = Form::Html)]
    format: Form,
}

#[derive(Clone, Copy, ValueEnum)]
enum Form {
    /// One self-contained page with drawings
    Html,
    /// As it lies in the bundle
    Markdown,
}

pub async fn run(args: CardArgs, matches: &ArgMatches) -> Result<u8> {
    let mut settings = Settings::new(matches, args.place.config.as_deref())?;
    let registry = settings.registry(&args.place)?;
    let model = settings.model(args.model)?;
    let loaded = registry.load(&model).await?;
    let card = match args.format {
        Form::Html => Card::of_version(&loaded, &Record::of(&loaded.bundle)?)?.html()?,
        Form::Markdown => loaded.bundle.card.clone(),
    };
    text(card.as_bytes())?;
    Ok(0)
}
