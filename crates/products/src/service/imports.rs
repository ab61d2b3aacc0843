//! Files of products: read on a thread of their own, taken a batch at a time.
//!
//! Identity is in the file, so a file that was interrupted is sent again and only what is missing is done.
use super::{
    Error, Products, Service,
    apply::{Terms, apply},
};
use crate::{
    domain::{
        import::{Format, Import, ImportId, ImportStatus, Progress},
        shopify::{BadFile, Batch, Batches, RowError},
    },
    store,
};
use database::{
    Conn, Error as DatabaseError,
    once::{Kept, Once},
};
use kernel::{Call, Currency, Id, Trace};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::mpsc;

/// Batches that wait while one is taken.
const AHEAD: usize = 2;
/// Products of a file that change how the database should plan.
const MANY: u64 = 500;
/// Tries of a batch while the database is busy or others make the same products.
const TRIES: u32 = 10;

/// Why a file came to nothing, or not to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    File(#[from] BadFile),
    #[error("the file cannot be opened: {0}")]
    Open(#[from] std::io::Error),
    #[error("the shop could not take it: {0}")]
    Shop(#[from] Error),
    /// Somebody took it for dead.
    #[error("the import was given up; send the file again, what is done stays as it is")]
    GivenUp,
}

impl Broken {
    const fn code(&self) -> &'static str {
        match self {
            Self::File(bad) => bad.code(),
            Self::Open(_) => "unreadable",
            Self::Shop(_) => "unavailable",
            Self::GivenUp => "interrupted",
        }
    }
}

impl Products {
    /// For the command line: takes a file, and tells `progress` of rows and bytes after every batch.
    ///
    /// # Errors
    /// In words, when the file cannot be read or the shop cannot take it; bad rows are in the report instead.
    pub async fn import_file(
        &self,
        path: &Path,
        format: Format,
        currency: Currency,
        dry_run: bool,
        progress: impl Fn(u64, u64) + Send + Sync,
    ) -> Result<Progress, String> {
        let Format::Shopify = format;
        let mut total = Progress::default();
        let each = |so_far: &Progress, bytes| {
            progress(so_far.rows, bytes);
            std::future::ready(Ok(()))
        };
        let ran = self.0.take_file(path.to_owned(), (currency, dry_run, Trace(0)), &mut total, each).await;
        ran.map(|()| total).map_err(|broken| broken.to_string())
    }
}

impl Service {
    /// A new place for an upload, and the id of its import.
    pub(crate) fn upload(&self) -> (ImportId, PathBuf) {
        let id = Id::new();
        (id, self.upload_of(id))
    }
    fn upload_of(&self, id: ImportId) -> PathBuf {
        self.spool.join(format!("{id}.csv"))
    }

    pub(crate) async fn import(&self, id: ImportId) -> Result<Import, Error> {
        self.db.read(move |conn| store::imports::one(conn, id)).await?.ok_or(Error::NotFound)
    }

