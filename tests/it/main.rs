//! Behaviour against real servers, in one binary. How to write a test here stands in `support/mod.rs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

#[macro_use]
mod support;

mod connections;
mod fairness;
mod isolation;
mod jobs_cli;
mod limits;
mod main_job;
mod operations;
mod queue;
mod queue_contention;
mod scale;
mod secrecy;
mod sessions;
mod store;
mod twitch_gate;
mod twitch_trouble;
mod unfinished;
mod web;
