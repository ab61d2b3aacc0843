//! The error codes: one table of what can go wrong, for API clients and for the documentation.

macro_rules! codes {
    ($($name:ident $status:literal $code:literal $title:literal;)*) => {
        /// Why a request failed. Clients rely on [`as_str`](Self::as_str); the rest may be reworded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $title] $name,)* }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
            /// The HTTP status it is answered with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

codes! {
    MalformedJson          400 "malformed_json"           "The body is not JSON.";
    MalformedRequest       400 "malformed_request"        "The request cannot be read.";
    InvalidQuery           400 "invalid_query"            "A query parameter is unknown or has no such value.";
    InvalidCursor          400 "invalid_cursor"           "The cursor does not belong to this list, sort and filters.";
    InvalidEvent           400 "invalid_event"            "The payment event is not signed by its provider, too old, or cannot be read.";
    InvalidHeader          400 "invalid_header"           "A header has no such value.";
    Unauthenticated        401 "unauthenticated"          "Sign in first.";
    InvalidToken           401 "invalid_token"            "The access token is not valid here.";
    TokenExpired           401 "token_expired"            "The access token has expired; refresh it.";
    InvalidCredentials     401 "invalid_credentials"      "The email address or the password is wrong.";
    InvalidRefreshToken    401 "invalid_refresh_token"    "The refresh token is not valid; sign in again.";
    RefreshTokenReused     401 "refresh_token_reused"     "The refresh token was used before; its session has ended.";
    PaymentDeclined        402 "payment_declined"         "The payment was declined.";
    Forbidden              403 "forbidden"                "Not allowed.";
    NotFound               404 "not_found"                "There is no such thing, or it is not yours.";
    NotServedHere          404 "not_served_here"          "There is nothing at this path here; /docs shows what there is.";
    MethodNotAllowed       405 "method_not_allowed"       "The path does not know this method.";
    EmailTaken             409 "email_taken"              "An account with this email address exists.";
    SlugTaken              409 "slug_taken"               "Another one has this slug.";
    OptionsTaken           409 "options_taken"            "Another variant of the product has these option values.";
    AlreadyReviewed        409 "already_reviewed"         "You have reviewed this product before; change that review.";
    BelowReserved          409 "below_reserved"           "More is reserved than would be on hand.";
    OutOfStock             409 "out_of_stock"             "Not enough is left.";
    CartChanged            409 "cart_changed"             "Prices have moved or things are no longer sold; the cart shows how it is now.";
    CartLocked             409 "cart_locked"              "The cart is being checked out.";
    CartCompleted          409 "cart_completed"           "The cart has become an order.";
    NoCheckout             409 "no_checkout"              "The cart has no checkout to give up.";
    OrderBusy              409 "order_busy"               "Another change of the order is under way.";
    OrderNotCancellable    409 "order_not_cancellable"    "The order can no longer be cancelled.";
    OrderNotShippable      409 "order_not_shippable"      "The order cannot be shipped.";
    OrderNotCapturable     409 "order_not_capturable"     "That much cannot be captured of the order's payment.";
    OrderNotRefundable     409 "order_not_refundable"     "That much cannot be refunded of what was captured.";
    PaymentRefused         409 "payment_refused"          "The payment provider refused; nothing was moved.";
    EndpointPaused         409 "endpoint_paused"          "The endpoint is paused; enable it first.";
    DeliveryUnderWay       409 "delivery_under_way"       "The delivery is being tried just now.";
    LastAdministrator      409 "last_administrator"       "The shop would be left without an administrator.";
    IdempotencyInProgress  409 "idempotency_in_progress"  "A request with this Idempotency-Key is still running.";
    VersionMismatch        412 "version_mismatch"         "It has changed since you read it.";
    BodyTooLarge           413 "body_too_large"           "The body is too large.";
    UnsupportedMediaType   415 "unsupported_media_type"   "The body has the wrong media type.";
    Invalid                422 "invalid"                  "Some fields are not valid.";
    CartIncomplete         422 "cart_incomplete"          "The cart cannot be checked out yet.";
    IdempotencyKeyReused   422 "idempotency_key_reused"   "This Idempotency-Key was used for another request.";
    TooManyRequests        429 "too_many_requests"        "Too many requests; wait a little.";
    Internal               500 "internal"                 "Something went wrong here.";
    OutcomeUnknown         503 "outcome_unknown"          "It may or may not have been done; ask again with the same Idempotency-Key.";
    Unavailable            503 "unavailable"              "Not available just now; nothing was done.";
}

#[cfg(test)]
mod tests {
    use super::Code;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_words() {
        let words: HashSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        assert!(words.iter().all(|w| w.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }
}
