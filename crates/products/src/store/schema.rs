diesel::table! {
    products (id) {
        id -> Uuid,
        slug -> Text,
        title -> Text,
        title_key -> Text,
        description -> Text,
        status -> Text,
        options -> Jsonb,
        tags -> Jsonb,
        images -> Jsonb,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        review_count -> BigInt,
        mark_sum -> BigInt,
        sold -> BigInt,
    }
}
diesel::table! {
    variants (id) {
        id -> Uuid,
        product_id -> Uuid,
        position -> BigInt,
        sku -> Nullable<Text>,
        options_key -> Text,
        option_values -> Jsonb,
        track_stock -> Bool,
    }
}
diesel::table! {
    prices (variant_id, currency) {
        variant_id -> Uuid,
        currency -> Text,
        amount -> BigInt,
        product_id -> Uuid,
    }
}
diesel::table! {
    product_prices (product_id, currency) {
        product_id -> Uuid,
        currency -> Text,
        amount -> BigInt,
    }
}
diesel::table! {
    categories (id) {
        id -> Uuid,
        slug -> Text,
        name -> Text,
        parent_id -> Nullable<Uuid>,
    }
}
diesel::table! {
    product_categories (product_id, category_id) {
        product_id -> Uuid,
        category_id -> Uuid,
    }
}
diesel::table! {
    words (product_id, word) {
        product_id -> Uuid,
        word -> Text,
    }
}
diesel::table! {
    reservations (id) {
        id -> Uuid,
        state -> Text,
        expires_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}
diesel::table! {
    reservation_lines (reservation_id, variant_id) {
        reservation_id -> Uuid,
        variant_id -> Uuid,
        quantity -> BigInt,
        counted -> Bool,
    }
}
diesel::table! {
    imports (id) {
        id -> Uuid,
        status -> Text,
        format -> Text,
        currency -> Text,
        dry_run -> Bool,
        rows -> BigInt,
        created -> BigInt,
        updated -> BigInt,
        unchanged -> BigInt,
        errors -> Jsonb,
        error_count -> BigInt,
        lease_until -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}
diesel::table! {
    reviews (id) {
        id -> Uuid,
        product_id -> Uuid,
        user_id -> Nullable<Uuid>,
        author -> Nullable<Text>,
        title -> Nullable<Text>,
        body -> Nullable<Text>,
        mark -> BigInt,
        status -> Text,
        reason -> Nullable<Text>,
        verified -> Bool,
        version -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}
diesel::table! {
    purchases (order_id, product_id) {
        order_id -> Uuid,
        product_id -> Uuid,
        user_id -> Nullable<Uuid>,
        quantity -> BigInt,
    }
}
diesel::table! {
    heard_orders (order_id) {
        order_id -> Uuid,
        heard_at -> Timestamptz,
    }
}
diesel::table! {
    customers (user_id) {
        user_id -> Uuid,
        forgotten_at -> Nullable<Timestamptz>,
    }
}
diesel::joinable!(reservation_lines -> reservations (reservation_id));
diesel::allow_tables_to_appear_in_same_query!(products, variants, product_categories, reservations, reservation_lines);
diesel::allow_tables_to_appear_in_same_query!(reviews, purchases);
