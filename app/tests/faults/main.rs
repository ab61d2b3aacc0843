//! A split shop whose parts are away, slow, unheard or under attack, or whose keys change. Its shops are split whatever
//! the run's topology is, and each is lent to one test at a time. And a shop whose payment provider is: a shop a test.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
mod attacks;
mod away;
mod caller;
mod died;
mod lost;
mod products;
mod restarted;
mod rolling;
mod rotation;
mod stage;
mod stripe;
mod users;
mod zz_books;
