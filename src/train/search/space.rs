//! What a search may change: the keys of a recipe, and what each may be.
//!
//! A search sees every parameter as one number, its *coordinate*: the value itself, its logarithm where factors count, or the
//! place in a list of choices. Values that are no integers have six significant digits, so that they survive printing.

use std::fmt;

use toml::{Table, Value};

use crate::error::{Error, Result};

/// Keys that a search must not change: they decide which lines a trial is measured on, or what is learned from.
const FIXED: [&str; 5] = ["fit.seed", "split", "checks", "extra", "decisions"];

/// Parameters by key, in alphabetical order.
#[derive(Clone, Debug, PartialEq)]
pub struct Space(Vec<Parameter>);

/// One key of the recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Dotted, such as `fit.learning_rate`.
    pub key: String,
    /// What it may be.
    pub range: Range,
}

/// What a parameter may be.
#[derive(Clone, Debug, PartialEq)]
pub enum Range {
    /// Any number from `low` to `high`.
    Number {
        /// Least.
        low: f64,
        /// Most.
        high: f64,
        /// Equal factors are equally likely, not equal differences.
        log: bool,
    },
    /// Any integer from `low` to `high`.
    Integer {
        /// Least.
        low: i64,
        /// Most.
        high: i64,
        /// As for numbers.
        log: bool,
    },
    /// One of these.
    Choices(Vec<Value>),
}

/// How a sampler sees a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Axis {
    /// Coordinates from the first to the second, without that.
    Line(f64, f64),
    /// Places 0, 1, … of so many, which have no order.
    Places(usize),
}

impl Space {
    /// Reads `key = { low, high, log, int }` or `key = { choices }`; the key in quotes, or its parts as tables.
    ///
    /// # Errors
    /// `Usage`, by name, when there is no parameter or one is not such.
    pub fn parse(text: &str) -> Result<Space> {
        let table: Table = toml::from_str(text).map_err(|e| Error::Usage(e.to_string()))?;
        let mut parameters = Vec::new();
        collect("", &table, &mut parameters)?;
        if parameters.is_empty() {
            return Err(Error::Usage("no parameter: write for example fit.dropout = { low = 0.2, high = 0.6 }".into()));
        }
        parameters.sort_by(|a, b| a.key.cmp(&b.key));
        if let Some(pair) = parameters.windows(2).find(|pair| pair[0].key == pair[1].key) {
            return Err(Error::Usage(format!("{} is given twice", pair[0].key)));
        }
        let fixed =
            |key: &str| FIXED.iter().any(|f| key.strip_prefix(f).is_some_and(|r| r.is_empty() || r.starts_with('.')));
        if let Some(p) = parameters.iter().find(|p| fixed(&p.key)) {
            return Err(Error::Usage(format!(
                "{}: a search cannot change which lines there are to learn from or to be measured on; set it in the recipe",
                p.key
            )));
        }
        Ok(Space(parameters))
    }

    /// The parameters, in alphabetical order of their keys.
    pub fn parameters(&self) -> &[Parameter] {
        &self.0
    }

    /// The parameters as a sampler sees them.
    pub fn axes(&self) -> Vec<Axis> {
        self.0.iter().map(|p| p.range.axis()).collect()
    }

    /// The values at coordinates, one a parameter.
    pub fn values(&self, coordinates: &[f64]) -> Vec<Value> {
        self.0.iter().zip(coordinates).map(|(p, x)| p.range.value(*x)).collect()
    }

    /// The coordinates of values; `None` when one of them is not in the space.
    pub fn coordinates(&self, values: &[Value]) -> Option<Vec<f64>> {
        (values.len() == self.0.len()).then_some(())?;
        self.0.iter().zip(values).map(|(p, value)| p.range.coordinate(value)).collect()
    }

    /// Recipes that would fail if any value of a single parameter did: for each parameter its extremes, or all of its choices,
    /// with everything else as in `base`.
    pub fn extremes(&self, base: &Table) -> Result<Vec<(String, Table)>> {
        let mut recipes = Vec::new();
        for p in &self.0 {
            let values = match &p.range {
                Range::Number { low, high, .. } => vec![Value::Float(*low), Value::Float(*high)],
                Range::Integer { low, high, .. } => vec![Value::Integer(*low), Value::Integer(*high)],
                Range::Choices(choices) => choices.clone(),
            };
            for value in values {
                let mut recipe = base.clone();
                let name = format!("{} = {value}", p.key);
                set(&mut recipe, &p.key, value)?;
                recipes.push((name, recipe));
            }
        }
        Ok(recipes)
    }

