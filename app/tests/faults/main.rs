//! What goes wrong, or changes, while a shop of several processes runs: each test starts its own.
mod rotation;
