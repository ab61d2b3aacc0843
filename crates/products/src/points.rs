//! Where a test may end the process: around each write that others wait for.
crash::points! {
    /// `begun`: the write is about to happen. `kept`: it is committed, and nobody was told yet.
    pub(crate) enum Point {
        ReserveBegun = "products.reserve.begun",
        ReserveKept = "products.reserve.kept",
        FreeDueBegun = "products.free_due.begun",
        FreeDueKept = "products.free_due.kept",
        ConfirmBegun = "products.confirm.begun",
        ConfirmKept = "products.confirm.kept",
        ReleaseBegun = "products.release.begun",
        ReleaseKept = "products.release.kept",
        /// A release that came before its reserve.
        TombstoneKept = "products.tombstone.kept",
        ShipBegun = "products.ship.begun",
        ShipKept = "products.ship.kept",
        SweepBegun = "products.sweep.begun",
        SweepKept = "products.sweep.kept",
        CountBegun = "products.count.begun",
        CountKept = "products.count.kept",
        AdjustBegun = "products.adjust.begun",
        AdjustKept = "products.adjust.kept",
    }
}
