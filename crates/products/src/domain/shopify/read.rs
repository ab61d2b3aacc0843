//! Rows into groups, groups into batches; nothing larger than a batch is ever in memory.
use super::{
    RowError,
    group::{Given, Group},
};
use csv::{ByteRecord, Position, ReaderBuilder, StringRecord};
use kernel::Currency;
use std::{collections::HashMap, collections::HashSet, io::Read};

/// Products in one transaction.
const BATCH_PRODUCTS: usize = 100;
/// Rows in one transaction: products with many variants make smaller batches.
const BATCH_ROWS: u64 = 1000;
/// Bytes of one row: a quote that is never closed would swallow the file.
const LONGEST_ROW: usize = 1 << 20;

/// The columns that are read, by their place in the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Columns(HashMap<&'static str, usize>);

const KNOWN: &[&str] = &[
    "Handle",
    "Title",
    "Body (HTML)",
    "Tags",
    "Published",
    "Status",
    "Option1 Name",
    "Option1 Value",
    "Option2 Name",
    "Option2 Value",
    "Option3 Name",
    "Option3 Value",
    "Variant SKU",
    "Variant Inventory Tracker",
    "Variant Inventory Qty",
    "Variant Price",
    "Image Src",
    "Image Alt Text",
];
const REQUIRED: &[&str] = &["Handle", "Title", "Variant Price"];

impl Columns {
    fn of(header: &ByteRecord) -> Result<Self, BadFile> {
        let names: Vec<String> =
            header.iter().map(|name| String::from_utf8_lossy(name).trim().to_lowercase()).collect();
        let at = |known: &str| names.iter().position(|name| *name == known.to_lowercase());
        let columns = Self(KNOWN.iter().filter_map(|known| Some((*known, at(known)?))).collect());
        let missing: Vec<_> = REQUIRED.iter().filter(|name| !columns.0.contains_key(*name)).copied().collect();
        if missing.is_empty() {
            return Ok(columns);
        }
        let semicolons = names.len() == 1 && names[0].contains(';');
        let hint = if semicolons { "; its cells are separated by semicolons, not commas" } else { "" };
        let missing = missing.join(", ");
        Err(BadFile::Columns(format!("this is no Shopify product file: the first line lacks {missing}{hint}")))
    }
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
    /// The cell as it is; empty where the column is not there.
    pub(super) fn raw<'a>(&self, name: &str, row: &'a StringRecord) -> &'a str {
        self.0.get(name).and_then(|at| row.get(*at)).unwrap_or_default()
    }
    pub(super) fn cell<'a>(&self, name: &str, row: &'a StringRecord) -> &'a str {
        self.raw(name, row).trim()
    }
}

/// The file as a whole cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadFile {
    #[error("{0}")]
    Columns(String),
    #[error("the file cannot be read: {0}")]
    Unreadable(#[from] csv::Error),
}

impl BadFile {
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Columns(_) => "missing_columns",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

/// Products that are written together, and what was wrong with rows up to their end.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub products: Vec<Given>,
    pub errors: Vec<RowError>,
    pub rows: u64,
    /// Where in the file it ends.
    pub bytes: u64,
}

/// The batches of a file.
pub(crate) struct Batches<R> {
    reader: csv::Reader<R>,
    columns: Columns,
    currency: Currency,
    /// The rows of the handle that is being read.
    group: Option<Group>,
    /// Complete, but of the next batch: its handle is in the one before already.
    held: Option<Given>,
    ended: bool,
}

impl<R: Read> Batches<R> {
    pub(crate) fn new(file: R, currency: Currency) -> Result<Self, BadFile> {
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(file);
        let columns = Columns::of(reader.byte_headers()?)?;
        Ok(Self { reader, columns, currency, group: None, held: None, ended: false })
    }

    /// `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Batch>, BadFile> {
        let mut batch = Batch::default();
        let mut slugs = HashSet::new();
        if let Some(held) = self.held.take() {
            slugs.insert(held.slug.clone());
            batch.products.push(held);
        }
        while !self.ended && batch.products.len() < BATCH_PRODUCTS && batch.rows < BATCH_ROWS && self.held.is_none() {
            if let Some(product) = self.product(&mut batch)? {
                if slugs.insert(product.slug.clone()) {
                    batch.products.push(product);
                } else {
                    self.held = Some(product); // it changes what the first one makes
                }
            }
        }
        batch.bytes = self.reader.position().byte();
        let empty = batch.products.is_empty() && batch.errors.is_empty() && batch.rows == 0;
        Ok((!empty || !self.ended || self.held.is_some()).then_some(batch))
    }

    /// Reads one row; the product that it ends, if it ends one.
    fn product(&mut self, batch: &mut Batch) -> Result<Option<Given>, BadFile> {
        let mut bytes = ByteRecord::new();
        if !self.reader.read_byte_record(&mut bytes)? {
            self.ended = true;
            return Ok(self.group.take().and_then(|group| group.read(&self.columns, self.currency, &mut batch.errors)));
        }
        batch.rows += 1;
        let line = bytes.position().map_or(0, Position::line);
        let row = match checked(bytes, self.reader.byte_headers()?.len()) {
            Ok(row) => row,
            Err((code, detail)) => {
                batch.errors.push(RowError::new(line, code, detail));
                return Ok(None);
            }
        };
        let handle = self.columns.cell("Handle", &row).to_owned();
        if handle.is_empty() {
            batch.errors.push(RowError::new(line, "handle_required", "the row has no handle"));
            return Ok(None);
        }
        match &mut self.group {
            Some(group) if group.handle == handle => {
                group.add(line, row, &mut batch.errors);
                Ok(None)
            }
            group => {
                let ended = group.replace(Group::new(handle, line, row));
                Ok(ended.and_then(|group| group.read(&self.columns, self.currency, &mut batch.errors)))
            }
        }
    }
}

fn checked(bytes: ByteRecord, cells: usize) -> Result<StringRecord, (&'static str, String)> {
    if bytes.as_slice().len() > LONGEST_ROW {
        return Err(("row_too_long", "more than 1 MiB; is a quote not closed?".to_owned()));
    }
    if bytes.len() != cells {
        return Err(("wrong_columns", format!("has {} cells, the first line has {cells}", bytes.len())));
    }
    StringRecord::from_byte_record(bytes).map_err(|_| ("invalid_utf8", "is not UTF-8".to_owned()))
}
