//! `COPY … TO STDOUT`: the rows of a query in the forms of COPY, which some drivers read faster than rows. It writes nothing
//! but to the client; COPY to and from files and programs is refused.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::sql::sqlparser::ast::{
    CopyLegacyCsvOption, CopyLegacyOption, CopyOption, CopySource, CopyTarget, Ident, Query, Statement,
};
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{CopyCsvOptions, CopyEncoder, CopyTextOptions, FieldInfo};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage as Backend;
use datafusion_postgres::pgwire::messages::copy::{CopyData, CopyDone, CopyOutResponse};

use super::fault::{Answer, Fault, state};
use super::meter::Meter;
use super::planned::Asker;
use super::rows::Sink;
use super::session::Session;
use super::wire::End;

/// What begins a copy in binary: signature, flags, length of an extension.
const BINARY_HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const BINARY_END: &[u8] = b"\xff\xff";

/// How rows are written.
#[derive(Debug, Clone)]
pub(super) struct CopyForm {
    kind: Kind,
    delimiter: Option<char>,
    null: Option<String>,
    quote: char,
    header: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Csv,
    Binary,
}

/// The query and the form of a copy to the client.
///
/// # Errors
/// `42501` for one to or from anything else, `0A000` for options that are not offered.
pub(super) fn of_copy(statement: Statement) -> Answer<(Statement, CopyForm)> {
    let Statement::Copy { source, to: true, target: CopyTarget::Stdout, options, legacy_options, .. } = statement
    else {
        let fault = Fault::new(state::NOT_ALLOWED, "COPY is not allowed but to STDOUT: this server writes nothing");
        return Err(
            fault.hint("Write COPY (SELECT …) TO STDOUT, or use \\copy of psql, to have rows on your own machine.")
        );
    };
    let query = match source {
        CopySource::Query(query) => query,
        CopySource::Table { table_name, columns } => table(&table_name.to_string(), &columns)?,
    };
    let mut form = CopyForm { kind: Kind::Text, delimiter: None, null: None, quote: '"', header: false };
    for option in &options {
        form.set(option)?;
    }
    for option in &legacy_options {
        form.set_legacy(option)?;
    }
    let one_byte = form.quote.is_ascii() && form.delimiter.is_none_or(|delimiter| delimiter.is_ascii());
    if !one_byte {
        return Err(Fault::new(state::NOT_SUPPORTED, "COPY delimiter and quote must be single one-byte characters"));
    }
    Ok((Statement::Query(query), form))
}

fn table(name: &str, columns: &[Ident]) -> Answer<Box<Query>> {
    let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
    let columns = if columns.is_empty() { "*".to_owned() } else { columns.join(", ") };
    let dialect = datafusion::sql::sqlparser::dialect::PostgreSqlDialect {};
    let parsed =
        datafusion::sql::sqlparser::parser::Parser::parse_sql(&dialect, &format!("SELECT {columns} FROM {name}"))?;
    match parsed.into_iter().next() {
        Some(Statement::Query(query)) => Ok(query),
        _ => Err(Fault::new(state::SYNTAX, "syntax error in COPY")),
    }
}

impl CopyForm {
    fn set(&mut self, option: &CopyOption) -> Answer<()> {
        match option {
            CopyOption::Format(name) => {
                self.kind = match name.value.to_lowercase().as_str() {
                    "text" => Kind::Text,
                    "csv" => Kind::Csv,
                    "binary" => Kind::Binary,
                    _ => return Err(Fault::new(state::INVALID_PARAMETER, "COPY format not recognized")),
                }
            }
            CopyOption::Delimiter(delimiter) => self.delimiter = Some(*delimiter),
            CopyOption::Null(null) => self.null = Some(null.clone()),
            CopyOption::Header(header) => self.header = *header,
            CopyOption::Quote(quote) => self.quote = *quote,
            CopyOption::Encoding(name) if matches!(name.to_lowercase().as_str(), "utf8" | "utf-8") => {}
            _ => return Err(Fault::new(state::NOT_SUPPORTED, "an option of COPY is not offered")),
        }
        Ok(())
    }

