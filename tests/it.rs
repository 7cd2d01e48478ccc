//! One integration-test binary; each module is a chapter of behaviour.
//!
//! They run the real program against real files, a real S3 server on loopback, and readers that are not ours.

#[global_allocator]
static ALLOCATOR: support::allocations::Watched = support::allocations::Watched;

mod support {
    //! What several chapters stand on: the program, a trained model, sample lines, a small lake, servers and faults, a browser,
    //! sessions over tables for queries.
    pub mod allocations;
    pub mod bench;
    pub mod browser;
    pub mod lab;
    pub mod lake;
    pub mod models;
    pub mod proxy;
    pub mod random;
    pub mod served;
    pub mod servers;
}

/// What the house rules and documents say, held to the code.
mod architecture;
/// The architectures beside the Text-CNN, each the whole way.
mod architectures;
/// Gaps of the past, found and filled in.
mod backfill;
/// Crooked input: each kind ends as documented, and neighbours do not notice.
mod bad_input;
/// Bundles that were tampered with.
mod bundles;
/// Two versions on the same lines, and night by night.
mod challenge;
/// A second model on the lines of a run: its rows, its share, its cost.
mod challenger;
/// The main job, its table, its views, its second start.
mod classify;
/// Every command's output, errors and exit codes.
mod commands;
/// Recipes side by side, and the search for a better one.
mod compare;
/// Killed at every stage, raced, and started again.
mod crash;
/// Decisions and models of an earlier edition.
mod decided_before;
/// The same text gives the same bytes, however it comes.
mod determinism;
/// Why a code, held to the network's definition in floating point.
mod explanations;
/// What an auditor looks for first.
mod findings;
/// What `docs/formats.md` promises, and who proves it.
mod formats;
/// Broken files of a bundle and odd texts, by the thousand.
mod fuzz;
/// Gates of a promotion, the shadow period, and requests for labels.
mod gates;
/// Statements, and which sessions may run them.
mod guard;
/// Decisions of people as further labels.
mod learning;
/// A store whose answers get lost.
mod lost_answers;
/// Commands and programs of the manuals, as they stand there.
mod manual;
/// Bundles that were changed on purpose, by the thousand.
mod mutated_bundles;
/// The named queries: their headers, their columns, and their values by an independent computation.
mod named;
/// The job again and again: what is new, what changed, two starts at once, files as they come.
mod nightly;
/// Pages as a browser shows them, and that they say what the figures say.
mod pages;
/// Queries that nobody thought of, with the rule that scores a line once and without it.
mod random_queries;
/// Readers that are not ours: deltalake, DuckDB, polars, pandas.
mod readers;
/// Real declarations, where they are at hand.
mod real_lines;
/// From one edition of the tariff to the next.
mod reclassify;
/// A past reclassification made again, and packs of its lines.
mod reclassify_again;
/// Versions, aliases, events, signatures: the registry as its users see it.
mod registry;
/// What the registry keeps when a writer is killed or its store is broken.
mod registry_faults;
/// Many writers at once.
mod registry_races;
/// A past run once more, what is told when it is not the same, and packs for an auditor.
mod replay;
/// The queue as files for people, and their decisions back.
mod review;
/// The same job against S3 servers.
mod s3;
/// Each line is asked about once, however the query is written.
mod scored_once;
/// The lake over PostgreSQL's wire protocol: users, roles, limits, operation.
mod serve;
/// The same as clients see it.
mod serve_clients;
/// Each of its limits from both sides, and its lake on S3.
mod serve_limits;
/// SQL by argument, script and standard input: parameters, forms, named queries, external tables.
mod shell;
/// Where a model is weak: values that are worst, missing, many, or not there.
mod slices;
/// The functions of SQL, one by one, and the examples of their document.
mod sql_functions;
/// The session over a lake, and the tables that are functions.
mod sql_lake;
/// The tariff as data: imported, compared, checked.
mod tariff;
/// The interactive shell, in a terminal of its own.
mod terminal;
/// Training: checks, splits, seeds.
mod training;
/// Statistics of one model against another, held to scipy.
mod trial;
/// Texts that name no goods.
mod vague;
