//! The provider against the server that stands in for Stripe.
