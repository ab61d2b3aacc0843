//! Categories: made and listed.
use super::{Error, Service, products::candidates};
use crate::{
    domain::{product::Category, text},
    store,
};
use database::{
    Conn,
    once::{Kept, Once},
};
use kernel::{Call, Id};
use products_api::{CategoryEvent, CategoryId};

#[derive(Clone, Debug)]
pub(crate) struct NewCategory {
    /// Made of the name when `None`.
    pub slug: Option<String>,
    pub name: String,
    /// A slug.
    pub parent: Option<String>,
}

impl Service {
    pub(crate) async fn categories(&self) -> Result<Vec<Category>, Error> {
        Ok(self.db.read(store::categories::all).await?)
    }

    pub(crate) async fn create_category(
        &self,
        call: &Call,
        new: NewCategory,
        once: Once<Category>,
    ) -> Result<Kept<Category>, Error> {
        let (id, now, trace): (CategoryId, _, _) = (Id::new(), self.now(), call.trace);
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                let NewCategory { slug, name, parent } = new.clone();
                let parent_id = parent_id(tx, parent.as_ref())?;
                let slugs: Vec<_> = match slug {
                    Some(slug) => vec![slug],
                    None => candidates(&text::slugified(&name)).collect(),
                };
                for slug in slugs {
                    if store::categories::insert(tx, id, &slug, &name, parent_id)? {
                        let event = CategoryEvent::Created { category_id: id, slug: slug.clone() };
                        database::outbox::publish(tx, &[event], now, trace)?;
                        return Ok(Category { id, slug, name, parent });
                    }
                }
                Err(Error::SlugTaken)
            })
        };
        self.db.write(unit).await
    }
}

fn parent_id(tx: &mut Conn, parent: Option<&String>) -> Result<Option<CategoryId>, Error> {
    let Some(slug) = parent else { return Ok(None) };
    let mut known = store::categories::by_slugs(tx, std::slice::from_ref(slug))?;
    known.remove(slug).map(|(id, _)| Some(id)).ok_or(Error::UnknownParent)
}
