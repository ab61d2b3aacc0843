//! The tables of `migrations/common`, which every domain's database has.
diesel::table! {
    idempotency (record) {
        record -> Binary,
        request -> Binary,
        owner -> Uuid,
        leased_until -> Timestamptz,
        nonce -> Nullable<Binary>,
        answer -> Nullable<Binary>,
        created_at -> Timestamptz,
    }
}
diesel::table! {
    outbox (position) {
        position -> BigInt,
        id -> Uuid,
        kind -> Text,
        subject -> Uuid,
        payload -> Jsonb,
        trace -> Text,
        occurred_at -> Timestamptz,
        published_at -> Nullable<Timestamptz>,
    }
}
