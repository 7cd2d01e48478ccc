//! What a rewritten part of a plan offers to what stands above it.
//!
//! A part was written with certain columns. After the rewriting its plan may lack some of them, because they are expressions
//! that nobody has needed yet (`SELECT hs_code(d)` below a `LIMIT`), and have others, such as answers. So a scope keeps an
//! expression for each column as it was written, and knows of each column of the plan how it came about, which tells equal
//! calls apart from those that look alike.
//!
//! What always holds: names of the plan's columns that are not columns as written occur once in the whole plan.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchemaRef, Result};
use datafusion::logical_expr::expr::FieldMetadata;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection};

/// Nodes of an expression that is put in the place of a column. More would let nested queries that double an expression at
/// each level grow without bound.
const SMALL: usize = 64;

/// An answer that a plan has.
#[derive(Clone, Debug)]
pub(super) struct Scored {
    /// The call, written out down to [`Scope::origin`]s.
    pub call: Expr,
    pub column: Column,
    /// What the column was made by, written out likewise, when it has answers of some rows only.
    pub partly: Option<Vec<Expr>>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Scope {
    pub plan: LogicalPlan,
    /// Columns as they were written.
    pub written: DFSchemaRef,
    /// What stands for each of them, over columns of `plan`.
    pub columns: Vec<Expr>,
    /// How columns of `plan` came about, over columns that stand for nothing but themselves.
    origins: HashMap<Column, Expr>,
    pub scored: Vec<Scored>,
}

/// Numbers columns that come from nowhere else.
#[derive(Debug, Default)]
pub(super) struct Origins(usize);

impl Origins {
    fn next(&mut self) -> Expr {
        self.0 += 1;
        Expr::Column(Column::new_unqualified(format!("#{}", self.0)))
    }
}

impl Scope {
    /// A plan whose columns are new.
    pub fn leaf(plan: LogicalPlan, origins: &mut Origins) -> Scope {
        let columns = plan.schema().columns();
        Scope {
            written: Arc::clone(plan.schema()),
            origins: columns.iter().map(|c| (c.clone(), origins.next())).collect(),
            columns: columns.into_iter().map(Expr::Column).collect(),
            scored: Vec::new(),
            plan,
        }
    }

    /// A plan over this one with the same columns under the same names.
    pub fn with_plan(self, plan: LogicalPlan) -> Scope {
        Scope { plan, ..self }
    }

    /// Whether the plan has the columns as they were written and no others.
    pub fn is_plain(&self) -> bool {
        let there = self.plan.schema();
        there.fields().len() == self.columns.len()
            && there.iter().zip(self.written.iter()).zip(&self.columns).all(|(((q, f), (written_q, written)), expr)| {
                let Expr::Column(column) = expr else { return false };
                q == written_q
                    && f.name() == written.name()
                    && column.relation.as_ref() == q
                    && column.name == *f.name()
            })
    }

    /// What stands for a column as it was written.
    pub fn find(&self, column: &Column) -> Option<&Expr> {
        self.written.maybe_index_of_column(column).map(|i| &self.columns[i])
    }

    /// What stands for the column that has this qualifier and name.
    pub fn find_exactly(&self, column: &Column) -> Option<&Expr> {
        let is_it = |(q, f): (Option<_>, &Arc<Field>)| q == column.relation.as_ref() && *f.name() == column.name;
        self.written.iter().position(is_it).map(|i| &self.columns[i])
    }

    /// An expression over the columns as they were written, over those of the plan.
    pub fn resolve(&self, expr: Expr) -> Result<Expr> {
        resolve(expr, |column| self.find(column))
    }

    /// Whether the plan has all columns of an expression.
    pub fn has_columns_of(&self, expr: &Expr) -> bool {
        expr.column_refs().into_iter().all(|column| self.origins.contains_key(column))
    }

    /// An expression over columns of the plan, written out.
    pub fn origin(&self, expr: &Expr) -> Result<Expr> {
        resolve(expr.clone(), |column| self.origins.get(column))
    }

    /// Tells of a new column of the plan that it is the value of an expression over the others.
    pub fn define(&mut self, column: Column, expr: &Expr, origins: &mut Origins) -> Result<()> {
        let origin = self.origin(expr)?;
        self.define_new(column.clone(), origins);
        self.know(column, origin);
        Ok(())
    }

    /// Tells of a column how it came about; what is too large or comes out differently each time is not kept.
    pub fn know(&mut self, column: Column, origin: Expr) {
        if is_small(&origin) && !origin.is_volatile() {
            self.origins.insert(column, origin);
        }
    }

