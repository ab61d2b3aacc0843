//! The traits of products over gRPC. The contract is `proto/`; here stands only which type is written as which message.
use kernel::Money;
use products_api::{
    ConfirmError, Holding, HoldingState, Holdings, HoldingsError, PageImage, PageOption, PageRating, PageVariant,
    PriceNow, ProductPage, Quote, QuoteError, ReleaseError, ReservationId, Reserve, ReserveError, ReserveLine,
    ShipError, Short, StockLine, VariantId,
};

wire::include_proto!("cleave.products.v1");

wire::wire! {
    value Vec<VariantId> = QuoteRequest { variants }
    value Vec<Quote> = QuoteList { items }
    struct Quote = Quote { variant, product, title, sku, prices, sold }
    struct Money = Money { amount, currency }
    oneof QuoteError = QuoteError in quote_error { TooMany {} }

    value String = PageRequest { slug }
    value Option<ProductPage> = PageResponse { page }
    struct ProductPage = ProductPage { id, slug, title, description, options, categories, tags, images, variants, rating }
    struct PageRating = PageRating { count, average }
    struct PageOption = PageOption { name, values }
    struct PageImage = PageImage { src, alt }
    struct PageVariant = PageVariant { id, sku, values, prices, available }

    struct Reserve = ReserveRequest { reservation, currency, lines, hold_for }
    struct ReserveLine = ReserveLine { variant, quantity, unit_price }
    value () = Reserved {}
    oneof ReserveError = ReserveError in reserve_error {
        OutOfStock { short },
        Changed { prices },
        Over {},
        Invalid {},
    }
    struct Short = Short { variant, available }
    struct PriceNow = PriceNow { variant, price }

    value ReservationId = ConfirmRequest { reservation }
    value () = Confirmed {}
    oneof ConfirmError = ConfirmError in confirm_error { Over {} }

    value ReservationId = ReleaseRequest { reservation }
    value () = Released {}
    oneof ReleaseError = ReleaseError in release_error { Shipped {} }

    value ReservationId = ShipRequest { reservation }
    value () = Shipped {}
    oneof ShipError = ShipError in ship_error { NotConfirmed {} }

    struct Holdings = HoldingsRequest { after, limit }
    value Vec<Holding> = HoldingList { items }
    struct Holding = Holding { reservation, state, lines }
    enum HoldingState = HoldingState { Held, Confirmed, Shipped, Released, Expired }
    struct StockLine = StockLine { variant_id, quantity }
    oneof HoldingsError = HoldingsError in holdings_error { OutOfRange {} }
}
