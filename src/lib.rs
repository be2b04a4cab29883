//! Twitch Chatters Analyser: captures who is in a Twitch channel's chat and shows which accounts belong together.
//!
//! The map of the rooms, their order and three walks through them stand in `docs/ARCHITECTURE.md`.

pub mod clock;
pub mod config;
pub mod db;
pub mod i18n;
pub mod roles;
