//! Functions whose answer can be much larger than what they are given, held to a size before they begin.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::compute::kernels::concat_elements::concat_elements_utf8;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, StructFieldMapping, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::size::{bytes, numbers, texts};
use super::{MOST_FIELDS, fits_type, too_wide};
use crate::serve::fault::{Fault, state};

/// What one call may build for a batch of rows.
const MOST_BYTES: usize = 64 << 20;
/// What one call may build of constants: that becomes a part of the plan, which is copied many times.
const MOST_CONSTANT_BYTES: usize = 1 << 20;

/// How the size of an answer follows from the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Grows {
    /// The first argument, as often as the second says.
    Repeat,
    /// To the length that the second argument says.
    Pad,
    /// Every occurrence of the second argument becomes the third.
    Replace,
    /// Every match of the second argument becomes the third.
    ReplacePattern,
    /// All arguments, one after the other.
    Sum,
    /// All arguments, with the first between them.
    SumWith,
    /// From the first argument to the second, in steps of the third.
    Sequence,
    /// Twice what is given.
    Double,
    /// The second argument between the elements of the first.
    JoinElements,
    /// As long as the format says, in each row.
    Format,
}

const GROWING: [(&str, Grows); 25] = [
    ("repeat", Grows::Repeat),
    ("array_repeat", Grows::Repeat),
    ("lpad", Grows::Pad),
    ("rpad", Grows::Pad),
    ("array_resize", Grows::Pad),
    ("replace", Grows::Replace),
    ("regexp_replace", Grows::ReplacePattern),
    ("concat", Grows::Sum),
    ("concat_ws", Grows::SumWith),
    ("overlay", Grows::Sum),
    ("array_concat", Grows::Sum),
    ("array_append", Grows::Sum),
    ("array_prepend", Grows::Sum),
    ("make_array", Grows::Sum),
    ("arrays_zip", Grows::Sum),
    ("array_union", Grows::Sum),
    ("map", Grows::Sum),
    ("struct", Grows::Sum),
    ("named_struct", Grows::Sum),
    ("range", Grows::Sequence),
    ("generate_series", Grows::Sequence),
    ("encode", Grows::Double),
    ("translate", Grows::Double),
    ("array_to_string", Grows::JoinElements),
    ("to_char", Grows::Format),
];

/// A function that counts before it builds.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Held {
    inner: Arc<ScalarUDF>,
    grows: Grows,
}

/// The held form of a function that can grow; `None` for one that cannot, or is held already.
pub(in crate::serve) fn held(function: &Arc<ScalarUDF>) -> Option<Arc<ScalarUDF>> {
    let (_, grows) = GROWING.iter().find(|(name, _)| *name == function.name())?;
    if (function.inner().as_ref() as &dyn Any).is::<Held>() {
        return None;
    }
    Some(Arc::new(ScalarUDF::new_from_impl(Held { inner: Arc::clone(function), grows: *grows })))
}

/// The held forms of those of a session's functions that can grow.
pub(in crate::serve) fn held_functions<'a>(all: impl Iterator<Item = &'a Arc<ScalarUDF>>) -> Vec<ScalarUDF> {
    let mut found: Vec<ScalarUDF> =
        all.filter_map(|function| held(function).map(|held| held.as_ref().clone())).collect();
    found.sort_by(|a, b| a.name().cmp(b.name()));
    // Each is there under its aliases too.
    found.dedup_by(|a, b| a.name() == b.name());
    found
}

impl ScalarUDFImpl for Held {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        // A struct of structs doubles with every level, and so does all that is done with its type.
        let mut left = MOST_FIELDS;
        match args.arg_fields.iter().all(|field| fits_type(field.data_type(), &mut left)) {
            true => self.inner.return_field_from_args(args),
            false => Err(too_wide()),
        }
    }

    fn struct_field_mapping(&self, literals: &[Option<ScalarValue>]) -> Option<StructFieldMapping> {
        self.inner.struct_field_mapping(literals)
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner.placement(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.grows.check(self.name(), &args)?;
        self.inner.invoke_with_args(args)
    }
}

