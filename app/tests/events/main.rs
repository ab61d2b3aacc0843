//! What happened, told: whatever the broker, nothing is lost, nothing has its effect twice, and order holds for each
//! subject. Over every broker in one process, and over those between processes in several.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
mod away;
mod stage;
