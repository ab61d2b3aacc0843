diesel::table! {
    journal_head (id) {
        id -> BigInt,
        position -> BigInt,
        purged -> BigInt,
    }
}
diesel::table! {
    journal (position) {
        position -> BigInt,
        event_id -> Uuid,
        kind -> Text,
        envelope -> Text,
        recorded_at -> Timestamptz,
    }
}
diesel::table! {
    endpoints (id) {
        id -> Uuid,
        url -> Text,
        description -> Nullable<Text>,
        paused_at -> Nullable<Timestamptz>,
        paused_reason -> Nullable<Text>,
        secret -> Binary,
        old_secret -> Nullable<Binary>,
        old_secret_until -> Nullable<Timestamptz>,
        hears_from -> BigInt,
        failures -> BigInt,
        failing_since -> Nullable<Timestamptz>,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
    }
}
diesel::table! {
    endpoint_patterns (endpoint_id, pattern) {
        endpoint_id -> Uuid,
        pattern -> Text,
    }
}
diesel::table! {
    deliveries (id) {
        id -> Uuid,
        endpoint_id -> Uuid,
        event_id -> Uuid,
        kind -> Text,
        position -> BigInt,
        body -> Text,
        state -> Text,
        tries -> BigInt,
        attempts -> BigInt,
        redelivered -> BigInt,
        due_at -> Timestamptz,
        leased_until -> Nullable<Timestamptz>,
        epoch -> BigInt,
        created_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
    }
}
diesel::table! {
    attempts (delivery_id, number) {
        delivery_id -> Uuid,
        number -> BigInt,
        at -> Timestamptz,
        latency_ms -> BigInt,
        status -> Nullable<BigInt>,
        error -> Nullable<Text>,
        answer -> Nullable<Text>,
    }
}
diesel::table! {
    notices (id) {
        id -> Uuid,
        about -> Text,
        subject -> Text,
        data -> Jsonb,
        times -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        acknowledged_at -> Nullable<Timestamptz>,
        acknowledged_by -> Nullable<Uuid>,
    }
}
diesel::allow_tables_to_appear_in_same_query!(endpoints, endpoint_patterns, deliveries);