    /// A recipe's table with these values in it.
    pub fn apply(&self, base: &Table, values: &[Value]) -> Result<Table> {
        let mut recipe = base.clone();
        for (p, value) in self.0.iter().zip(values) {
            set(&mut recipe, &p.key, value.clone())?;
        }
        Ok(recipe)
    }
}

/// A line for each parameter, from which the space could be read again.
impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for p in &self.0 {
            match &p.range {
                Range::Number { low, high, log } => {
                    writeln!(f, "'{}' = {{ low = {low:?}, high = {high:?}, log = {log} }}", p.key)?;
                }
                Range::Integer { low, high, log } => {
                    writeln!(f, "'{}' = {{ low = {low}, high = {high}, log = {log}, int = true }}", p.key)?;
                }
                Range::Choices(choices) => {
                    writeln!(f, "'{}' = {{ choices = {} }}", p.key, Value::Array(choices.clone()))?;
                }
            }
        }
        Ok(())
    }
}

impl Range {
    /// As a sampler sees it.
    pub fn axis(&self) -> Axis {
        match self {
            Range::Number { low, high, log: false } => Axis::Line(*low, *high),
            Range::Number { low, high, log: true } => Axis::Line(low.ln(), high.ln()),
            Range::Integer { low, high, log: false } => Axis::Line(*low as f64 - 0.5, *high as f64 + 0.5),
            Range::Integer { low, high, log: true } => Axis::Line((*low as f64 - 0.5).ln(), (*high as f64 + 0.5).ln()),
            Range::Choices(choices) => Axis::Places(choices.len()),
        }
    }

    fn value(&self, coordinate: f64) -> Value {
        let natural = |log: bool| if log { coordinate.exp() } else { coordinate };
        match self {
            Range::Number { low, high, log } => Value::Float(six_digits(natural(*log)).clamp(*low, *high)),
            Range::Integer { low, high, log } => Value::Integer((natural(*log).round() as i64).clamp(*low, *high)),
            Range::Choices(choices) => {
                choices.get(coordinate as usize).or(choices.last()).cloned().unwrap_or(Value::Boolean(false))
            }
        }
    }

    /// What stands at a coordinate of a drawing: a number, or a choice that has its place there.
    pub fn label(&self, coordinate: f64) -> String {
        match self {
            Range::Number { log, .. } | Range::Integer { log, .. } => {
                short(if *log { coordinate.exp() } else { coordinate })
            }
            Range::Choices(choices) => {
                let here = (coordinate - coordinate.round()).abs() < 1e-6 && coordinate > -0.5;
                let choice = here.then(|| choices.get(coordinate.round() as usize)).flatten();
                choice.map_or_else(String::new, Value::to_string)
            }
        }
    }

    /// Where a value is; `None` for one that it cannot be.
    pub fn coordinate(&self, value: &Value) -> Option<f64> {
        let of = |x: f64, log: bool| if log { x.ln() } else { x };
        match (self, value) {
            (Range::Number { low, high, log }, Value::Float(x)) if (*low..=*high).contains(x) => Some(of(*x, *log)),
            (Range::Integer { low, high, log }, Value::Integer(n)) if (*low..=*high).contains(n) => {
                Some(of(*n as f64, *log))
            }
            (Range::Choices(choices), value) => Some(choices.iter().position(|c| c == value)? as f64),
            _ => None,
        }
    }
}

/// A number in few characters.
fn short(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        a if a < 0.001 => format!("{x:.1e}"),
        // Two digits that say something.
        a if a < 10.0 => format!("{x:.*}", (1.0 - a.log10().floor()) as usize),
        _ => format!("{x:.0}"),
    }
}

/// To six significant digits.
fn six_digits(x: f64) -> f64 {
    // A number that was just printed can be read.
    format!("{x:.5e}").parse().unwrap_or(x)
}

/// Finds the parameters below a table, whose dotted name is `prefix`.
fn collect(prefix: &str, table: &Table, found: &mut Vec<Parameter>) -> Result<()> {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(of) if ["low", "high", "choices"].iter().any(|k| of.contains_key(*k)) => {
                let range = range(of).map_err(|e| e.context(&key))?;
                found.push(Parameter { key, range });
            }
            Value::Table(deeper) => collect(&key, deeper, found)?,
            _ => return Err(Error::Usage(format!("{key}: give {{ low, high }}, with log or int, or {{ choices }}"))),
        }
    }
    Ok(())
}