impl Grows {
    /// Refuses a call that would build too much.
    fn check(self, name: &str, args: &ScalarFunctionArgs) -> Result<()> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let (rows, most) = match constant {
            true => (1, MOST_CONSTANT_BYTES),
            false => (args.number_rows, MOST_BYTES),
        };
        if self.bytes(&args.args, rows) <= most {
            return Ok(());
        }
        let fault = Fault::new(state::LIMIT_EXCEEDED, format!("{name} would build more than {most} bytes at once"));
        Err(fault.hint("Shorten what it is given, or ask for fewer rows.").into())
    }

    /// Bytes that a call would build for so many rows, never less than it does.
    fn bytes(self, args: &[ColumnarValue], rows: usize) -> usize {
        let of = |arg: usize| args.get(arg).map_or_else(|| vec![0; rows], |value| bytes(value, rows));
        let number = |arg: usize| args.get(arg).map_or_else(|| vec![0; rows], |value| numbers(value, rows));
        let times = |n: i64| usize::try_from(n).unwrap_or(0);
        match self {
            Grows::Repeat => {
                sum(of(0).into_iter().zip(number(1)).map(|(text, n)| text.max(1).saturating_mul(times(n))))
            }
            Grows::Pad => {
                let fill = of(2).into_iter().max().unwrap_or(0).clamp(4, 64);
                sum(of(0)
                    .into_iter()
                    .zip(number(1))
                    .map(|(text, n)| text.saturating_add(times(n).saturating_mul(fill))))
            }
            Grows::Replace => sum(of(0).into_iter().zip(of(1)).zip(of(2)).map(|((text, from), to)| {
                text.saturating_add((text / from.max(1)).saturating_add(1).saturating_mul(to))
            })),
            Grows::ReplacePattern => replaced(args, rows),
            Grows::Sum => sum((0..args.len()).flat_map(of)),
            Grows::SumWith => {
                let between = sum(of(0).into_iter()).saturating_mul(args.len());
                sum((1..args.len()).flat_map(of)).saturating_add(between)
            }
            Grows::Sequence => sequence(args, rows).saturating_mul(16),
            Grows::Double => sum(of(0).into_iter()).saturating_mul(4),
            Grows::JoinElements => {
                let elements = sum(of(0).into_iter());
                let between = of(1).into_iter().max().unwrap_or(0);
                // An element takes a byte at least.
                elements.saturating_add(elements.saturating_mul(between))
            }
            Grows::Format => sum(of(1).into_iter()).saturating_mul(8),
        }
    }
}

fn sum(sizes: impl Iterator<Item = usize>) -> usize {
    sizes.fold(0, usize::saturating_add)
}

/// Matches do not overlap, so what all references to one bracket put in is no longer than the text.
fn replaced(args: &[ColumnarValue], rows: usize) -> usize {
    let text = args.first().map_or_else(|| vec![0; rows], |value| bytes(value, rows));
    let to = args.get(2).map_or_else(|| vec![String::new(); rows], |value| texts(value, rows));
    let all = args.get(3).map_or_else(|| vec![String::new(); rows], |value| texts(value, rows));
    sum(text.into_iter().zip(to).zip(all).map(|((text, to), flags)| {
        let matches = if flags.contains('g') { text + 1 } else { 1 };
        let references = to.matches(['\\', '$']).count();
        text.saturating_add(matches.saturating_mul(to.len())).saturating_add(references.saturating_mul(text))
    }))
}

/// Elements of a sequence of numbers or of times.
fn sequence(args: &[ColumnarValue], rows: usize) -> usize {
    let (start, stop) = match args.len() {
        0 => return 0,
        1 => (None, &args[0]),
        _ => (Some(&args[0]), &args[1]),
    };
    let start = start.map_or_else(|| vec![0; rows], |start| moments(start, rows));
    let stop = moments(stop, rows);
    let step = args.get(2).map_or_else(|| vec![1; rows], |step| steps(step, rows));
    sum(start.into_iter().zip(stop).zip(step).map(|((start, stop), step)| {
        let elements = (stop - start).unsigned_abs() / step.unsigned_abs().max(1) + 1;
        usize::try_from(elements).unwrap_or(usize::MAX)
    }))
}

