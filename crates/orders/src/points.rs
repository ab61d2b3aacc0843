//! Where a test ends the process: around each write and each outside call of a process of orders.

crash::points! {
    /// `begun`: the write is about to happen. `asked`: somebody outside has answered, and nothing of it is kept. `kept`: it
    /// is written down, and nobody has heard of it.
    pub(crate) enum Point {
        CheckoutBegun = "orders.checkout.begin.begun",
        CheckoutKept = "orders.checkout.begin.kept",
        Reserved = "orders.checkout.reserve.asked",
        Opened = "orders.checkout.open.asked",
        OpenedKept = "orders.checkout.open.kept",
        Authorised = "orders.checkout.authorise.asked",
        Looked = "orders.checkout.look.asked",
        Met = "orders.checkout.meet.kept",
        Confirmed = "orders.checkout.confirm.asked",
        Placed = "orders.checkout.place.kept",
        UndoKept = "orders.checkout.undo.kept",
        Voided = "orders.checkout.void.asked",
        Released = "orders.checkout.release.asked",
        Failed = "orders.checkout.fail.kept",
        /// A buyer is back from the bank.
        BackLooked = "orders.checkout.back.asked",
        BackKept = "orders.checkout.back.kept",
        AbandonKept = "orders.checkout.abandon.kept",
        ChangeBegun = "orders.change.begin.begun",
        CancelKept = "orders.cancel.begin.kept",
        CancelReleased = "orders.cancel.release.asked",
        CancelVoided = "orders.cancel.void.asked",
        CancelSettled = "orders.cancel.settle.kept",
        ShipKept = "orders.ship.begin.kept",
        ShipAsked = "orders.ship.ship.asked",
        ShipSettled = "orders.ship.settle.kept",
        CaptureKept = "orders.capture.begin.kept",
        CaptureAsked = "orders.capture.capture.asked",
        CaptureSettled = "orders.capture.settle.kept",
        RefundKept = "orders.refund.begin.kept",
        RefundAsked = "orders.refund.refund.asked",
        RefundSettled = "orders.refund.settle.kept",
        RevertAsked = "orders.revert.void.asked",
        RevertSettled = "orders.revert.settle.kept",
        EventBegun = "orders.event.hear.begun",
        EventLooked = "orders.event.look.asked",
        EventKept = "orders.event.meet.kept",
        TakenOver = "orders.worker.take_over.kept",
    }
}
