//! Reviews: written, shown, listed, rewritten, moderated, deleted. A product's rating changes with its reviews, in the same
//! transaction.
use super::{Error, Reviews, Service, Viewer};
use crate::{
    domain::{
        product::Named,
        review::{Opinion, Rating, Review, Rewrite, Standing},
    },
    store::{
        self,
        reviews::{After, Filter},
    },
};
use database::{
    Conn,
    once::{Kept, Once},
};
use kernel::{Call, Id, Page, Principal, Time, Trace};
use products_api::{ProductId, ReviewEvent, ReviewId};
use users_api::UserId;

/// The right to decide what others see of reviews.
pub(crate) const MODERATE: &str = "reviews:moderate";

/// Who asks for something of reviews, and in the course of what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub user: Option<UserId>,
    /// Staff: sees all, and decides what others see.
    pub moderates: bool,
    pub trace: Trace,
}

impl Asker {
    fn wrote(&self, review: &Review) -> bool {
        review.user.is_some() && review.user == self.user
    }
}

/// What staff says of a review.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub standing: Standing,
    /// Why it is rejected.
    pub reason: Option<String>,
}

impl Service {
    pub(crate) fn asker(&self, call: &Call) -> Asker {
        let moderates = matches!(&call.principal, Principal::User(user) if user.may(MODERATE, self.now()));
        Asker { user: call.principal.user(), moderates, trace: call.trace }
    }

