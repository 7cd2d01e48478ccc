//! Page CRCs for Parquet files that we write.
//!
//! The `parquet` crate verifies the CRC of a page and never writes one. So a finished file, whole in memory, gets them
//! here: each page header is given its `crc` field, offsets and sizes in the footer follow, and nothing else changes.
//! The layout is that of the Parquet format's `PageHeader` (Thrift compact protocol); files with page indexes are
//! refused, as their offsets are not followed.

use std::io::Write;
use std::ops::Range;

use bytes::Bytes;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataBuilder, ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::writer::TrackedWrite;

use crate::error::{Error, Result};

/// The same file with a CRC in every page header, and its footer.
///
/// # Errors
/// `Bug` when `file` is not a Parquet file as our own writer makes them.
pub fn with_page_crcs(file: &Bytes) -> Result<(Bytes, ParquetMetaData)> {
    let broken = |what: &str| Error::Bug(format!("cannot add page checksums: {what}"));
    let footer = ParquetMetaDataReader::new().parse_and_finish(file)?;
    let mut out = TrackedWrite::new(Vec::with_capacity(file.len() + file.len() / 64 + 4096));
    out.write_all(b"PAR1")?;
    let mut groups = Vec::with_capacity(footer.num_row_groups());
    for group in footer.row_groups() {
        let mut columns = Vec::with_capacity(group.num_columns());
        for column in group.columns() {
            if column.offset_index_offset().is_some() || column.column_index_offset().is_some() {
                return Err(broken("the file has page indexes"));
            }
            let (start, length) = column.byte_range();
            let (start, length) = (start as usize, length as usize);
            let begin = out.bytes_written();
            let mut data_page = None;
            let mut at = start;
            while at < start + length {
                let page = Page::at(file, at).ok_or_else(|| broken("a page header cannot be read"))?;
                if page.is_data && data_page.is_none() {
                    data_page = Some(out.bytes_written() as i64);
                }
                let body = file.get(page.body.clone()).ok_or_else(|| broken("a page is cut"))?;
                page.write(file, crc32fast::hash(body), &mut out)?;
                out.write_all(body)?;
                at = page.body.end;
            }
            let data_page = data_page.ok_or_else(|| broken("a column has no data page"))?;
            let dictionary = column.dictionary_page_offset().map(|_| begin as i64);
            let changed = column
                .clone()
                .into_builder()
                .set_total_compressed_size((out.bytes_written() - begin) as i64)
                .set_data_page_offset(data_page)
                .set_dictionary_page_offset(dictionary);
            columns.push(changed.build()?);
        }
        let first = columns.first().map_or(0, |c| c.byte_range().0 as i64);
        groups.push(group.clone().into_builder().set_column_metadata(columns).set_file_offset(first).build()?);
    }
    let footer = ParquetMetaDataBuilder::new_from_metadata(footer).set_row_groups(groups).build();
    let mut bytes = out.into_inner()?;
    let mut tail = Vec::new();
    // Without page indexes the footer holds no offset into itself, so it may be written apart.
    ParquetMetaDataWriter::new(&mut tail, &footer).finish()?;
    bytes.extend_from_slice(&tail);
    Ok((bytes.into(), footer))
}

/// A page header as it lies in the file.
struct Page {
    header: Range<usize>,
    /// Just behind the field `compressed_page_size`, where `crc` belongs.
    insert_at: usize,
    /// Number of the field that follows; `None` at the end of the struct.
    next_field: Option<i16>,
    body: Range<usize>,
    is_data: bool,
}

const TYPE: i16 = 1;
const COMPRESSED_PAGE_SIZE: i16 = 3;
const CRC: i16 = 4;
/// `DATA_PAGE` and `DATA_PAGE_V2` of the format's `PageType`.
const DATA_PAGES: [i64; 2] = [0, 3];
/// Thrift compact type of an `i32`.
const I32: u8 = 5;

impl Page {
    fn at(file: &[u8], start: usize) -> Option<Page> {
        let mut reader = Reader { bytes: file, at: start };
        let (mut kind, mut size, mut insert_at, mut next_field) = (None, None, None, None);
        let mut field = 0i16;
        loop {
            let (number, of) = match reader.field(field)? {
                None => break,
                Some(found) => found,
            };
            if insert_at.is_some() && next_field.is_none() {
                next_field = Some(number);
            }
            field = number;
            match (number, of) {
                (TYPE, I32) => kind = Some(reader.zigzag()?),
                (COMPRESSED_PAGE_SIZE, I32) => {
                    size = Some(usize::try_from(reader.zigzag()?).ok()?);
                    insert_at = Some(reader.at);
                }
                (CRC, _) => return None,
                (_, of) => reader.skip(of)?,
            }
        }
        let end = reader.at;
        Some(Page {
            header: start..end,
            insert_at: insert_at?,
            next_field,
            body: end..end.checked_add(size?)?,
            is_data: DATA_PAGES.contains(&kind?),
        })
    }

