//! HTTP with whoever is outside the shop: one client, made in one place.
//!
//! [`client`] is for those whom the shop's own settings name, such as providers of payments. [`Poster`] is for addresses
//! that somebody typed in: it connects to checked addresses only, and takes little of what is answered. Neither follows a
//! redirect, uses a proxy, or asks twice by itself.
mod addresses;
mod client;
mod poster;

pub use addresses::{BadNetwork, Network, Networks};
pub use client::client;
pub use poster::{Answer, BadTarget, Limits, Poster, Target, Unsent};
