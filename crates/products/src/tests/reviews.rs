//! Reviews and what products hears, on both databases.
use super::*;
use crate::{
    domain::{
        product::{Named, Product},
        review::{Mark, Opinion, Rating, Review, Rewrite, Standing},
    },
    service::{Asker, Verdict},
    store::reviews::{Filter as Which, Sort as By},
};
use database::Conn;
use kernel::{Currency, Money};
use orders_api::{OrderEvent, OrderId, OrderedLine};
use products_api::{ProductId, ReviewId};
use users_api::{UserEvent, UserId};

const STAFF: Asker = Asker { user: None, moderates: true, trace: Trace(1) };

fn asker(user: UserId) -> Asker {
    Asker { user: Some(user), moderates: false, trace: Trace(1) }
}

fn opinion(mark: i64) -> Opinion {
    Opinion {
        mark: Mark::try_from(mark).unwrap(),
        title: Some("Well".into()),
        text: Some("It glows.".into()),
        author: Some("Ada".into()),
    }
}

fn verdict(standing: Standing) -> Verdict {
    Verdict { standing, reason: (standing == Standing::Rejected).then(|| "rude".to_owned()) }
}

fn placed(order: OrderId, user: Option<UserId>, lines: &[(VariantId, i64)]) -> OrderEvent {
    let line = |&(variant_id, quantity): &_| OrderedLine { variant_id, quantity };
    let total = Money::new(Minor::ZERO, Currency::EUR);
    OrderEvent::Placed { order_id: order, number: 1, user_id: user, total, lines: lines.iter().map(line).collect() }
}

fn fresh<T>(kept: Kept<T>) -> T {
    match kept {
        Kept::Fresh(fresh) => fresh,
        Kept::Replayed(_) => unreachable!("it had no key"),
    }
}

impl Shop {
    async fn submit(&self, user: UserId, product: ProductId, mark: i64) -> Result<Review, Error> {
        let named = Named::Id(product);
        self.service().submit_review(asker(user), named, opinion(mark), Once::unkeyed()).await.map(fresh)
    }
    async fn moderate(&self, id: ReviewId, standing: Standing) -> Review {
        let said = self.service().moderate_review(STAFF, id, None, verdict(standing), Once::unkeyed()).await;
        fresh(said.unwrap())
    }
    async fn publish(&self, user: UserId, product: ProductId, mark: i64) -> Review {
        let review = self.submit(user, product, mark).await.unwrap();
        self.moderate(review.id, Standing::Published).await
    }
    async fn rated(&self, product: ProductId) -> (Rating, i64) {
        let found = self.service().product(Viewer::Staff, Named::Id(product)).await.unwrap();
        (found.rating, found.sold)
    }
    async fn hears_order(&self, event: OrderEvent) {
        let service = Arc::clone(&self.products.0);
        let unit = move |tx: &mut Conn| service.hear_order(tx, event.clone(), Trace(2));
        self.db.write(unit).await.unwrap();
    }
    async fn forgets(&self, user: UserId) {
        let service = Arc::clone(&self.products.0);
        let unit = move |tx: &mut Conn| service.hear_user(tx, UserEvent::Deleted { user_id: user }, Trace(2));
        self.db.write(unit).await.unwrap();
    }
    async fn told_of(&self, kind: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM outbox WHERE kind = '{kind}'")).await
    }
    async fn shown(&self, id: ReviewId) -> Review {
        self.service().review(STAFF, id).await.unwrap()
    }
    async fn lamp(&self, title: &str) -> Product {
        self.create(lamp(title, 2000, 20)).await
    }
    /// For the audit: reviews that are published and pending, of a buyer, of nobody who bought, and of somebody whose account is gone.
    pub(super) async fn reviewed(&self, variant: VariantId) {
        let product = self.service().following(None).await.unwrap();
        let product = product.iter().find(|product| product.variants[0].id == variant).unwrap().id;
        let [buyer, other, gone] = [0; 3].map(|_| Id::new());
        for user in [buyer, gone] {
            self.hears_order(placed(Id::new(), Some(user), &[(variant, 2)])).await;
        }
        self.publish(buyer, product, 4).await;
        self.submit(other, product, 5).await.unwrap();
        self.submit(gone, product, 1).await.unwrap();
        self.forgets(gone).await;
    }
}

