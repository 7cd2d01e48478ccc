//! Rows of `predictions` in one form, whoever made them, and a digest of each over every column of the contract.
//!
//! What always holds: two rows have one digest when every column is the same, floats by their bits, lists by their values.
//! The day of the run is not a column here: rows of another day are not looked at. In rows of an older contract no role
//! means champion and no word on serving means served, as `schemas/predictions.json` says.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};

use crate::contract::Contract;
use crate::error::Result;
use crate::sql::ROLES;

/// Columns of `predictions` that are compared, all of which may be null: a lake that was tampered with may hold anything.
pub(super) fn compared() -> SchemaRef {
    let fields = Contract::Predictions.schema().fields().iter().filter(|field| field.name() != "run_date");
    Arc::new(Schema::new(fields.map(|field| Field::clone(field).with_nullable(true)).collect::<Vec<_>>()))
}

/// The columns of a schema, by name and in its types; a column that is not there is null.
pub(super) fn in_form(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = schema.fields().iter().map(|field| {
        let column = match batch.column_by_name(field.name()) {
            Some(column) => cast(column, field.data_type())?,
            None => new_null_array(field.data_type(), batch.num_rows()),
        };
        Ok(match field.name().as_str() {
            "role" if column.null_count() > 0 => {
                let roles = column.as_string::<i32>().iter().map(|role| Some(role.unwrap_or(ROLES[0])));
                Arc::new(roles.collect::<StringArray>()) as ArrayRef
            }
            "served" if column.null_count() > 0 => {
                let served = column.as_boolean().iter().map(|served| Some(served.unwrap_or(true)));
                Arc::new(served.collect::<BooleanArray>()) as ArrayRef
            }
            _ => column,
        })
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// Makes digests of rows in the form of a schema.
pub(super) struct Digests(RowConverter);

impl Digests {
    pub fn new(schema: &Schema) -> Result<Digests> {
        let fields = schema.fields().iter().map(|field| SortField::new(field.data_type().clone()));
        Ok(Digests(RowConverter::new(fields.collect())?))
    }

    /// 128 bits of BLAKE3 of each row.
    pub fn of(&self, batch: &RecordBatch) -> Result<Vec<u128>> {
        let rows = self.0.convert_columns(batch.columns())?;
        let digest = |row: arrow::row::Row<'_>| {
            let bytes = blake3::hash(row.as_ref());
            bytes.as_bytes().iter().take(16).fold(0u128, |digest, byte| (digest << 8) | u128::from(*byte))
        };
        Ok(rows.iter().map(digest).collect())
    }
}

/// Whether two columns of one type hold the same value in these rows.
pub(super) fn same(one: &ArrayRef, other: &ArrayRef) -> Result<bool> {
    let converter = RowConverter::new(vec![SortField::new(one.data_type().clone())])?;
    let [one, other] = [one, other].map(|column| converter.convert_columns(std::slice::from_ref(column)));
    Ok(one?.iter().eq(other?.iter()))
}

#[cfg(test)]
mod tests {
    use arrow::array::Float32Array;

    use super::*;

    fn digest(values: Vec<(&str, ArrayRef)>) -> u128 {
        let schema = compared();
        let batch = RecordBatch::try_from_iter_with_nullable(values.into_iter().map(|(n, c)| (n, c, true))).unwrap();
        Digests::new(&schema).unwrap().of(&in_form(&batch, &schema).unwrap()).unwrap()[0]
    }

    #[test]
    fn every_column_counts_and_a_float_by_its_bits() {
        let of = |confidence: f32, code: &str| {
            let confidence: ArrayRef = Arc::new(Float32Array::from(vec![confidence]));
            let code: ArrayRef = Arc::new(StringArray::from(vec![code]));
            digest(vec![("confidence", confidence), ("hs6", code)])
        };
        assert_eq!(of(0.5, "731815"), of(0.5, "731815"));
        assert_ne!(of(0.5, "731815"), of(0.5, "731816"));
        assert_ne!(of(0.0, "731815"), of(-0.0, "731815"), "the sign of a zero is a bit too");
        assert_ne!(of(0.5, "731815"), of(f32::from_bits(0.5f32.to_bits() + 1), "731815"));
    }

    #[test]
    fn rows_of_an_older_contract_are_the_champions_and_served() {
        let code = || Arc::new(StringArray::from(vec!["731815"])) as ArrayRef;
        let role = |role: &str| Arc::new(StringArray::from(vec![role])) as ArrayRef;
        let served = |yes: bool| Arc::new(BooleanArray::from(vec![yes])) as ArrayRef;
        let old = digest(vec![("hs6", code())]);
        assert_eq!(old, digest(vec![("hs6", code()), ("role", role("champion")), ("served", served(true))]));
        assert_ne!(old, digest(vec![("hs6", code()), ("role", role("challenger")), ("served", served(true))]));
        assert_ne!(old, digest(vec![("hs6", code()), ("role", role("champion")), ("served", served(false))]));
    }

    #[test]
    fn a_column_differs_where_its_value_does() {
        let floats = |values: Vec<Option<f32>>| Arc::new(Float32Array::from(values)) as ArrayRef;
        assert!(same(&floats(vec![Some(1.0)]), &floats(vec![Some(1.0)])).unwrap());
        assert!(!same(&floats(vec![Some(1.0)]), &floats(vec![None])).unwrap());
    }
}