    /// One a user and product.
    pub(crate) async fn submit_review(
        &self,
        asker: Asker,
        product: Named,
        opinion: Opinion,
        once: Once<Review>,
    ) -> Result<Kept<Review>, Error> {
        let author = asker.user.ok_or(Error::NotFound)?;
        let (now, trace, id, standing) = (self.now(), asker.trace, Id::new(), self.at_first());
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                let product = store::products::seen(tx, &product, false)?.ok_or(Error::NotFound)?;
                if !store::customers::stands(tx, author)? {
                    return Err(Error::AccountGone);
                }
                let review = Review {
                    id,
                    product,
                    user: Some(author),
                    opinion: opinion.clone(),
                    standing,
                    reason: None,
                    verified: store::purchases::bought(tx, author, product)?,
                    version: 1,
                    created_at: now,
                    updated_at: now,
                };
                store::reviews::insert(tx, &review, Error::AlreadyReviewed)?;
                store::reviews::rate(tx, product, review.counted())?;
                let mark = review.opinion.mark.get();
                let mut events = vec![ReviewEvent::Submitted { review_id: id, product_id: product, mark }];
                events.extend(told(&review).filter(|_| standing == Standing::Published));
                database::outbox::publish(tx, &events, now, trace)?;
                Ok(review)
            })
        };
        self.db.write(unit).await
    }

    /// What is not published is its author's and staff's; to others it is not found.
    pub(crate) async fn review(&self, asker: Asker, id: ReviewId) -> Result<Review, Error> {
        let found = self.db.read(move |conn| store::reviews::one(conn, id)).await?;
        let shown = |review: &Review| asker.moderates || review.standing == Standing::Published || asker.wrote(review);
        found.filter(shown).ok_or(Error::NotFound)
    }

    /// The product that a list of reviews is of.
    pub(crate) async fn reviewed(&self, viewer: Viewer, named: Named) -> Result<ProductId, Error> {
        let found = self.db.read(move |conn| store::products::seen(conn, &named, viewer == Viewer::Staff)).await?;
        found.ok_or(Error::NotFound)
    }

    pub(crate) async fn reviews(
        &self,
        filter: Filter,
        after: Option<After>,
        limit: usize,
        count: bool,
    ) -> Result<Page<Review>, Error> {
        Ok(self.db.read(move |conn| store::reviews::page(conn, &filter, after, limit, count)).await?)
    }

    /// By its author. What is written anew is looked at anew.
    pub(crate) async fn rewrite_review(
        &self,
        asker: Asker,
        id: ReviewId,
        expected: Option<i64>,
        rewrite: Rewrite,
    ) -> Result<Review, Error> {
        let (now, trace, at_first) = (self.now(), asker.trace, self.at_first());
        let unit = move |tx: &mut Conn| {
            let known = store::reviews::locked(tx, id)?.filter(|review| asker.wrote(review));
            let known = in_version(known, expected)?;
            let opinion = known.opinion.rewritten(rewrite.clone());
            if opinion == known.opinion {
                return Ok(known);
            }
            let standing = if known.standing == at_first { at_first } else { Standing::Pending };
            let review = Review { opinion, standing, reason: None, ..known.clone() };
            let review = next_version(tx, &known, review, now)?;
            let event = ReviewEvent::Updated { review_id: id, product_id: review.product, version: review.version };
            database::outbox::publish(tx, &[event], now, trace)?;
            Ok(review)
        };
        self.db.write(unit).await
    }

    /// By staff. The same verdict again changes nothing.
    pub(crate) async fn moderate_review(
        &self,
        asker: Asker,
        id: ReviewId,
        expected: Option<i64>,
        verdict: Verdict,
        once: Once<Review>,
    ) -> Result<Kept<Review>, Error> {
        let (now, trace) = (self.now(), asker.trace);
        let unit = move |tx: &mut Conn| {
            once.run(tx, |tx| {
                let known = in_version(store::reviews::locked(tx, id)?, expected)?;
                let Verdict { standing, reason } = verdict.clone();
                let review = Review { standing, reason, ..known.clone() };
                if review == known {
                    return Ok(known);
                }
                let review = next_version(tx, &known, review, now)?;
                let events: Vec<_> = told(&review).collect();
                database::outbox::publish(tx, &events, now, trace)?;
                Ok(review)
            })
        };
        self.db.write(unit).await
    }

    /// By its author or by staff.
    pub(crate) async fn delete_review(&self, asker: Asker, id: ReviewId) -> Result<(), Error> {
        let (now, trace) = (self.now(), asker.trace);
        let unit = move |tx: &mut Conn| {
            let known = store::reviews::locked(tx, id)?.filter(|review| asker.moderates || asker.wrote(review));
            let known = known.ok_or(Error::NotFound)?;
            store::reviews::delete(tx, id)?;
            store::reviews::rate(tx, known.product, Rating::NONE.since(known.counted()))?;
            let event = ReviewEvent::Deleted { review_id: id, product_id: known.product };
            Ok(database::outbox::publish(tx, &[event], now, trace)?)
        };
        self.db.write(unit).await
    }

    /// Where a new review stands.
    fn at_first(&self) -> Standing {
        match self.settings.reviews {
            Reviews::Moderated => Standing::Pending,
            Reviews::Open => Standing::Published,
        }
    }
}

fn in_version(review: Option<Review>, expected: Option<i64>) -> Result<Review, Error> {
    let review = review.ok_or(Error::NotFound)?;
    match expected {
        Some(version) if version != review.version => Err(Error::Stale),
        _ => Ok(review),
    }
}

/// Writes the review, which stood as `known`, and what it makes of its product's rating.
fn next_version(tx: &mut Conn, known: &Review, review: Review, now: Time) -> Result<Review, Error> {
    let review = Review { version: known.version + 1, updated_at: now, ..review };
    store::reviews::update(tx, &review)?;
    store::reviews::rate(tx, review.product, review.counted().since(known.counted()))?;
    Ok(review)
}

/// What is told of where a review stands now.
fn told(review: &Review) -> impl Iterator<Item = ReviewEvent> + use<> {
    let (review_id, product_id, mark) = (review.id, review.product, review.opinion.mark.get());
    let event = match review.standing {
        Standing::Published => Some(ReviewEvent::Published { review_id, product_id, mark }),
        Standing::Rejected => Some(ReviewEvent::Rejected { review_id, product_id }),
        Standing::Pending => None,
    };
    event.into_iter()
}