/// Numbers as they are, days and times in nanoseconds.
fn moments(value: &ColumnarValue, rows: usize) -> Vec<i128> {
    let unit: i128 = match value.data_type() {
        DataType::Date32 => 86_400_000_000_000,
        DataType::Date64 | DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, _) => 1_000_000,
        DataType::Timestamp(arrow::datatypes::TimeUnit::Second, _) => 1_000_000_000,
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => 1_000,
        _ => 1,
    };
    numbers(value, rows).into_iter().map(|number| i128::from(number) * unit).collect()
}

/// Numbers as they are, intervals in nanoseconds, of which a month has the fewest that it can.
fn steps(value: &ColumnarValue, rows: usize) -> Vec<i128> {
    const DAY: i128 = 86_400_000_000_000;
    let one = |scalar: &ScalarValue| match scalar {
        ScalarValue::IntervalMonthDayNano(Some(step)) => {
            i128::from(step.months) * 28 * DAY + i128::from(step.days) * DAY + i128::from(step.nanoseconds)
        }
        ScalarValue::IntervalDayTime(Some(step)) => {
            i128::from(step.days) * DAY + i128::from(step.milliseconds) * 1_000_000
        }
        ScalarValue::IntervalYearMonth(Some(months)) => i128::from(*months) * 28 * DAY,
        _ => 1,
    };
    match (value, value.data_type()) {
        (ColumnarValue::Scalar(scalar), DataType::Interval(_)) => vec![one(scalar); rows],
        (ColumnarValue::Array(array), DataType::Interval(_)) => (0..array.len())
            .map(|row| ScalarValue::try_from_array(array, row).map_or(1, |scalar| one(&scalar)))
            .collect(),
        _ => numbers(value, rows).into_iter().map(i128::from).collect(),
    }
}

/// Plans literals of structs with functions that are held, for types are checked while they are made.
#[derive(Debug)]
pub(in crate::serve) struct HeldLiterals {
    positional: Arc<ScalarUDF>,
    named: Arc<ScalarUDF>,
}

impl HeldLiterals {
    /// With the functions of a session; `None` where it lacks them.
    pub fn of(functions: &HashMap<String, Arc<ScalarUDF>>) -> Option<HeldLiterals> {
        let (positional, named) = (functions.get("struct")?, functions.get("named_struct")?);
        Some(HeldLiterals { positional: Arc::clone(positional), named: Arc::clone(named) })
    }
}

impl ExprPlanner for HeldLiterals {
    fn plan_struct_literal(&self, args: Vec<Expr>, is_named: bool) -> Result<PlannerResult<Vec<Expr>>> {
        let function = if is_named { &self.named } else { &self.positional };
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), args))))
    }
}

/// `left || right` as a function that counts.
pub(super) fn joined(left: Expr, right: Expr) -> Expr {
    static JOINED: OnceLock<Arc<ScalarUDF>> = OnceLock::new();
    let joined = JOINED.get_or_init(|| Arc::new(ScalarUDF::new_from_impl(Joined::new())));
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(joined), vec![left, right]))
}

/// Two texts in a row; null where one of them is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    signature: Signature,
}

