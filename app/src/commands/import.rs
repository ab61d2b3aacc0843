//! Data from files.
use super::Failed;
use crate::settings::Settings;
use std::path::Path;

#[cfg(feature = "products")]
pub(crate) async fn products(
    settings: &Settings,
    file: &Path,
    format: &str,
    currency: &str,
    dry_run: bool,
) -> Result<(), Failed> {
    use crate::shop::alone;
    use indicatif::{ProgressBar, ProgressStyle};
    let currency = currency.parse().map_err(|error| format!("--currency: {error}"))?;
    let size = std::fs::metadata(file).map_err(|error| format!("{}: {error}", file.display()))?.len();
    let products = alone::products(settings).await?;
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {msg} {elapsed}")
        .map_err(|error| error.to_string())?;
    let bar = ProgressBar::new(size).with_style(style);
    let shown = bar.clone();
    let progress = move |rows: u64, bytes: u64| {
        shown.set_position(bytes);
        shown.set_message(format!("{rows} rows"));
    };
    let report = products.import_file(file, format.parse()?, currency, dry_run, progress).await?;
    bar.finish();
    println!(
        "{} rows: {} products created, {} updated, {} unchanged",
        report.rows, report.created, report.updated, report.unchanged
    );
    for error in &report.errors {
        println!("line {}: {}: {}", error.line, error.code, error.detail);
    }
    if report.error_count > report.errors.len() as u64 {
        println!(".. and {} more", report.error_count - report.errors.len() as u64);
    }
    if report.error_count == 0 {
        Ok(())
    } else {
        Err(format!("{} rows were not imported; the others were", report.error_count).into())
    }
}

#[cfg(not(feature = "products"))]
pub(crate) async fn products(_: &Settings, _: &Path, _: &str, _: &str, _: bool) -> Result<(), Failed> {
    Err("this build has no products".into())
}
