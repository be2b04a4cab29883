//! Who did what, append only; pruned by retention. Never holds a token, a cookie or the content of a chat.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr};

use crate::db;

/// Something worth remembering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    SignedIn,
    SignInRefused,
    SignedOut,
    Disconnected,
    /// Twitch takes this user's tokens no more: every browser was signed out.
    ConnectionLost,
    CaptureRequested,
    CaptureCancelled,
    SessionSaved,
    SessionResumed,
    SessionPurged,
    SessionDeleted,
    Exported,
}

impl Event {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignedIn => "signed_in",
            Self::SignInRefused => "sign_in_refused",
            Self::SignedOut => "signed_out",
            Self::Disconnected => "disconnected",
            Self::ConnectionLost => "connection_lost",
            Self::CaptureRequested => "capture_requested",
            Self::CaptureCancelled => "capture_cancelled",
            Self::SessionSaved => "session_saved",
            Self::SessionResumed => "session_resumed",
            Self::SessionPurged => "session_purged",
            Self::SessionDeleted => "session_deleted",
            Self::Exported => "exported",
        }
    }
}

/// Removes events from before `before`; returns how many.
pub async fn prune(db: &impl ConnectionTrait, before: DateTime<Utc>) -> Result<u64, DbErr> {
    Ok(db::execute(db, "DELETE FROM audit_logs WHERE created_at < ?", [before.into()]).await?.rows_affected())
}

/// Appends one event. A failure is the caller's to log: it must not undo what the user did.
pub async fn note(
    db: &impl ConnectionTrait,
    event: Event,
    user_id: Option<i64>,
    session_id: Option<i64>,
    details: Option<serde_json::Value>,
    now: DateTime<Utc>,
) -> Result<(), DbErr> {
    let sql = "INSERT INTO audit_logs (event_type, user_id, session_id, details, created_at) VALUES (?, ?, ?, ?, ?)";
    let details = details.map(|details| details.to_string());
    let values = [event.as_str().into(), user_id.into(), session_id.into(), details.into(), now.into()];
    db::execute(db, sql, values).await.map(drop)
}
