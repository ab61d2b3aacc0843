//! A month of a real British shop, read exactly.
//!
//! Prices are counted in thousandths because some have three decimals; a sold row whose price has them is refused,
//! for pence could not hold it. Rows that sell nothing (returns, gifts, corrections) are counted apart: a shop takes
//! no order for them.
use crate::error::{Context, Result};
use flate2::read::GzDecoder;
use serde::Deserialize;
use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

pub(super) const CURRENCY: &str = "GBP";

/// What each month's rows come to, returns included, in thousandths of a pound: whether the file is the file.
const NET: &[(&str, i64)] = &[
    ("2010-12", 748_957_020),
    ("2011-01", 560_000_260),
    ("2011-02", 498_062_650),
    ("2011-03", 683_267_080),
    ("2011-04", 493_207_121),
    ("2011-05", 723_333_510),
    ("2011-06", 691_123_120),
    ("2011-07", 681_300_111),
    ("2011-08", 682_680_510),
];

#[derive(Default)]
pub(super) struct Month {
    pub(super) name: String,
    pub(super) invoices: BTreeMap<String, Invoice>,
    /// The first description met for each stock code.
    pub(super) titles: BTreeMap<String, String>,
    pub(super) sold_rows: u64,
    pub(super) returned_rows: u64,
    pub(super) free_rows: u64,
    pub(super) other_rows: u64,
    net: i64,
}

/// A stock code in its exact case, at one price in pence: what a customer could put into a cart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Article {
    pub(super) code: String,
    pub(super) price: i64,
}

/// Rows of one article are one line.
#[derive(Default)]
pub(super) struct Invoice {
    pub(super) lines: BTreeMap<Article, i64>,
}

impl Invoice {
    pub(super) fn total(&self) -> i64 {
        self.lines.iter().map(|(article, quantity)| article.price * quantity).sum()
    }

    pub(super) fn units(&self) -> i64 {
        self.lines.values().sum()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    invoice_no: String,
    stock_code: String,
    description: String,
    quantity: i64,
    unit_price: String,
}

impl Month {
    pub(super) fn read(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(format!("online_retail_{name}.csv.gz"));
        let file = File::open(&path).context(format_args!("cannot open {}", path.display()))?;
        let month = Self::parse(name, GzDecoder::new(file)).context(path.display())?;
        let known = NET.iter().find(|(month, _)| *month == name).map(|(_, net)| *net);
        match known {
            Some(net) if net != month.net => {
                Err(format!("{} comes to {} thousandths, not {net}: not the file it was", path.display(), month.net)
                    .into())
            }
            _ => Ok(month),
        }
    }

    fn parse(name: &str, text: impl Read) -> Result<Self> {
        let mut month = Self { name: name.into(), ..Self::default() };
        for (index, row) in csv::Reader::from_reader(text).deserialize().enumerate() {
            // Cells may hold line breaks, so rows are counted, not lines.
            let at = format!("row {}", index + 1);
            let row: Row = row.context(&at)?;
            month.add(row).context(&at)?;
        }
        Ok(month)
    }

    fn add(&mut self, row: Row) -> Result<()> {
        let price = thousandths(&row.unit_price)?;
        let value = row.quantity.checked_mul(price).context("the amount is too large")?;
        self.net = self.net.checked_add(value).context("the sum is too large")?;
        match (row.quantity, price) {
            (1.., 1..) => self.sell(row, price)?,
            (..=-1, _) => self.returned_rows += 1,
            (1.., 0) => self.free_rows += 1,
            _ => self.other_rows += 1,
        }
        Ok(())
    }

    fn sell(&mut self, row: Row, thousandths: i64) -> Result<()> {
        if thousandths % 10 != 0 {
            let price = row.unit_price;
            return Err(
                format!("price {price} has a fraction of a penny; such a month cannot be replayed exactly").into()
            );
        }
        self.sold_rows += 1;
        let title = row.description.trim();
        let title = if title.is_empty() { &row.stock_code } else { title };
        self.titles.entry(row.stock_code.clone()).or_insert_with(|| title.to_owned());
        let article = Article { code: row.stock_code, price: thousandths / 10 };
        *self.invoices.entry(row.invoice_no).or_default().lines.entry(article).or_default() += row.quantity;
        Ok(())
    }