    /// Begins to take an uploaded file, in a task of its own.
    pub(crate) async fn begin_import(
        self: &Arc<Self>,
        call: &Call,
        id: ImportId,
        (format, currency, dry_run): (Format, Currency, bool),
        once: Once<Import>,
    ) -> Result<Kept<Import>, Error> {
        let now = self.now();
        let import = Import {
            id,
            status: ImportStatus::Pending,
            format: format.as_str().to_owned(),
            currency,
            dry_run,
            progress: Progress::default(),
            created_at: now,
            updated_at: now,
        };
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                store::imports::insert(tx, &import)?;
                Ok::<_, Error>(import.clone())
            })
        };
        let begun = self.db.write(unit).await?;
        if let Kept::Fresh(_) = begun {
            let (service, terms) = (Arc::clone(self), (currency, dry_run, call.trace));
            let tasks = self.tasks.clone();
            tasks.spawn(async move { service.run_import(id, terms).await });
        }
        Ok(begun)
    }

    async fn run_import(&self, id: ImportId, terms: (Currency, bool, Trace)) {
        let mut progress = Progress::default();
        let each = |so_far: &Progress, _| self.saved(id, ImportStatus::Running, so_far.clone());
        let ran = self.take_file(self.upload_of(id), terms, &mut progress, each).await;
        let status = match ran {
            Ok(()) => ImportStatus::Done,
            Err(broken) => {
                tracing::warn!(import = %id, error = %broken, "an import failed");
                // the one thing that went wrong stands before what was wrong with rows
                progress.errors.insert(0, RowError::new(1, broken.code(), broken.to_string()));
                progress.error_count += 1;
                ImportStatus::Failed
            }
        };
        if let Err(error) = self.saved(id, status, progress).await {
            tracing::warn!(import = %id, %error, "the end of an import is not written down");
        }
        self.forget(id).await;
    }

    async fn saved(&self, id: ImportId, status: ImportStatus, progress: Progress) -> Result<(), Broken> {
        let now = self.now();
        let unit = move |tx: &mut Conn| store::imports::save(tx, id, status.as_str(), &progress, now);
        if self.db.write(unit).await.map_err(Error::from)? { Ok(()) } else { Err(Broken::GivenUp) }
    }

    async fn forget(&self, id: ImportId) {
        let file = self.upload_of(id);
        if let Err(error) = tokio::fs::remove_file(&file).await {
            tracing::debug!(%error, file = %file.display(), "an upload is not there any more");
        }
    }

    /// Currency, whether only to compare, and the trace.
    async fn take_file<F: Future<Output = Result<(), Broken>>>(
        &self,
        path: PathBuf,
        (currency, dry_run, trace): (Currency, bool, Trace),
        total: &mut Progress,
        each: impl Fn(&Progress, u64) -> F,
    ) -> Result<(), Broken> {
        let (batches, mut coming) = mpsc::channel(AHEAD);
        let reader = tokio::task::spawn_blocking(move || read(&path, currency, &batches));
        while let Some(batch) = coming.recv().await {
            let (end, batch) = (batch.bytes, Arc::new(batch));
            let terms = Terms { currency, dry_run, at: self.now(), trace };
            let done = self.take(batch, terms).await?;
            total.rows += done.rows;
            total.created += done.created;
            total.updated += done.updated;
            total.unchanged += done.unchanged;
            total.error_count += done.error_count - done.errors.len() as u64;
            total.complain(done.errors);
            each(total, end).await?;
        }
        if !dry_run && total.created + total.updated >= MANY {
            self.db.write(store::imports::analyse).await.map_err(Error::from)?;
        }
        match reader.await {
            Ok(read) => read,
            Err(_) => Err(Broken::Open(std::io::Error::other("the reader ended before the file"))),
        }
    }

    async fn take(&self, batch: Arc<Batch>, terms: Terms) -> Result<Progress, Error> {
        for attempt in 1.. {
            let batch = Arc::clone(&batch);
            let taken = if terms.dry_run {
                self.db.read(move |conn: &mut Conn| apply(conn, &batch, terms)).await
            } else {
                self.db.write(move |tx: &mut Conn| apply(tx, &batch, terms)).await
            };
            match taken {
                // somebody made one of these products just now: it is there, so the next try changes it
                Err(Error::SlugTaken | Error::OptionsTaken) | Err(Error::Database(DatabaseError::Busy))
                    if attempt < TRIES =>
                {
                    tokio::time::sleep(Duration::from_millis(20 << attempt.min(6))).await;
                }
                taken => return taken,
            }
        }
        unreachable!("the last try returns")
    }

    /// Ends imports whose process has died.
    pub(super) async fn give_up_imports(&self) -> Result<(), DatabaseError> {
        let now = self.now();
        let unit = move |tx: &mut Conn| {
            let abandoned = store::imports::abandoned(tx)?;
            for import in &abandoned {
                let mut progress = import.progress.clone();
                let said = "the import was interrupted; send the file again, it is idempotent";
                progress.errors.insert(0, RowError::new(1, "interrupted", said));
                progress.error_count += 1;
                store::imports::save(tx, import.id, ImportStatus::Failed.as_str(), &progress, now)?;
            }
            Ok::<_, DatabaseError>(abandoned.into_iter().map(|import| import.id).collect::<Vec<_>>())
        };
        for id in self.db.write(unit).await? {
            self.forget(id).await;
        }
        Ok(())
    }

    /// The products after `after`, for the export.
    pub(crate) async fn following(
        &self,
        after: Option<products_api::ProductId>,
    ) -> Result<Vec<crate::domain::product::Product>, Error> {
        Ok(self.db.read(move |conn| store::list::following(conn, after, 100)).await?)
    }
}

/// The whole file, a batch at a time; ends early when nobody takes them any more.
fn read(path: &Path, currency: Currency, batches: &mpsc::Sender<Batch>) -> Result<(), Broken> {
    let mut file = Batches::new(std::io::BufReader::with_capacity(1 << 16, std::fs::File::open(path)?), currency)?;
    while let Some(batch) = file.next()? {
        if batches.blocking_send(batch).is_err() {
            return Ok(());
        }
    }
    Ok(())
}
