//! The one gate to Twitch.

/// Holds the rate limit, the tokens and the caches, and is the only one to talk to Twitch.
#[derive(Debug)]
pub struct Gate {}
