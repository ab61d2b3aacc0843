diesel::table! {
    users (id) {
        id -> Uuid,
        email -> Text,
        email_key -> Text,
        name -> Text,
        password_hash -> Text,
        roles -> Text,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}
diesel::table! {
    addresses (id) {
        id -> Uuid,
        user_id -> Uuid,
        address -> Jsonb,
        version -> BigInt,
        created_at -> Timestamptz,
    }
}
diesel::table! {
    sessions (id) {
        id -> Uuid,
        user_id -> Uuid,
        created_at -> Timestamptz,
        used_at -> Timestamptz,
        expires_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
    }
}
diesel::table! {
    refresh_tokens (hash) {
        hash -> Binary,
        session_id -> Uuid,
        created_at -> Timestamptz,
        used_at -> Nullable<Timestamptz>,
    }
}
diesel::table! {
    signing_keys (id) {
        id -> Text,
        pkcs8 -> Binary,
        public_key -> Binary,
        created_at -> Timestamptz,
        signs_from -> Timestamptz,
    }
}
// Of the events, what an audit looks at.
diesel::table! {
    outbox (position) {
        position -> BigInt,
        kind -> Text,
        subject -> Uuid,
        occurred_at -> Timestamptz,
    }
}
diesel::table! {
    forgotten (name) {
        name -> Text,
        until -> Timestamptz,
    }
}
diesel::joinable!(refresh_tokens -> sessions (session_id));
diesel::joinable!(sessions -> users (user_id));
diesel::allow_tables_to_appear_in_same_query!(users, sessions, refresh_tokens, addresses, outbox, forgotten);
