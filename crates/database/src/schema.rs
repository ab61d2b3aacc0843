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
diesel::table! {
    leases (name) {
        name -> Text,
        owner -> Uuid,
        leased_until -> Timestamptz,
    }
}
diesel::table! {
    inbox (position) {
        position -> BigInt,
        id -> Uuid,
        kind -> Text,
        subject -> Text,
        event -> Jsonb,
        received_at -> Timestamptz,
        tries -> BigInt,
        due_at -> Nullable<Timestamptz>,
        error -> Nullable<Text>,
        handled_at -> Nullable<Timestamptz>,
        dead_at -> Nullable<Timestamptz>,
    }
}
diesel::table! {
    heard (stream) {
        stream -> Text,
        position -> BigInt,
    }
}
diesel::table! {
    forgotten (name) {
        name -> Text,
        until -> Timestamptz,
    }
}
