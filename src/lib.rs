//! Twitch Chatters Analyser: captures who is in a Twitch channel's chat and shows which accounts belong together.
//!
//! The map of the rooms, their order and three walks through them stand in `docs/ARCHITECTURE.md`.

pub mod account;
pub mod analysis;
pub mod audit;
pub mod capture;
pub mod channel;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod demo;
pub mod i18n;
pub mod job;
pub mod login;
pub mod roles;
pub mod secrets;
pub mod serve;
pub mod session;
pub mod simulator;
pub mod store;
pub mod telemetry;
pub mod twitch;
pub mod user;
pub mod wire;