fn range(of: &Table) -> Result<Range> {
    let refuse = |why: String| Err(Error::Usage(why));
    if let Some(odd) = of.keys().find(|k| !["low", "high", "log", "int", "choices"].contains(&k.as_str())) {
        return refuse(format!("unknown word \"{odd}\"; there are: low, high, log, int, choices"));
    }
    let flag = |name: &str| match of.get(name) {
        None => Ok(false),
        Some(Value::Boolean(yes)) => Ok(*yes),
        Some(other) => Err(Error::Usage(format!("{name} is {other}, it must be true or false"))),
    };
    let (log, int) = (flag("log")?, flag("int")?);
    if let Some(choices) = of.get("choices") {
        return match choices {
            Value::Array(choices) if of.len() == 1 && choices.len() > 1 => {
                let twice = choices.iter().enumerate().find(|(n, c)| choices[..*n].contains(c));
                twice.map_or(Ok(Range::Choices(choices.clone())), |(_, c)| refuse(format!("{c} is given twice")))
            }
            _ => refuse("choices takes a list of two or more, and nothing beside it".into()),
        };
    }
    let bound = |name: &str| match of.get(name) {
        Some(Value::Float(x)) if x.is_finite() => Ok(*x),
        Some(Value::Integer(n)) => Ok(*n as f64),
        _ => Err(Error::Usage(format!("{name} must be a number"))),
    };
    let (low, high) = (bound("low")?, bound("high")?);
    if low >= high {
        return refuse(format!("low is {low}, high {high}; low must be below high"));
    }
    if log && low <= 0.0 {
        return refuse(format!("low is {low}; with log it must be above 0"));
    }
    if !int {
        return Ok(Range::Number { low: six_digits(low), high: six_digits(high), log });
    }
    match (&of["low"], &of["high"]) {
        (Value::Integer(low), Value::Integer(high)) if low.unsigned_abs().max(high.unsigned_abs()) < 1 << 52 => {
            Ok(Range::Integer { low: *low, high: *high, log })
        }
        _ => refuse("with int, low and high must be integers below 2^52".into()),
    }
}

