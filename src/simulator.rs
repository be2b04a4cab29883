//! A Twitch of our own, as strict as the real one, for the demo, the tests and `tca twitch-sim`.
//!
//! [`World`] is its state and what can be done to it; [`run`] serves it: `/oauth2/…` and `/helix/…` with the statuses, texts and
//! limits of Twitch, `/control` to direct it (all orders are listed in `simulator/control.rs` and on that page). Its people are
//! computed from a seed (`people.rs`), chats are a rule over time (`room.rs`), so the past can be asked about too.
//!
//! It keeps nothing: a restart finds the same people, but no token. Client `demo`, secret `demo-secret`.

mod bucket;
mod calendar;
mod call_log;
pub mod cast;
mod chance;
mod control;
mod fault;
mod helix;
mod ledger;
mod names;
mod oauth;
mod people;
mod room;
mod server;
mod wave;
mod world;

pub use self::{
    bucket::Rate,
    call_log::Call,
    fault::{Fault, PlannedFault, Route},
    ledger::Tokens,
    names::Name,
    people::Person,
    server::run,
    wave::{Wave, WaveReport},
    world::{Error, Live, Options, RoomReport, World},
};