    pub(super) fn lines(&self) -> u64 {
        self.invoices.values().map(|invoice| invoice.lines.len() as u64).sum()
    }

    pub(super) fn units(&self) -> i64 {
        self.invoices.values().map(Invoice::units).sum()
    }

    pub(super) fn total(&self) -> i64 {
        self.invoices.values().map(Invoice::total).sum()
    }
}

/// `"2.55"` as 2550; exact, or an error.
fn thousandths(text: &str) -> Result<i64> {
    let wrong = || format!("`{text}` is no price with up to three decimals");
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    // Zeros at the end say nothing.
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || fraction.len() > 3 || !numeric(whole) || !numeric(fraction) {
        return Err(wrong().into());
    }
    let value: i64 = format!("{whole}{fraction:0<3}").parse().ok().context(wrong())?;
    Ok(sign * value)
}

/// Pence as pounds.
pub(super) fn pounds(pence: i64) -> String {
    let (sign, pence) = (if pence < 0 { "-" } else { "" }, pence.unsigned_abs());
    format!("{sign}{}.{:02}", pence / 100, pence % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

    fn parse(rows: &str) -> Result<Month> {
        Month::parse("2010-12", format!("{HEADER}{rows}").as_bytes())
    }

    #[test]
    fn prices_are_exact() {
        let read = |text| thousandths(text).ok();
        assert_eq!(read("2.55"), Some(2550));
        assert_eq!(read("0.1"), Some(100));
        assert_eq!(read("16888.02"), Some(16_888_020));
        assert_eq!(read("0.001"), Some(1));
        assert_eq!(read("40.0000"), Some(40_000));
        assert_eq!(read("-11062.06"), Some(-11_062_060));
        for wrong in ["", ".", "1e3", "1.2345", "1,5", "--1", " 1", "99999999999999999999"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rows_of_one_article_are_one_line() {
        let month = parse(
            "1,85123A,LAMP,6,2010-12-01 08:26:00,2.55,,UK\n1,85123A,LAMP,2,2010-12-01 08:26:00,2.55,,UK\n\
             1,85123a,LAMP,1,2010-12-01 08:26:00,2.55,,UK\n1,85123A,LAMP,1,2010-12-01 08:26:00,3.00,,UK\n2,M,,1,,1.00,,UK\n",
        )
        .unwrap();
        assert_eq!((month.invoices.len(), month.sold_rows, month.lines(), month.units()), (2, 5, 4, 11));
        assert_eq!(month.total(), 8 * 255 + 255 + 300 + 100);
        assert_eq!(month.titles["M"], "M", "a code stands in for a missing description");
    }

    #[test]
    fn what_sells_nothing_is_counted_apart() {
        let month = parse("C1,A,a,-1,,2.50,,UK\n2,A,a,3,,0.0,,UK\n3,A,a,-2,,0,,UK\n4,B,b,1,,-11.06,,UK\n").unwrap();
        let Month { sold_rows, returned_rows, free_rows, other_rows, net, .. } = month;
        assert_eq!((sold_rows, returned_rows, free_rows, other_rows, net), (0, 2, 1, 1, -13_560));
    }

    #[test]
    fn a_fraction_of_a_penny_is_refused() {
        let error = parse("1,A,a,1,,0.50,,UK\n1,A,a,3,,0.001,,UK\n").err().unwrap().to_string();
        assert!(error.starts_with("row 2: price 0.001 has a fraction of a penny"), "{error}");
        assert!(parse("1,A,a,-3,,0.001,,UK\n").is_ok(), "nothing is sold at it");
    }

    #[test]
    fn pence_as_pounds() {
        assert_eq!([82_374_614, 5, 0, -101].map(pounds), ["823746.14", "0.05", "0.00", "-1.01"]);
    }
}