    fn set_legacy(&mut self, option: &CopyLegacyOption) -> Answer<()> {
        match option {
            CopyLegacyOption::Binary => self.kind = Kind::Binary,
            CopyLegacyOption::Delimiter(delimiter) => self.delimiter = Some(*delimiter),
            CopyLegacyOption::Null(null) => self.null = Some(null.clone()),
            CopyLegacyOption::Header => self.header = true,
            CopyLegacyOption::Csv(options) => {
                self.kind = Kind::Csv;
                for option in options {
                    match option {
                        CopyLegacyCsvOption::Header => self.header = true,
                        CopyLegacyCsvOption::Quote(quote) => self.quote = *quote,
                        _ => return Err(Fault::new(state::NOT_SUPPORTED, "an option of COPY is not offered")),
                    }
                }
            }
            _ => return Err(Fault::new(state::NOT_SUPPORTED, "an option of COPY is not offered")),
        }
        Ok(())
    }

    /// How values are encoded.
    fn format(&self) -> Format {
        match self.kind {
            Kind::Binary => Format::UnifiedBinary,
            Kind::Text | Kind::Csv => Format::UnifiedText,
        }
    }

    fn encoder(&self, fields: &Arc<Vec<FieldInfo>>) -> CopyEncoder {
        let delimiter = |usual: char| self.delimiter.unwrap_or(usual).to_string();
        match self.kind {
            Kind::Binary => CopyEncoder::new_binary(Arc::clone(fields)),
            Kind::Text => {
                let null = self.null.clone().unwrap_or_else(|| "\\N".into());
                let options = CopyTextOptions { delimiter: delimiter('\t').into(), null_string: null.into() };
                CopyEncoder::new_text(Arc::clone(fields), options)
            }
            Kind::Csv => {
                let quote = self.quote.to_string();
                let options = CopyCsvOptions {
                    delimiter: delimiter(',').into(),
                    quote: quote.as_str().into(),
                    escape: quote.into(),
                    null_string: self.null.clone().unwrap_or_default().into(),
                    // An empty text must not look like null.
                    force_quote: (0..fields.len()).collect(),
                };
                CopyEncoder::new_csv(Arc::clone(fields), options)
            }
        }
    }

    /// The line of names.
    fn head(&self, fields: &[FieldInfo]) -> Option<String> {
        if !self.header || self.kind == Kind::Binary {
            return None;
        }
        let quote = self.quote.to_string();
        let name = |field: &FieldInfo| match self.kind {
            Kind::Csv => format!("{quote}{}{quote}", field.name().replace(&quote, &quote.repeat(2))),
            _ => field.name().to_owned(),
        };
        let usual = if self.kind == Kind::Csv { ',' } else { '\t' };
        let names: Vec<String> = fields.iter().map(name).collect();
        Some(names.join(&self.delimiter.unwrap_or(usual).to_string()) + "\n")
    }
}

impl Session {
    /// Answers a copy to the client; its tag.
    pub async fn copy_out(&mut self, meter: &mut Meter, query: Statement, form: &CopyForm) -> Result<String, End> {
        let look = self.look().await;
        let asker: Asker = self.asker.clone();
        let work = async move { asker.plan(query, &[], look).await?.without_parameters() };
        let format = form.format();
        let mut open = self.open(meter, work, &format, None).await?;
        let fields = Arc::clone(open.fields());
        open.sink = Sink::Copy(form.encoder(&fields));
        let binary = i8::from(form.kind == Kind::Binary);
        let columns = vec![i16::from(binary); fields.len()];
        let count = i16::try_from(fields.len()).unwrap_or(i16::MAX);
        self.wire.feed(Backend::CopyOutResponse(CopyOutResponse::new(binary, count, columns)))?;
        if let Some(head) = form.head(&fields) {
            self.wire.feed(Backend::CopyData(CopyData::new(head.into())))?;
        }
        self.send(&mut open, meter, 0).await?;
        if form.kind == Kind::Binary {
            if meter.rows == 0 {
                self.wire.feed(Backend::CopyData(CopyData::new(Bytes::from_static(BINARY_HEAD))))?;
            }
            self.wire.feed(Backend::CopyData(CopyData::new(Bytes::from_static(BINARY_END))))?;
        }
        self.wire.feed(Backend::CopyDone(CopyDone::new()))?;
        Ok(format!("COPY {}", meter.rows))
    }
}
