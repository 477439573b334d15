// @generated automatically by Diesel CLI.

diesel::table! {
    event_log (id) {
        id -> BigInt,
        leader -> Nullable<Text>,
        beat -> BigInt,
        standby -> BigInt,
        sent_to -> BigInt,
        pruned_to -> BigInt,
    }
}

diesel::table! {
    events (id) {
        id -> BigInt,
        kind -> SmallInt,
        user_id -> BigInt,
        version -> BigInt,
        name -> Nullable<Text>,
        email -> Nullable<Text>,
        created_at -> Nullable<Timestamp>,
        occurred_at -> Timestamp,
        salt -> BigInt,
        trace_parent -> Nullable<Text>,
        known_columns -> Nullable<SmallInt>,
        external_id -> Nullable<Text>,
        status -> Nullable<SmallInt>,
        attributes -> Nullable<Text>,
    }
}

diesel::table! {
    held_events (event_id) {
        event_id -> BigInt,
        user_id -> BigInt,
        tries -> BigInt,
        parked_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    idempotency_keys (id) {
        id -> BigInt,
        key -> Binary,
        request -> Binary,
        stored_at -> Timestamp,
        position -> BigInt,
        user_id -> BigInt,
        version -> BigInt,
        name -> Nullable<Text>,
        email -> Nullable<Text>,
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        external_id -> Nullable<Text>,
        status -> Nullable<SmallInt>,
        attributes -> Nullable<Text>,
    }
}

diesel::table! {
    import_failures (id) {
        id -> BigInt,
        import_id -> BigInt,
        line -> BigInt,
        code -> Text,
        pointer -> Nullable<Text>,
        detail -> Text,
    }
}

diesel::table! {
    imports (id) {
        id -> BigInt,
        key -> Binary,
        format -> SmallInt,
        on_conflict -> SmallInt,
        next_line -> BigInt,
        records -> BigInt,
        hash -> Binary,
        created -> BigInt,
        updated -> BigInt,
        skipped -> BigInt,
        failed -> BigInt,
        must_end -> Bool,
        is_complete -> Bool,
        upload -> BigInt,
        held_until -> Timestamp,
        changed_at -> Timestamp,
    }
}

diesel::table! {
    user_counts (id) {
        id -> BigInt,
        total -> BigInt,
        position -> BigInt,
    }
}

diesel::table! {
    users (id) {
        id -> BigInt,
        name -> Text,
        name_key -> Text,
        email -> Text,
        email_key -> Text,
        version -> BigInt,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        address_key -> Nullable<Text>,
        has_keys -> Bool,
        key_revision -> BigInt,
        duplicate_of -> Nullable<BigInt>,
        external_id -> Nullable<Text>,
        status -> Nullable<SmallInt>,
        attributes -> Nullable<Text>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    event_log,
    events,
    held_events,
    idempotency_keys,
    import_failures,
    imports,
    user_counts,
    users,
);
