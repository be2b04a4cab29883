//! Behaviour against real servers, in one binary. How to write a test here stands in `support/mod.rs`.

#[macro_use]
mod support;

mod store;
mod twitch_gate;
