//! Lists as PostgreSQL writes them into a text: `{"a", "b"}` of a client, `{23,25}` and `23 25` of its catalog.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, ListBuilder, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::cast::as_string_array;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use datafusion_postgres::pgwire::api::Type;

/// Name of the function that [`type_names`] is.
pub(super) const TYPE_NAMES: &str = "type_names";

/// An array without the blanks around its elements, which mean nothing; those within an element or within quotes are its own.
pub(super) fn tidy(array: &Bytes) -> Bytes {
    let mut out: Vec<u8> = Vec::with_capacity(array.len());
    let (mut quoted, mut escaped, mut blanks) = (false, false, Vec::new());
    for &byte in array.iter() {
        if byte.is_ascii_whitespace() && !quoted && !escaped {
            blanks.push(byte);
            continue;
        }
        let between = matches!(byte, b',' | b'}') && !escaped || matches!(out.last(), None | Some(b',' | b'{'));
        if quoted || !between {
            out.append(&mut blanks);
        }
        blanks.clear();
        quoted ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        out.push(byte);
    }
    out.into()
}

/// `type_names(text)`: the names of the types whose numbers stand in a list of the catalog; a number without a name as it is.
pub(super) fn type_names() -> ScalarUDF {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    let names = |args: &[ColumnarValue]| {
        let args = ColumnarValue::values_to_arrays(args)?;
        let first = args.first().ok_or_else(|| DataFusionError::Plan(format!("{TYPE_NAMES} takes one text")))?;
        let mut out = ListBuilder::new(StringBuilder::new());
        for list in as_string_array(first)? {
            for number in list.unwrap_or_default().split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()) {
                let found = number.parse().ok().and_then(Type::from_oid);
                out.values().append_value(found.as_ref().map_or(number, Type::name));
            }
            out.append(list.is_some());
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish()) as ArrayRef))
    };
    create_udf(TYPE_NAMES, vec![DataType::Utf8], list, Volatility::Immutable, Arc::new(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PostgreSQL 15 gives for `'…'::text[]::text`, but that it drops quotes that are not needed.
    #[test]
    fn blanks_between_elements_go_and_those_in_them_stay() {
        for (written, tidied) in [
            (r#"{"p", "f",  "r"}"#, r#"{"p","f","r"}"#),
            ("{ r , v }", "{r,v}"),
            ("{red shirts, blue}", "{red shirts,blue}"),
            (r#"{" a ", "b, c"}"#, r#"{" a ","b, c"}"#),
            (r#"{"a\" , b" , c}"#, r#"{"a\" , b",c}"#),
            ("{ }", "{}"),
            (" {1,2} ", "{1,2}"),
        ] {
            assert_eq!(tidy(&Bytes::from_static(written.as_bytes())), tidied, "{written}");
        }
    }
}