#[tokio::test]
async fn only_what_is_published_counts_and_the_average_is_exact() {
    for shop in Shop::new().await {
        let product = shop.lamp("Lamp").await.id;
        let rated = async || shop.rated(product).await.0;
        assert_eq!(rated().await, Rating::NONE);
        let author = Id::new();
        let first = shop.submit(author, product, 4).await.unwrap();
        assert_eq!((first.standing, first.verified, first.version), (Standing::Pending, false, 1));
        assert!(matches!(shop.submit(author, product, 5).await, Err(Error::AlreadyReviewed)));
        assert_eq!(rated().await, Rating::NONE, "nobody has looked at it");
        let published = shop.moderate(first.id, Standing::Published).await;
        assert_eq!(shop.moderate(first.id, Standing::Published).await, published, "the same verdict again");
        for mark in [4, 5] {
            shop.publish(Id::new(), product, mark).await;
        }
        assert_eq!((rated().await.average().as_deref(), rated().await.count), (Some("4.33"), 3));

        let service = shop.service();
        let rewrite = Rewrite { mark: Some(Mark::try_from(1).unwrap()), ..Rewrite::default() };
        let stale = service.rewrite_review(asker(author), first.id, Some(1), rewrite.clone()).await;
        assert!(matches!(stale, Err(Error::Stale)));
        for stranger in [asker(Id::new()), STAFF] {
            let refused = service.rewrite_review(stranger, first.id, None, rewrite.clone()).await;
            assert!(matches!(refused, Err(Error::NotFound)), "only who wrote it may");
        }
        let rewritten = service.rewrite_review(asker(author), first.id, Some(2), rewrite.clone()).await.unwrap();
        assert_eq!((rewritten.standing, rewritten.version), (Standing::Pending, 3));
        let again = service.rewrite_review(asker(author), first.id, None, rewrite).await.unwrap();
        assert_eq!(again, rewritten, "nothing of it changed");
        assert_eq!(rated().await, Rating { count: 2, sum: 9 });
        assert!(service.review(asker(Id::new()), first.id).await.is_err(), "it is not shown");
        service.review(asker(author), first.id).await.unwrap();
        let looked_at_before = service
            .moderate_review(STAFF, first.id, Some(2), verdict(Standing::Published), Once::unkeyed())
            .await
            .map(|_| ());
        assert!(matches!(looked_at_before, Err(Error::Stale)));
        let rejected = shop.moderate(first.id, Standing::Rejected).await;
        assert_eq!((rejected.reason.as_deref(), rated().await.count), (Some("rude"), 2));
        shop.moderate(first.id, Standing::Published).await;
        assert_eq!(rated().await, Rating { count: 3, sum: 10 });
        assert!(service.delete_review(asker(Id::new()), first.id).await.is_err());
        service.delete_review(asker(author), first.id).await.unwrap();
        assert_eq!(rated().await, Rating { count: 2, sum: 9 });
        shop.submit(author, product, 2).await.unwrap();
        let told = ["submitted", "published", "rejected", "updated", "deleted"];
        let mut counts = Vec::new();
        for kind in told {
            counts.push(shop.told_of(&format!("review.{kind}")).await);
        }
        assert_eq!(counts, [4, 4, 1, 1, 1]);
        shop.sound().await;
    }
}

#[tokio::test]
async fn reviews_are_listed_in_the_order_asked_for() {
    for shop in Shop::new().await {
        let product = shop.lamp("Lamp").await;
        let other = shop.lamp("Other").await.id;
        let (variant, buyer) = (product.variants[0].id, Id::new());
        shop.hears_order(placed(Id::new(), Some(buyer), &[(variant, 1)])).await;
        let mut ids = Vec::new();
        for (user, mark) in [(Id::new(), 3), (buyer, 5), (Id::new(), 3), (Id::new(), 1)] {
            ids.push(shop.publish(user, product.id, mark).await.id);
        }
        shop.submit(Id::new(), product.id, 2).await.unwrap();
        shop.publish(Id::new(), other, 2).await;
        let which = |sort| Which { product: *product.id.uuid(), standing: Some("published"), verified: None, sort };
        let list = async |which: Which| {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = shop.service().reviews(which.clone(), after, 1, true).await.unwrap();
                let count = page.count;
                found.extend(page.items.iter().map(|review| review.id));
                let Some(next) = page.next else {
                    assert_eq!(count, Some(found.len() as u64));
                    return found;
                };
                assert!(
                    Which { verified: Some(true), sort: By::Newest, ..which.clone() }.after(next.as_str()).is_err()
                );
                after = Some(which.after(next.as_str()).unwrap());
            }
        };
        let at = |places: &[usize]| places.iter().map(|n| ids[*n]).collect::<Vec<_>>();
        assert_eq!(list(which(By::Newest)).await, at(&[3, 2, 1, 0]));
        assert_eq!(list(which(By::Mark)).await, at(&[3, 0, 2, 1]));
        assert_eq!(list(which(By::MarkDown)).await, at(&[1, 2, 0, 3]));
        assert_eq!(list(Which { verified: Some(true), ..which(By::Newest) }).await, at(&[1]));
        assert_eq!(list(Which { verified: Some(false), ..which(By::Mark) }).await, at(&[3, 0, 2]));
        assert_eq!(list(Which { standing: None, ..which(By::Newest) }).await.len(), 5);
        assert_eq!(list(Which { standing: Some("pending"), ..which(By::Newest) }).await.len(), 1);
    }
}

