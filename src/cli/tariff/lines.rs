//! What a change of edition asks of the lines of a lake: counted by the code that counts for each (`effective_codes`).

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;

use crate::error::{Error, Result};
use crate::tariff::{Action, Advisor, Kind, Policy, Subheading, Year};

/// Lines that carry a code of the older edition, under each policy.
#[derive(Default)]
pub struct Lines {
    /// By policy and kind of change.
    pub kinds: BTreeMap<(Policy, Kind), u64>,
    /// By policy and what they need.
    pub actions: BTreeMap<(Policy, Action), u64>,
    /// Lines of the older edition.
    pub counted: u64,
    /// Lines whose code is of another edition.
    pub other_editions: u64,
    /// Lines for which no code counts.
    pub without_code: u64,
}

const QUERY: &str = "SELECT e.hs6, e.tariff_edition, p.description FROM effective_codes AS e \
                     JOIN current_predictions AS p ON e.source_file = p.source_file AND e.source_row = p.source_row";

/// Reads all lines once, a batch at a time.
pub async fn count(context: &SessionContext, advisor: &Advisor, from: Year) -> Result<Lines> {
    let mut lines = Lines::default();
    let decided_by_text: BTreeSet<Subheading> = advisor.text_decides().into_iter().collect();
    let edition = from.to_string();
    let mut stream = context.sql(QUERY).await?.execute_stream().await?;
    while let Some(batch) = stream.try_next().await.map_err(Error::from)? {
        let mut texts = Vec::with_capacity(batch.num_columns());
        for column in batch.columns() {
            texts.push(arrow::compute::cast(column, &DataType::Utf8)?);
        }
        let [code, of, text] = &texts[..] else { return Err(Error::Bug("the query has three columns".into())) };
        let [code, of, text] = [code, of, text].map(|column| column.as_string::<i32>());
        for row in 0..batch.num_rows() {
            if code.is_null(row) {
                lines.without_code += 1;
                continue;
            }
            if of.value(row) != edition {
                lines.other_editions += 1;
                continue;
            }
            lines.counted += 1;
            let code = code.value(row).parse::<Subheading>().ok();
            // Where the text decides nothing, it is not looked at.
            let asked = code.is_some_and(|code| decided_by_text.contains(&code));
            let text = if !asked { Some("") } else { text.is_valid(row).then(|| text.value(row)) };
            for policy in Policy::ALL {
                let changes = advisor.changes(policy, text);
                let change = code.and_then(|code| changes.of(code));
                let action = change.map_or(Action::Orphan, |c| c.action());
                *lines.actions.entry((policy, action)).or_insert(0) += 1;
                for kind in Kind::ALL {
                    if change.is_some_and(|c| changes.is(&c, kind)) {
                        *lines.kinds.entry((policy, kind)).or_insert(0) += 1;
                    }
                }
            }
        }
    }
    Ok(lines)
}
