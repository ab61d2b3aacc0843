diesel::table! {
    carts (id) {
        id -> Uuid,
        token_hash -> Nullable<Binary>,
        user_id -> Nullable<Uuid>,
        currency -> Text,
        locale -> Text,
        prices_include_tax -> Bool,
        email -> Nullable<Text>,
        shipping_address -> Nullable<Jsonb>,
        billing_address -> Nullable<Jsonb>,
        shipping_option -> Nullable<Text>,
        order_id -> Nullable<Uuid>,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}
diesel::table! {
    cart_lines (id) {
        id -> Uuid,
        cart_id -> Uuid,
        variant_id -> Uuid,
        title -> Text,
        sku -> Nullable<Text>,
        quantity -> BigInt,
        unit_price -> BigInt,
    }
}
diesel::table! {
    orders (id) {
        id -> Uuid,
        number -> Nullable<BigInt>,
        cart_id -> Uuid,
        token_hash -> Nullable<Binary>,
        user_id -> Nullable<Uuid>,
        status -> Text,
        payment_status -> Text,
        fulfilment_status -> Text,
        currency -> Text,
        locale -> Text,
        prices_include_tax -> Bool,
        email -> Text,
        shipping_address -> Jsonb,
        billing_address -> Nullable<Jsonb>,
        shipping_option -> Jsonb,
        subtotal -> BigInt,
        discount -> BigInt,
        shipping -> BigInt,
        tax -> BigInt,
        total -> BigInt,
        cancel_reason -> Nullable<Text>,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        placed_at -> Nullable<Timestamptz>,
        paid_at -> Nullable<Timestamptz>,
        ended_at -> Nullable<Timestamptz>,
    }
}
diesel::table! {
    order_lines (order_id, position) {
        order_id -> Uuid,
        position -> Integer,
        id -> Uuid,
        variant_id -> Uuid,
        title -> Text,
        sku -> Nullable<Text>,
        quantity -> BigInt,
        unit_price -> BigInt,
        discount -> BigInt,
        tax -> BigInt,
        total -> BigInt,
    }
}
diesel::table! {
    payments (order_id) {
        order_id -> Uuid,
        provider -> Text,
        reference -> Nullable<Text>,
        status -> Text,
        amount -> BigInt,
        currency -> Text,
        next_action -> Nullable<Jsonb>,
        reason -> Nullable<Text>,
        captured -> BigInt,
        capture_asked -> BigInt,
        refunded -> BigInt,
        refund_asked -> BigInt,
        released -> BigInt,
        late_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}
diesel::table! {
    payment_moves (id) {
        id -> Uuid,
        order_id -> Uuid,
        kind -> Text,
        amount -> BigInt,
        reason -> Nullable<Text>,
        state -> Text,
        reference -> Nullable<Text>,
        created_at -> Timestamptz,
        settled_at -> Nullable<Timestamptz>,
    }
}
diesel::table! {
    processes (id) {
        id -> Uuid,
        order_id -> Uuid,
        kind -> Text,
        step -> Text,
        provider -> Nullable<Text>,
        epoch -> BigInt,
        lease_until -> Timestamptz,
        created_at -> Timestamptz,
        done_at -> Nullable<Timestamptz>,
        input -> Nullable<Jsonb>,
        claim -> Nullable<Binary>,
        wake_at -> Nullable<Timestamptz>,
        tries -> BigInt,
        turn -> BigInt,
    }
}
diesel::table! {
    shipments (id) {
        id -> Uuid,
        order_id -> Uuid,
        carrier -> Nullable<Text>,
        tracking_number -> Nullable<Text>,
        created_at -> Timestamptz,
    }
}
diesel::joinable!(payments -> orders (order_id));
diesel::joinable!(processes -> orders (order_id));
diesel::allow_tables_to_appear_in_same_query!(carts, orders, payments, processes);
