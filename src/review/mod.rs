//! People and their decisions: the queue as files, and what they decided back from them.
//!
//! What is written for people holds every text exactly, as text, and no formula. Decisions are appended in one commit; a
//! conflict is shown and left to people.

pub mod inert;
pub mod sheet;