#[tokio::test]
async fn an_order_verifies_and_counts_once_and_a_cancelled_one_not() {
    for shop in Shop::new().await {
        let lamp = shop.lamp("Lamp").await;
        let (red, blue, product) = (lamp.variants[0].id, lamp.variants[1].id, lamp.id);
        let (early, late) = (Id::new(), Id::new());
        let first = shop.publish(early, product, 4).await;
        assert!(!first.verified);
        let order = Id::new();
        for _ in 0..2 {
            shop.hears_order(placed(order, Some(early), &[(red, 2), (blue, 1), (Id::new(), 9)])).await;
            assert_eq!(shop.rated(product).await, (Rating { count: 1, sum: 4 }, 3));
            assert_eq!((shop.shown(first.id).await.verified, shop.shown(first.id).await.version), (true, 3));
        }
        let again = Id::new();
        shop.hears_order(placed(again, Some(early), &[(red, 1)])).await;
        shop.hears_order(placed(Id::new(), None, &[(red, 1)])).await;
        shop.hears_order(placed(Id::new(), Some(late), &[(blue, 1)])).await;
        assert!(shop.submit(late, product, 5).await.unwrap().verified, "it was bought before it was reviewed");
        assert_eq!(shop.rated(product).await.1, 6);
        shop.sound().await;

        for _ in 0..2 {
            shop.hears_order(OrderEvent::Cancelled { order_id: order }).await;
            assert_eq!(shop.rated(product).await.1, 3);
            assert!(shop.shown(first.id).await.verified, "another order of theirs stands");
        }
        shop.hears_order(OrderEvent::Cancelled { order_id: again }).await;
        assert!(!shop.shown(first.id).await.verified);
        shop.hears_order(placed(order, Some(early), &[(red, 2)])).await;
        let unseen = Id::new();
        shop.hears_order(OrderEvent::Cancelled { order_id: unseen }).await;
        shop.hears_order(placed(unseen, Some(early), &[(red, 5)])).await;
        assert_eq!(
            shop.rated(product).await.1,
            2,
            "what was cancelled counts for nothing, however late it is heard of"
        );
        assert_eq!(shop.told_of("review.updated").await, 2);
        shop.sound().await;
    }
}

#[tokio::test]
async fn best_sellers_come_first() {
    for shop in Shop::new().await {
        let mut lamps = Vec::new();
        for title in ["A", "B", "C", "D"] {
            lamps.push(shop.lamp(title).await);
        }
        for (n, quantity) in [(1, 5), (3, 2), (2, 2), (1, 1)] {
            let red: VariantId = lamps[n as usize].variants[0].id;
            shop.hears_order(placed(Id::new(), None, &[(red, quantity)])).await;
        }
        let filter = Filter { sort: Sort::BestSelling, ..all() };
        assert_eq!(shop.titles(filter, 1).await, ["B", "D", "C", "A"]);
    }
}

