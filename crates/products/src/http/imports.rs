use super::bodies::bad_query;
use crate::{
    domain::{
        import::{File, Format, Import, ImportId},
        shopify::{HEADER, RowError, rows},
    },
    service::Service,
};
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    web::{Bytes, Data, Payload},
};
use futures_util::{StreamExt, stream};
use kernel::{Code, Currency, Time};
use products_api::ProductId;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use tokio::io::AsyncWriteExt;
use web::{Caller, Keyed, PathId, Problem, Query, Reply};

/// The largest file, in bytes.
const LIMIT: u64 = 64 << 20;

/// What came of a file so far.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Import)]
pub(crate) struct ImportBody {
    #[schema(value_type = String)]
    id: ImportId,
    /// `pending`, `running`, `done` or `failed`.
    status: &'static str,
    format: String,
    currency: Currency,
    /// Nothing is written; the counts say what would be.
    dry_run: bool,
    /// Rows that were read.
    rows: u64,
    /// Products.
    created: u64,
    updated: u64,
    unchanged: u64,
    /// The first thousand.
    errors: Vec<RowErrorBody>,
    error_count: u64,
    created_at: Time,
    updated_at: Time,
}

/// What is wrong with a line of the file.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RowError)]
pub(crate) struct RowErrorBody {
    line: u64,
    code: String,
    detail: String,
}

impl From<&Import> for ImportBody {
    fn from(import: &Import) -> Self {
        let Import { id, status, format, currency, dry_run, progress, created_at, updated_at } = import.clone();
        let error = |RowError { line, code, detail }| RowErrorBody { line, code: code.into_owned(), detail };
        Self {
            id,
            status: status.as_str(),
            format,
            currency,
            dry_run,
            rows: progress.rows,
            created: progress.created,
            updated: progress.updated,
            unchanged: progress.unchanged,
            errors: progress.errors.into_iter().map(error).collect(),
            error_count: progress.error_count,
            created_at,
            updated_at,
        }
    }
}

pub(crate) async fn create(
    service: Data<Service>,
    caller: Caller,
    request: HttpRequest,
    keyed: Keyed,
    mut query: Query,
    body: Payload,
) -> Result<HttpResponse, Problem> {
    let format = query.parse("format")?.unwrap_or(Format::Shopify);
    let currency = query.parse("currency")?.unwrap_or(service.settings.currency);
    let dry_run = query.flag("dry_run")?;
    query.end()?;
    if request.content_type() != "text/csv" {
        return Err(Problem::new(Code::UnsupportedMediaType, "Send the file as text/csv."));
    }
    let announced =
        request.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > LIMIT) {
        return Err(too_large());
    }
    let (id, path) = service.upload();
    let mut upload = Upload { path, taken: false };
    let mut digest = spool(&upload.path, body).await?;
    // Another currency is another request, with the same file.
    digest.extend(request.query_string().bytes());
    let kept = keyed.once(&digest, |import: &Import| {
        Reply::json(202, &ImportBody::from(import)).location(format!("/v1/imports/{}", import.id))
    });
    upload.taken = true;
    let terms = (format, currency, dry_run);
    Ok(kept.answer(service.into_inner().begin_import(&caller.call, id, terms, kept.handle()).await?))
}

/// A file that goes again unless an import takes it: a client may hang up at any moment.
struct Upload {
    path: PathBuf,
    taken: bool,
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.taken {
            let _ = std::fs::remove_file(&self.path); // may not be there yet
        }
    }
}

fn too_large() -> Problem {
    Problem::new(Code::BodyTooLarge, "A file may have 64 MiB at most.")
}

/// The body into a file, a piece at a time.
/// The SHA-256 of what was written.
async fn spool(path: &Path, mut body: Payload) -> Result<Vec<u8>, Problem> {
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await.map_err(Problem::internal)?;
    }
    let mut file = tokio::fs::File::create(path).await.map_err(Problem::internal)?;
    let (mut length, mut digest) = (0, Sha256::new());
    while let Some(part) = body.next().await {
        let part = part.map_err(|_| Problem::new(Code::MalformedRequest, "The body broke off."))?;
        length += part.len() as u64;
        if length > LIMIT {
            return Err(too_large());
        }
        digest.update(&part);
        file.write_all(&part).await.map_err(Problem::internal)?;
    }
    file.flush().await.map_err(Problem::internal)?;
    Ok(digest.finalize().to_vec())
}

pub(crate) async fn show(service: Data<Service>, id: PathId<File>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(ImportBody::from(&service.import(id.0).await?)))
}

/// All products as a file that can be imported again; streamed, so that its length does not matter.
pub(crate) async fn export(service: Data<Service>, mut query: Query) -> Result<HttpResponse, Problem> {
    if query.parse::<Format>("format")?.is_some_and(|format| format != Format::Shopify) {
        return Err(bad_query("format", "shopify"));
    }
    let currency = query.parse("currency")?.unwrap_or(service.settings.currency);
    query.end()?;
    let header = csv([HEADER.map(str::to_owned)])?;
    let pages = stream::try_unfold(Some(None), move |after: Option<Option<ProductId>>| {
        let service = service.clone();
        async move { page(&service, after, currency).await }
    });
    let body = stream::once(async { Ok(header) }).chain(pages);
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header(("content-disposition", "attachment; filename=\"products.csv\""))
        // an answer that has begun can only break off
        .streaming(body.map(|part| part.map_err(|problem: Problem| std::io::Error::other(problem.to_string())))))
}

type Page = Option<(Bytes, Option<Option<ProductId>>)>;

async fn page(service: &Service, after: Option<Option<ProductId>>, currency: Currency) -> Result<Page, Problem> {
    let Some(after) = after else { return Ok(None) };
    let products = service.following(after).await?;
    let Some(last) = products.last().map(|product| product.id) else { return Ok(None) };
    Ok(Some((csv(products.iter().flat_map(|product| rows(product, currency)))?, Some(Some(last)))))
}

fn csv(rows: impl IntoIterator<Item = [String; 18]>) -> Result<Bytes, Problem> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(&row).map_err(Problem::internal)?;
    }
    writer.into_inner().map(Bytes::from).map_err(Problem::internal)
}
