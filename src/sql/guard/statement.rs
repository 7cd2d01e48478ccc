//! The class of a statement, read from what was parsed.

use std::fmt::{self, Write};
use std::ops::ControlFlow;

use datafusion::sql::parser::{CopyToSource, Statement};
use datafusion::sql::sqlparser::ast::{self, ObjectName, ObjectNamePart, ObjectType, Select, Set, Visit, Visitor};

use super::{Class, Guard, refuse};
use crate::error::{Error, Result};

impl Guard {
    /// Refuses a statement that is none of the session's class, or that holds one.
    ///
    /// # Errors
    /// `Usage`, saying what would allow it or what to do instead.
    pub fn check_statement(&self, statement: &Statement) -> Result<()> {
        match statement {
            Statement::Statement(inner) => self.check_tree(inner.as_ref()),
            Statement::Explain(explain) => self.check_statement(&explain.statement),
            Statement::Reset(_) => self.needs(Class::SessionObjects, "RESET"),
            Statement::CreateExternalTable(create) => {
                self.needs(Class::SessionObjects, "CREATE EXTERNAL TABLE")?;
                self.needs_files("CREATE EXTERNAL TABLE")?;
                self.check_tree(&create.name)
            }
            Statement::CopyTo(copy) => {
                self.needs(Class::Write, "COPY")?;
                self.needs_files("COPY")?;
                match &copy.source {
                    CopyToSource::Relation(name) => self.check_relation(name),
                    CopyToSource::Query(query) => self.check_tree(query.as_ref()),
                }
            }
        }
    }

    /// Every statement, query and name in a tree.
    fn check_tree(&self, tree: &impl Visit) -> Result<()> {
        match tree.visit(&mut Check { guard: self }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(refused) => Err(*refused),
        }
    }

    fn check_one(&self, statement: &ast::Statement) -> Result<()> {
        use ast::Statement as S;
        let class = match statement {
            S::Query(_)
            | S::ShowVariable { .. }
            | S::ShowTables { .. }
            | S::ShowFunctions { .. }
            | S::Explain { .. } => Class::ReadOnly,
            S::ExplainTable { table_name: name, .. } | S::ShowCreate { obj_name: name, .. } => {
                self.check_relation(name)?;
                Class::ReadOnly
            }
            S::ShowColumns { show_options, .. } => {
                if let Some(name) = show_options.show_in.as_ref().and_then(|shown| shown.parent_name.as_ref()) {
                    self.check_relation(name)?;
                }
                Class::ReadOnly
            }
            S::Set(Set::SingleAssignment { scope: None, hivevar: false, .. }) => Class::SessionObjects,
            S::Set(_) => return refuse("this form of SET is not offered: write SET name = value".into()),
            S::CreateView(view) if view.materialized => {
                return refuse("materialised views are not offered: write CREATE VIEW".into());
            }
            S::Drop { object_type: ObjectType::Table | ObjectType::View | ObjectType::Schema, .. }
            | S::CreateView(_)
            | S::CreateSchema { .. }
            | S::Prepare { .. }
            | S::Execute { .. }
            | S::Deallocate { .. } => Class::SessionObjects,
            S::Insert(_) | S::Update(_) | S::Delete(_) | S::CreateTable(_) | S::Truncate(_) => Class::Write,
            S::StartTransaction { .. } | S::Commit { .. } | S::Rollback { .. } => {
                return refuse(
                    "there are no transactions: each statement sees the tables as they are when it begins".into(),
                );
            }
            other => return refuse(format!("{} is not offered", first_word(other))),
        };
        self.needs(class, &first_word(statement))
    }

    /// A table's name: its schema must be allowed, and it must be no file.
    fn check_relation(&self, name: &ObjectName) -> Result<()> {
        let parts: Vec<&ast::Ident> = name.0.iter().filter_map(ObjectNamePart::as_ident).collect();
        if parts.len() != name.0.len() || parts.len() > 3 {
            return refuse(format!("{name} is no name of a table"));
        }
        if let [one] = parts[..]
            && (one.quote_style == Some('\'') || one.value.contains("://"))
        {
            self.needs_files("a file or URL as a table")?;
            // What a file is called is not the name of a table in a schema.
            if self.schemas.is_some() {
                return refuse("a file or URL as a table is not allowed here".into());
            }
            return Ok(());
        }
        let (Some(allowed), [.., schema, _]) = (&self.schemas, &parts[..]) else { return Ok(()) };
        let schema = match schema.quote_style {
            None => schema.value.to_lowercase(),
            Some(_) => schema.value.clone(),
        };
        match allowed.contains(&schema) {
            true => Ok(()),
            false => refuse(format!("the schema {schema} is not allowed here; allowed are: {}", allowed.join(", "))),
        }
    }
}

struct Check<'a> {
    guard: &'a Guard,
}

impl Visitor for Check<'_> {
    type Break = Box<Error>;

    fn pre_visit_statement(&mut self, statement: &ast::Statement) -> ControlFlow<Box<Error>> {
        flow(self.guard.check_one(statement))
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Box<Error>> {
        flow(self.guard.check_relation(relation))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Box<Error>> {
        flow(match select.into {
            Some(_) => refuse("SELECT … INTO is not offered: write CREATE TABLE … AS SELECT …".into()),
            None => Ok(()),
        })
    }
}

fn flow(checked: Result<()>) -> ControlFlow<Box<Error>> {
    match checked {
        Ok(()) => ControlFlow::Continue(()),
        Err(e) => ControlFlow::Break(Box::new(e)),
    }
}

/// The first word of a statement as it would be written; the rest, which may be long or secret, is not even formed.
fn first_word(statement: &ast::Statement) -> String {
    struct Word(String);
    impl Write for Word {
        fn write_str(&mut self, s: &str) -> fmt::Result {
            match s.find(' ') {
                // Ends the formatting.
                Some(end) => {
                    self.0.push_str(&s[..end]);
                    Err(fmt::Error)
                }
                None => {
                    self.0.push_str(s);
                    if self.0.len() > 40 { Err(fmt::Error) } else { Ok(()) }
                }
            }
        }
    }
    let mut word = Word(String::new());
    let _ = write!(word, "{statement}");
    word.0.chars().take_while(|c| c.is_alphabetic()).collect()
}
