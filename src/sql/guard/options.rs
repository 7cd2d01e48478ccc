//! What may be set in a session: nothing that changes what a query answers, reads or may hold, but for how times are shown and
//! how much is done at once.

use crate::error::Result;

use super::refuse;

/// What values an option takes beside those that DataFusion itself refuses.
#[derive(Clone, Copy)]
enum Allowed {
    /// Any.
    Any,
    /// A whole number within bounds.
    Number(usize, usize),
    /// From one to the session's threads. Cannot be reset, for the default is all cores.
    Threads,
}

const OPTIONS: [(&str, Allowed); 16] = [
    // More rows in a batch would get round the bound on memory.
    ("datafusion.execution.batch_size", Allowed::Number(1, 65_536)),
    ("datafusion.execution.target_partitions", Allowed::Threads),
    ("datafusion.execution.time_zone", Allowed::Any),
    ("datafusion.execution.collect_statistics", Allowed::Any),
    ("datafusion.execution.listing_table_ignore_subdirectory", Allowed::Any),
    ("datafusion.execution.listing_table_factory_infer_partitions", Allowed::Any),
    ("datafusion.execution.parquet.binary_as_string", Allowed::Any),
    ("datafusion.execution.parquet.compression", Allowed::Any),
    ("datafusion.catalog.has_header", Allowed::Any),
    ("datafusion.explain.format", Allowed::Any),
    ("datafusion.explain.logical_plan_only", Allowed::Any),
    ("datafusion.explain.physical_plan_only", Allowed::Any),
    ("datafusion.explain.show_schema", Allowed::Any),
    ("datafusion.explain.show_sizes", Allowed::Any),
    ("datafusion.explain.show_statistics", Allowed::Any),
    ("datafusion.explain.tree_maximum_render_width", Allowed::Number(0, 1_000)),
];

/// Refuses an option that is fixed, and a value above what the session has. `threads` is what it has.
pub(super) fn check_set(name: &str, value: &str, threads: usize) -> Result<()> {
    let (least, most) = match find(name)? {
        Allowed::Any => return Ok(()),
        Allowed::Number(least, most) => (least, most),
        Allowed::Threads => (1, threads),
    };
    match value.trim().parse::<usize>() {
        Ok(number) if (least..=most).contains(&number) => Ok(()),
        _ => refuse(format!("{name} can be set from {least} to {most} in this session")),
    }
}

/// Refuses to reset what is fixed, and what would go above what the session has.
pub(super) fn check_reset(name: &str) -> Result<()> {
    match find(name)? {
        Allowed::Threads => refuse(format!("{name} has no default in this session: set it to a number")),
        _ => Ok(()),
    }
}

fn find(name: &str) -> Result<Allowed> {
    match OPTIONS.iter().find(|(option, _)| *option == name) {
        Some((_, allowed)) => Ok(*allowed),
        None => {
            let names: Vec<&str> = OPTIONS.iter().map(|(option, _)| *option).collect();
            refuse(format!(
                "{name} is fixed: limits are those of the command, and a wrong option of the optimiser gives wrong answers. \
                 What can be set: {}",
                names.join(", ")
            ))
        }
    }
}