    /// The header with `crc` between its third field and what follows.
    fn write(&self, file: &[u8], crc: u32, out: &mut impl Write) -> Result<()> {
        out.write_all(&file[self.header.start..self.insert_at])?;
        // One field further, an i32; the format stores the 32 bits as a signed number.
        out.write_all(&[(1 << 4) | I32])?;
        let signed = crc as i32;
        let mut rest = ((signed << 1) ^ (signed >> 31)) as u32;
        while rest >= 0x80 {
            out.write_all(&[(rest as u8) | 0x80])?;
            rest >>= 7;
        }
        out.write_all(&[rest as u8])?;
        let mut after = self.insert_at;
        if let Some(next) = self.next_field {
            // Its header says how far it is from the field before, which is now number 4.
            let delta = (next - CRC) as u8;
            out.write_all(&[(delta << 4) | (file[after] & 0x0f)])?;
            after += 1;
        }
        out.write_all(&file[after..self.header.end])?;
        Ok(())
    }
}

/// Just enough of the Thrift compact protocol to find the fields of a page header.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn zigzag(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Number and type of the next field after `previous`; `Some(None)` at the end. Only short headers, which is what
    /// every field number of a page header gets.
    fn field(&mut self, previous: i16) -> Option<Option<(i16, u8)>> {
        let header = self.byte()?;
        match (header >> 4, header & 0x0f) {
            (_, 0) => Some(None),
            (0, _) => None,
            (delta, of) => Some(Some((previous + i16::from(delta), of))),
        }
    }

    fn skip(&mut self, of: u8) -> Option<()> {
        match of {
            1 | 2 => {}
            3 => self.at += 1,
            4..=6 => {
                self.varint()?;
            }
            7 => self.at += 8,
            8 => self.at = self.at.checked_add(usize::try_from(self.varint()?).ok()?)?,
            12 => {
                let mut field = 0;
                while let Some((number, of)) = self.field(field)? {
                    field = number;
                    self.skip(of)?;
                }
            }
            // Lists, sets and maps do not occur in page headers.
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

    fn batch(rows: i64) -> RecordBatch {
        let text: StringArray = (0..rows).map(|i| (i % 7 != 0).then(|| format!("goods {}", i % 900))).collect();
        let mut list = ListBuilder::new(StringBuilder::new());
        for i in 0..rows {
            (0..i % 4).for_each(|j| list.values().append_value(format!("reason {j}")));
            list.append(i % 5 != 0);
        }
        let number: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        RecordBatch::try_from_iter(vec![
            ("number", number),
            ("text", Arc::new(text) as ArrayRef),
            ("list", Arc::new(list.finish()) as ArrayRef),
        ])
        .unwrap()
    }

    fn file(version: WriterVersion, rows: i64) -> (Bytes, RecordBatch) {
        let properties = WriterProperties::builder()
            .set_writer_version(version)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_data_page_row_count_limit(500)
            .set_max_row_group_row_count(Some(2000))
            .build();
        let batch = batch(rows);
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        (writer.into_inner().unwrap().into(), batch)
    }

    fn read(bytes: Bytes) -> Result<Vec<RecordBatch>, arrow::error::ArrowError> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)?.with_batch_size(1 << 20).build()?;
        reader.collect()
    }

    #[test]
    fn every_page_gets_a_crc_that_the_reader_verifies_and_the_rows_stay() {
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            for rows in [0, 1, 4567] {
                let (plain, batch) = file(version, rows);
                let (summed, footer) = with_page_crcs(&plain).unwrap();
                let got = read(summed.clone()).unwrap();
                let schema = batch.schema();
                assert_eq!(arrow::compute::concat_batches(&schema, &got).unwrap(), batch);
                assert_eq!(footer.file_metadata().num_rows(), rows);
                // Any flipped bit in a page is now noticed.
                for group in footer.row_groups() {
                    for column in group.columns() {
                        let (start, length) = column.byte_range();
                        let mut spoilt = summed.to_vec();
                        spoilt[(start + length) as usize - 1] ^= 4;
                        assert!(read(spoilt.into()).is_err(), "{version:?} {}", column.column_path());
                    }
                }
            }
        }
    }
}
