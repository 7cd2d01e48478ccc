//! A function as data: its manual, the type of its answers and its work, and the one shape in which DataFusion calls it.
//!
//! Always holds: the work gets arrays of one length, none of them a dictionary, and only arguments that the manual takes; the
//! literal that names a model is not among them. Two functions are equal when their names and what they hold are.

use std::fmt;
use std::hash::{Hash, Hasher};

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::manual::{Kind, Manual, documentation, refused};
use crate::error::Result;
use crate::sql::values::answer;

/// What a function holds beside its work: nothing, a model, the tariff.
pub(super) trait Held: fmt::Debug + Clone + Eq + Hash + Send + Sync + 'static {
    /// What the work gets of it.
    type Given<'a>: Copy;

    /// # Errors
    /// `Plan` for a function that is not bound yet.
    fn given(&self, name: &'static str) -> DfResult<Self::Given<'_>>;

    /// As `EXPLAIN` shows the function.
    fn name<'a>(&'a self, base: &'static str) -> &'a str {
        base
    }

    /// A call without what was settled when it was bound.
    fn simplified(&self, args: Vec<Expr>) -> DfResult<ExprSimplifyResult> {
        Ok(ExprSimplifyResult::Original(args))
    }
}

/// Nothing.
impl Held for () {
    type Given<'a> = ();

    fn given(&self, _: &'static str) -> DfResult<()> {
        Ok(())
    }
}

/// See the module.
pub(super) struct Function<H: Held> {
    pub manual: &'static Manual,
    pub kind: fn() -> DataType,
    /// Why a call with these literals is refused before it runs; `None` for one that is not.
    pub refuses: fn(&[Option<&ScalarValue>]) -> Option<String>,
    pub work: for<'a> fn(H::Given<'a>, &[ArrayRef]) -> Result<ArrayRef>,
}

/// Any literals will do.
pub(super) fn nothing(_: &[Option<&ScalarValue>]) -> Option<String> {
    None
}

impl<H: Held> Function<H> {
    /// As DataFusion takes it, with what it holds.
    pub(super) fn with(&'static self, held: H) -> ScalarUDF {
        let signature = self.manual.signature();
        ScalarUDF::new_from_impl(Called { function: self, held, signature })
    }
}

/// A function with what it holds.
pub(super) struct Called<H: Held> {
    function: &'static Function<H>,
    pub(super) held: H,
    signature: Signature,
}

impl<H: Held> fmt::Debug for Called<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {:?}", self.function.manual.name, self.held)
    }
}

impl<H: Held> PartialEq for Called<H> {
    fn eq(&self, other: &Self) -> bool {
        self.function.manual.name == other.function.manual.name && self.held == other.held
    }
}

impl<H: Held> Eq for Called<H> {}

impl<H: Held> Hash for Called<H> {
    fn hash<S: Hasher>(&self, state: &mut S) {
        self.function.manual.name.hash(state);
        self.held.hash(state);
    }
}

impl<H: Held> ScalarUDFImpl for Called<H> {
    fn name(&self) -> &str {
        self.held.name(self.function.manual.name)
    }

    fn schema_name(&self, args: &[Expr]) -> DfResult<String> {
        Ok(self.function.manual.column(args))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> DfResult<DataType> {
        self.function.manual.check(args)?;
        Ok((self.function.kind)())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> DfResult<FieldRef> {
        let kinds: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let kind = self.return_type(&kinds)?;
        match (self.function.refuses)(args.scalar_arguments) {
            Some(why) => refused(format!("{}: {why}", self.function.manual.syntax)),
            None => Ok(Field::new(self.name(), kind, true).into()),
        }
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> DfResult<ExprSimplifyResult> {
        self.held.simplified(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        documentation(self.function.manual.name)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let given = self.held.given(self.function.manual.name)?;
        let columns = self.function.manual.columns().min(args.args.len());
        answer(&args.args[..columns], args.number_rows, &|columns| (self.function.work)(given, columns))
    }
}

impl Manual {
    /// Arguments that are columns: all but a model.
    pub(super) fn columns(&self) -> usize {
        self.arguments.iter().filter(|(_, kind, _)| *kind != Kind::Model).count()
    }

    /// The name of a column that holds a call, which does not depend on what the function is bound to.
    pub(super) fn column(&self, args: &[Expr]) -> String {
        let args: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        format!("{}({})", self.name, args.join(","))
    }
}