/// Sets a dotted key; tables on the way are made.
fn set(table: &mut Table, key: &str, value: Value) -> Result<()> {
    let Some((first, rest)) = key.split_once('.') else {
        table.insert(key.to_string(), value);
        return Ok(());
    };
    match table.entry(first).or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(inner) => set(inner, rest, value),
        _ => Err(Error::Usage(format!("{first} of the recipe is no table, so it has no {rest}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
fit.learning_rate = { low = 5e-4, high = 5e-3, log = true }
'fit.dropout' = { low = 0.2, high = 0.6 }
[model]
filters = { low = 64, high = 256, int = true, log = true }
widths = { choices = [[1, 2], [1, 2, 3]] }
[fit.bag]
epochs = { low = 2, high = 9, int = true }
";

    fn refused(text: &str) -> String {
        match Space::parse(text) {
            Err(Error::Usage(why)) => why,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn keys_are_dotted_names_or_tables_and_come_in_order() {
        let space = Space::parse(TEXT).unwrap();
        let keys: Vec<&str> = space.parameters().iter().map(|p| p.key.as_str()).collect();
        assert_eq!(keys, ["fit.bag.epochs", "fit.dropout", "fit.learning_rate", "model.filters", "model.widths"]);
        // ln 5e-4, ln 5e-3, ln 63.5 and ln 256.5 by a calculator.
        let expected =
            [(1.5, 9.5), (0.2, 0.6), (-7.600902459542082, -5.298317366548036), (4.151039905898646, 5.547128664610824)];
        for (axis, (low, high)) in space.axes().into_iter().zip(expected) {
            let Axis::Line(a, b) = axis else { panic!("{axis:?}") };
            assert!((a - low).abs() < 1e-12 && (b - high).abs() < 1e-12, "{axis:?}");
        }
        assert_eq!(space.axes()[4], Axis::Places(2));
        assert_eq!(Space::parse(&space.to_string()).unwrap(), space, "{space}");
    }

    #[test]
    fn every_coordinate_is_a_value_inside_the_bounds_and_every_value_has_its_coordinate() {
        let space = Space::parse(TEXT).unwrap();
        for step in 0..=1000 {
            let place = |axis: &Axis| match *axis {
                Axis::Line(low, high) => low + (high - low) * f64::from(step) / 1000.0,
                Axis::Places(n) => f64::from(step % n as i32),
            };
            let values = space.values(&space.axes().iter().map(place).collect::<Vec<_>>());
            let [Value::Integer(epochs), Value::Float(dropout), Value::Float(rate), Value::Integer(filters), widths] =
                &values[..]
            else {
                panic!("{values:?}")
            };
            assert!((2..=9).contains(epochs) && (0.2..=0.6).contains(dropout), "{values:?}");
            assert!((5e-4..=5e-3).contains(rate) && (64..=256).contains(filters) && widths.is_array(), "{values:?}");
            // There and back again.
            let again = space.values(&space.coordinates(&values).unwrap());
            assert_eq!(again, values);
        }
        assert_eq!(space.coordinates(&[]), None);
        let outside =
            [Value::Integer(10), Value::Float(0.3), Value::Float(1e-3), Value::Integer(64), Value::Integer(1)];
        assert_eq!(space.coordinates(&outside), None);
    }

    #[test]
    fn coordinates_are_labelled_by_what_stands_there() {
        let space = Space::parse(TEXT).unwrap();
        let label = |n: usize, x: f64| space.parameters()[n].range.label(x);
        assert_eq!([label(0, 5.0), label(1, 0.25), label(1, 0.0)], ["5.0", "0.25", "0"]);
        // ln 0.0067, ln 0.0005 and ln 128 by a calculator.
        assert_eq!([label(2, -5.0056477), label(2, -7.6009025), label(3, 4.8520303)], ["0.0067", "5.0e-4", "128"]);
        assert_eq!([label(4, 1.0), label(4, 0.5), label(4, -1.0), label(4, 2.0)], ["[1, 2, 3]", "", "", ""]);
    }

    #[test]
    fn values_go_into_the_recipe_and_leave_the_rest_alone() {
        let space =
            Space::parse("fit.bag.epochs = { low = 2, high = 9, int = true }\nmodel.filters = { choices = [8, 9] }");
        let space = space.unwrap();
        let base: Table = toml::from_str("[fit]\nepochs = 3\n").unwrap();
        let recipe = space.apply(&base, &[Value::Integer(4), Value::Integer(8)]).unwrap();
        assert_eq!(recipe, toml::from_str("[fit]\nepochs = 3\nbag.epochs = 4\n[model]\nfilters = 8\n").unwrap());
        let names: Vec<String> = space.extremes(&base).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["fit.bag.epochs = 2", "fit.bag.epochs = 9", "model.filters = 8", "model.filters = 9"]);
        let base: Table = toml::from_str("fit = 3").unwrap();
        assert!(space.apply(&base, &[Value::Integer(4), Value::Integer(8)]).is_err());
    }

    #[test]
    fn what_is_no_parameter_is_refused_by_name() {
        for (text, said) in [
            ("", "no parameter"),
            ("fit.dropout = 3", "fit.dropout: give"),
            ("fit.dropout = { low = 1, high = 1 }", "low must be below high"),
            ("fit.dropout = { low = 1, high = nan }", "fit.dropout: high must be a number"),
            ("fit.dropout = { low = 1, height = 2 }", "height"),
            ("fit.dropout = { low = 0, high = 1, log = true }", "above 0"),
            ("fit.dropout = { low = 0, high = 1, log = 1 }", "true or false"),
            ("fit.epochs = { low = 1.5, high = 9, int = true }", "integers"),
            ("fit.epochs = { choices = [1] }", "two or more"),
            ("fit.epochs = { choices = [1, 2, 1] }", "1 is given twice"),
            ("fit.epochs = { choices = [1, 2], log = true }", "nothing beside it"),
            ("'fit.epochs' = { choices = [1, 2] }\nfit.epochs = { choices = [1, 2] }", "given twice"),
            ("fit.seed = { low = 1, high = 9, int = true }", "fit.seed"),
            ("split.stop = { low = 0.1, high = 0.2 }", "split.stop"),
        ] {
            assert!(refused(text).contains(said), "{text}: {}", refused(text));
        }
    }
}