#[tokio::test]
async fn whose_account_is_gone_is_forgotten_and_the_books_stay() {
    for shop in Shop::new().await {
        let lamp = shop.lamp("Lamp").await;
        let (red, user, other) = (lamp.variants[0].id, Id::new(), Id::new());
        let order = Id::new();
        shop.hears_order(placed(order, Some(user), &[(red, 2)])).await;
        let review = shop.publish(user, lamp.id, 4).await;
        let others = shop.publish(other, lamp.id, 5).await;
        let before = shop.rated(lamp.id).await;
        for _ in 0..2 {
            shop.forgets(user).await;
            let left = shop.shown(review.id).await;
            let expected = Opinion { author: None, ..review.opinion.clone() };
            assert_eq!((left.user, left.opinion, left.verified), (None, expected, true));
            assert_eq!((left.standing, left.version), (Standing::Published, review.version + 1));
            assert_eq!(shop.rated(lamp.id).await, before);
            assert_eq!(shop.told_of("review.anonymised").await, 1);
        }
        assert_eq!(shop.shown(others.id).await, others);
        let hidden = shop.service().rewrite_review(asker(user), review.id, None, Rewrite::default()).await;
        assert!(matches!(hidden, Err(Error::NotFound)), "it is nobody's now");
        let refused = shop.submit(user, lamp.id, 1).await;
        assert!(matches!(refused, Err(Error::AccountGone)), "a token outlives its account");
        // Heard after the account was: it counts, and is nobody's.
        shop.hears_order(placed(Id::new(), Some(user), &[(red, 3)])).await;
        assert_eq!(shop.rated(lamp.id).await.1, 5);
        assert_eq!(shop.number("SELECT COUNT(*) FROM purchases WHERE user_id IS NOT NULL").await, 0);
        shop.hears_order(OrderEvent::Cancelled { order_id: order }).await;
        assert_eq!((shop.rated(lamp.id).await.1, shop.shown(review.id).await.verified), (3, true));
        shop.sound().await;
    }
}

#[tokio::test]
async fn an_open_shop_publishes_at_once() {
    for shop in Shop::new().await {
        let settings = Settings { reviews: crate::Reviews::Open, ..Settings::default() };
        let db = Database::open(&shop.location, "products", database::Settings::default()).unwrap();
        let open = Products::look(db, shop.clock.clone(), settings, shop.folder.path().join("open"));
        let (lamp, author) = (shop.lamp("Lamp").await.id, Id::new());
        let named = Named::Id(lamp);
        let review = fresh(open.0.submit_review(asker(author), named, opinion(3), Once::unkeyed()).await.unwrap());
        assert_eq!((review.standing, shop.rated(lamp).await.0), (Standing::Published, Rating { count: 1, sum: 3 }));
        let rewrite = Rewrite { title: Some(String::new()), mark: Mark::try_from(5).ok(), ..Rewrite::default() };
        let review = open.0.rewrite_review(asker(author), review.id, None, rewrite.clone()).await.unwrap();
        assert_eq!((review.standing, review.opinion.title), (Standing::Published, None));
        assert_eq!(shop.rated(lamp).await.0, Rating { count: 1, sum: 5 });
        shop.moderate(review.id, Standing::Rejected).await;
        let rewrite = Rewrite { text: Some("Kinder.".into()), ..rewrite };
        let review = open.0.rewrite_review(asker(author), review.id, None, rewrite).await.unwrap();
        assert_eq!((review.standing, review.reason), (Standing::Pending, None), "staff had its doubts");
        shop.sound().await;
    }
}

/// On PostgreSQL these meet in the database itself.
#[tokio::test(flavor = "multi_thread")]
async fn reviews_written_together_leave_one_and_an_exact_rating() {
    for shop in Shop::new().await {
        let (lamp, author) = (shop.lamp("Lamp").await.id, Id::new());
        let tries = futures_util::future::join_all((0..8).map(|_| shop.submit(author, lamp, 3))).await;
        assert_eq!(tries.iter().filter(|tried| tried.is_ok()).count(), 1);
        let users: Vec<UserId> = (0..8).map(|_| Id::new()).collect();
        futures_util::future::join_all(users.iter().map(|user| shop.publish(*user, lamp, 5))).await;
        assert_eq!(shop.rated(lamp).await.0, Rating { count: 8, sum: 40 });
        // A review, a purchase and the end of an account, in whatever order.
        for _ in 0..8 {
            let lamp = shop.lamp("Lamp").await;
            let (red, user) = (lamp.variants[0].id, Id::new());
            let _ = tokio::join!(
                shop.submit(user, lamp.id, 2),
                shop.hears_order(placed(Id::new(), Some(user), &[(red, 1)])),
                shop.forgets(user),
            );
        }
        shop.sound().await;
    }
}
