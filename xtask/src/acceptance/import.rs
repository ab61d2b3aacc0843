//! Catalogues by CSV: a small real one, exactly; a large made one, within bounded memory.
use super::{
    api::{Api, list, number, text},
    report::Report,
    shop::Shop,
};
use crate::error::{Context, Result};
use serde_json::Value;
use std::{
    io::Write,
    path::Path,
    time::{Duration, Instant},
};
use tempfile::NamedTempFile;
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(600);
const ROWS: usize = 100_000;
const COLORS: [&str; 2] = ["Red", "Blue"];
const SIZES: [&str; 2] = ["Small", "Large"];
const PRODUCTS: usize = ROWS / (COLORS.len() * SIZES.len());
/// What one upload may hold.
const LARGEST: u64 = 64 * 1024 * 1024;
/// How much more memory the server may ever hold for it.
const GROWTH_KB: u64 = 150_000;

/// The first import into an empty shop makes everything, the second finds nothing to do.
pub(super) async fn small(api: &Api, file: &Path, report: &mut Report) -> Result<()> {
    let first = import(api, file).await?;
    report.equal("first import: errors", 0, list(&first, "/errors")?.len());
    let (mut products, mut variants) = (0, 0);
    api.list("/v1/products", |product| {
        products += 1;
        variants += list(&product, "/variants")?.len();
        Ok(())
    })
    .await?;
    report.equal("first import: products listed", 20, products);
    report.equal("first import: variants listed", 21, variants);
    let second = import(api, file).await?;
    report.equal("second import: errors", 0, list(&second, "/errors")?.len());
    report.equal("second import: created", 0, number(&second, "/created")?);
    report.equal("second import: updated", 0, number(&second, "/updated")?);
    report.equal(
        "second import: unchanged as first created",
        number(&first, "/created")?,
        number(&second, "/unchanged")?,
    );
    Ok(())
}

pub(super) async fn large(api: &Api, shop: &Shop, report: &mut Report) -> Result<()> {
    let mut file = NamedTempFile::new().context("cannot create a file for the large catalogue")?;
    write(&mut file).context("cannot write the large catalogue")?;
    let size = file.as_file().metadata().context("cannot read the large catalogue")?.len();
    let before = shop.peak_memory()?;
    let started = Instant::now();
    let ended = import(api, file.path()).await?;
    let seconds = started.elapsed().as_secs_f64();
    let after = shop.peak_memory()?;
    println!(
        "large import: {ROWS} rows ({} MB) in {seconds:.1} s, {:.0} rows a second; peak memory {} MB before, {} MB after",
        size / 1_000_000,
        ROWS as f64 / seconds,
        before / 1000,
        after / 1000
    );
    report.equal("large import: rows", ROWS as i64, number(&ended, "/rows")?);
    report.equal("large import: errors", 0, list(&ended, "/errors")?.len());
    report.equal("large import: updated", 0, number(&ended, "/updated")?);
    report.at_most("large import: file in bytes", LARGEST, size);
    report.at_most("large import: growth of peak memory in kB", GROWTH_KB, after.saturating_sub(before));
    Ok(())
}

/// Sends the file and waits for its end.
async fn import(api: &Api, file: &Path) -> Result<Value> {
    let started = Instant::now();
    let query = [("format", "shopify"), ("currency", "EUR")];
    let mut import = api.upload("/v1/imports", &query, file).await?;
    let path = format!("/v1/imports/{}", text(&import, "/id")?);
    loop {
        match text(&import, "/status")? {
            "done" => return Ok(import),
            "failed" => return Err(format!("the import of {} failed: {import}", file.display()).into()),
            _ if started.elapsed() > PATIENCE => {
                return Err(format!("the import did not end within {} seconds: {import}", PATIENCE.as_secs()).into());
            }
            _ => sleep(Duration::from_millis(200)).await,
        }
        import = api.get(&path, &[]).await?;
    }
}

/// As that shop system writes it: only a product's first row says what the product is.
fn write(file: &mut impl Write) -> Result<(), csv::Error> {
    let mut csv = csv::Writer::from_writer(file);
    csv.write_record([
        "Handle",
        "Title",
        "Body (HTML)",
        "Vendor",
        "Type",
        "Tags",
        "Published",
        "Option1 Name",
        "Option1 Value",
        "Option2 Name",
        "Option2 Value",
        "Variant SKU",
        "Variant Inventory Tracker",
        "Variant Inventory Qty",
        "Variant Price",
        "Status",
    ])?;
    for product in 0..PRODUCTS {
        let handle = format!("acceptance-{product}");
        for (index, (color, size)) in COLORS.iter().flat_map(|c| SIZES.iter().map(move |s| (c, s))).enumerate() {
            let (title, body) = (format!("Shirt {product}"), format!("<p>A shirt, number <b>{product}</b>.</p>"));
            let first: [&str; 8] = match index {
                0 => [&title, &body, "Cleave", "Shirts", "shirts, acceptance", "true", "Color", "Size"],
                _ => [""; 8],
            };
            let [title, body, vendor, kind, tags, published, option1, option2] = first;
            let status = if index == 0 { "active" } else { "" };
            let (sku, price) =
                (format!("SHIRT-{product}-{index}"), format!("{}.{:02}", 5 + product % 95, product % 100));
            csv.write_record([
                &handle, title, body, vendor, kind, tags, published, option1, color, option2, size, &sku, "shopify",
                "10", &price, status,
            ])?;
        }
    }
    csv.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_large_catalogue_fits_and_is_whole() {
        let mut file = Vec::new();
        write(&mut file).unwrap();
        assert!((file.len() as u64) < LARGEST);
        let mut csv = csv::Reader::from_reader(file.as_slice());
        let rows: Vec<_> = csv.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), ROWS);
        assert_eq!(rows.iter().filter(|row| !row[1].is_empty()).count(), PRODUCTS);
        assert_eq!((&rows[3][0], &rows[3][8], &rows[3][10]), ("acceptance-0", "Blue", "Large"));
    }
}