    /// Tells of a new column of the plan that it is like no other.
    pub fn define_new(&mut self, column: Column, origins: &mut Origins) {
        self.origins.insert(column, origins.next());
    }

    /// Forgets how columns came about and which answers there are: a row of this may be one of nulls.
    pub fn forget(&mut self, origins: &mut Origins) {
        self.scored.clear();
        self.origins.values_mut().for_each(|origin| *origin = origins.next());
    }

    /// Takes what another scope knows of its columns, which the plan has now too.
    pub fn learn(&mut self, other: Scope) {
        self.origins.extend(other.origins);
        self.scored.extend(other.scored);
    }

    /// Puts a projection over the plan that gives some of its columns other names, and says which.
    pub fn rename(&mut self, renamed: &HashMap<Column, Column>) -> Result<()> {
        let columns = self.plan.schema().columns().into_iter().map(|column| match renamed.get(&column) {
            Some(new) => Expr::Column(column).alias_qualified(new.relation.clone(), &new.name),
            None => Expr::Column(column),
        });
        self.plan =
            LogicalPlan::Projection(Projection::try_new(columns.collect(), Arc::new(std::mem::take(&mut self.plan)))?);
        for expr in &mut self.columns {
            *expr = renamed_in(std::mem::take(expr), renamed)?;
        }
        for scored in &mut self.scored {
            if let Some(new) = renamed.get(&scored.column) {
                scored.column = new.clone();
            }
        }
        let origins = std::mem::take(&mut self.origins).into_iter();
        self.origins = origins.map(|(c, origin)| (renamed.get(&c).cloned().unwrap_or(c), origin)).collect();
        Ok(())
    }

    /// Names under which columns of two plans would be mistaken for each other: those of this one.
    pub fn collisions(&self, other: &Scope) -> Vec<Column> {
        let mut there: HashMap<String, Vec<Column>> = HashMap::new();
        for column in other.plan.schema().columns() {
            there.entry(column.name.clone()).or_default().push(column);
        }
        let collides =
            |a: &Column, b: &Column| a.relation.is_none() || b.relation.is_none() || a.relation == b.relation;
        let here = self.plan.schema().columns().into_iter();
        here.filter(|c| there.get(&c.name).is_some_and(|others| others.iter().any(|other| collides(c, other))))
            .collect()
    }

    /// Expressions that give the columns as they were written.
    pub fn as_written(&self, exprs: Vec<Expr>) -> Vec<Expr> {
        let named = exprs.into_iter().zip(self.written.iter()).map(|(expr, (qualifier, field))| {
            let is_it = matches!(&expr, Expr::Column(c) if c.relation.as_ref() == qualifier && c.name == *field.name());
            if is_it {
                return expr;
            }
            let metadata = FieldMetadata::new_from_field(field);
            let metadata = (!metadata.is_empty()).then_some(metadata);
            expr.alias_qualified_with_metadata(qualifier.cloned(), field.name(), metadata)
        });
        named.collect()
    }
}

/// Whether an expression is small enough to stand for a column.
pub(super) fn is_small(expr: &Expr) -> bool {
    let mut nodes = 0;
    let _ = expr.apply(|_| {
        nodes += 1;
        Ok(if nodes > SMALL { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    nodes <= SMALL
}

/// An expression with other expressions in the place of columns.
pub(super) fn resolve<'a>(expr: Expr, find: impl Fn(&Column) -> Option<&'a Expr>) -> Result<Expr> {
    let found = |e: Expr| match &e {
        Expr::Column(column) => match find(column) {
            Some(other) if *other != e => Ok(Transformed::yes(other.clone())),
            _ => Ok(Transformed::no(e)),
        },
        _ => Ok(Transformed::no(e)),
    };
    expr.transform_up(found).data()
}

/// An expression with columns under other names.
pub(super) fn renamed_in(expr: Expr, renamed: &HashMap<Column, Column>) -> Result<Expr> {
    let rename = |e: Expr| match &e {
        Expr::Column(column) => match renamed.get(column) {
            Some(new) => Ok(Transformed::yes(Expr::Column(new.clone()))),
            None => Ok(Transformed::no(e)),
        },
        _ => Ok(Transformed::no(e)),
    };
    expr.transform_up(rename).data()
}

/// Keeps names apart within one list.
#[derive(Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// Whether a name is new to the list.
    pub fn is_new(&mut self, name: String) -> bool {
        self.0.insert(name)
    }
}