impl Joined {
    fn new() -> Joined {
        Joined { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &str {
        "text_join"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![DataType::Utf8; types.len()])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Grows::Sum.check("||", &args)?;
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let texts: Vec<ArrayRef> =
            args.args.iter().map(|arg| Ok(cast(&arg.to_array(rows)?, &DataType::Utf8)?)).collect::<Result<_>>()?;
        let [left, right] = &texts[..] else {
            return Err(Fault::new(state::DEFECT, "|| takes two texts").into());
        };
        let joined: ArrayRef = Arc::new(concat_elements_utf8(left.as_string::<i32>(), right.as_string::<i32>())?);
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&joined, 0)?)),
            false => Ok(ColumnarValue::Array(joined)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::prelude::SessionContext;

    fn session() -> SessionContext {
        let context = SessionContext::new();
        for held in held_functions(context.state().scalar_functions().values()) {
            context.register_udf(held);
        }
        context
    }

    /// How a query ends whose plan is held, as it is for a client.
    async fn ends(sql: &str) -> std::result::Result<String, &'static str> {
        let limits = crate::serve::roles::RoleLimits::of(crate::serve::roles::Role::Reader, 1 << 30);
        let context = session();
        let plan = context.state().create_logical_plan(sql).await.map_err(|e| Fault::from(e).state)?;
        let plan = super::super::hold(plan, &limits).map_err(|fault| fault.state)?;
        let frame = context.execute_logical_plan(plan).await.map_err(|e| Fault::from(e).state)?;
        let batches = frame.collect().await.map_err(|e| Fault::from(e).state)?;
        let shown = arrow::util::pretty::pretty_format_batches(&batches).map_err(|_| "shown")?.to_string();
        let value = shown.lines().nth(3).unwrap_or_default().trim_matches(['|', ' ']).to_owned();
        Ok(value)
    }

    #[tokio::test]
    async fn what_would_build_too_much_is_refused_before_it_is_built() {
        for sql in [
            "SELECT length(repeat('x', 1000000000))",
            "SELECT length(lpad('x', 1000000000, 'y'))",
            "SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 1000000)))",
            "SELECT length(regexp_replace(repeat('x', 1000000), 'x', repeat('y', 1000), 'g'))",
            "SELECT array_length(range(0, 1000000000))",
            "SELECT array_length(generate_series(1, 9000000000000))",
            "SELECT array_length(generate_series(DATE '2000-01-01', DATE '9999-01-01', INTERVAL '1 second'))",
            "SELECT array_length(array_repeat('x', 1000000000))",
            "SELECT array_length(array_resize([1], 1000000000, 2))",
            "SELECT length(repeat('x', 2000000))",
            "WITH a AS (SELECT repeat('x', 1000 * value) s FROM generate_series(1, 300) t(value)) \
             SELECT sum(length(s || s)) FROM a",
            "WITH a AS (SELECT repeat('x', 1000 * value) s FROM generate_series(1, 300) t(value)) \
             SELECT sum(length(concat(s, s))) FROM a",
            "SELECT sum(length(repeat('x', value))) FROM generate_series(1, 100000)",
        ] {
            assert_eq!(ends(sql).await, Err("54000"), "{sql}");
        }
    }

    #[tokio::test]
    async fn what_is_small_is_as_it_always_was() {
        for (sql, value) in [
            ("SELECT repeat('ab', 3)", "ababab"),
            ("SELECT 'a' || 'b' || 1", "ab1"),
            ("SELECT coalesce('a' || NULL, 'null')", "null"),
            ("SELECT concat('a', NULL, 'b')", "ab"),
            ("SELECT [1, 2] || [3]", "[1, 2, 3]"),
            ("SELECT array_to_string([1, 2, 3], '-')", "1-2-3"),
            ("SELECT sum(value) FROM generate_series(1, 100000)", "5000050000"),
            ("SELECT regexp_replace('aab', 'a', 'x', 'g')", "xxb"),
            ("SELECT array_length(generate_series(DATE '2026-01-01', DATE '2026-12-31', INTERVAL '1 month'))", "12"),
        ] {
            assert_eq!(ends(sql).await.as_deref(), Ok(value), "{sql}");
        }
    }

    #[tokio::test]
    async fn patterns_are_written_out_and_short() {
        assert_eq!(ends("SELECT 'abc' ~ '^a.c$'").await.as_deref(), Ok("true"));
        assert_eq!(ends("SELECT regexp_like(v, v) FROM (VALUES ('a')) t(v)").await, Err("42501"));
        let long = format!("SELECT 'a' ~ '{}'", "(a|b)".repeat(500));
        assert_eq!(ends(&long).await, Err("54000"));
    }
}
