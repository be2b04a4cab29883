//! The web role: pages for moderators and streamers.

pub mod assets;
pub mod view;
