//! The accounts of a session as CSV, JSON, NDJSON or plain logins, streamed row by row.

use std::{fmt, str::FromStr, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::TryStreamExt;
use sea_orm::{DatabaseConnection, DbErr, QueryResult, StreamTrait, Value};
use serde::Serialize;
use tokio::sync::mpsc;

use super::Filter;
use crate::{db, session};

/// The columns, in this order; more may follow one day.
const HEADER: &str = "twitch_user_id,login,display_name,created_at,seen_count,first_seen,last_seen\n";
/// Bytes gathered before a piece is handed on.
const PIECE: usize = 32 * 1024;
/// How long a reader may take for one piece.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the accounts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    /// One object with all accounts in an array.
    Json,
    /// One object a line.
    Ndjson,
    /// One login a line.
    Logins,
    /// One `/ban` command a line.
    Commands,
}

impl Format {
    pub const ALL: [Self; 5] = [Self::Csv, Self::Json, Self::Ndjson, Self::Logins, Self::Commands];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Logins => "logins",
            Self::Commands => "commands",
        }
    }

    /// The media type of the answer.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Logins | Self::Commands => "text/plain; charset=utf-8",
        }
    }

    /// The ending of the file's name.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Logins | Self::Commands => "txt",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|format| format.as_str() == name).ok_or(())
    }
}

/// One account as exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    pub twitch_user_id: String,
    pub login: String,
    pub display_name: String,
    #[serde(serialize_with = "maybe_instant")]
    pub created_at: Option<DateTime<Utc>>,
    /// Captures within the filter that saw the account.
    pub seen_count: i64,
    #[serde(serialize_with = "instant")]
    pub first_seen: DateTime<Utc>,
    #[serde(serialize_with = "instant")]
    pub last_seen: DateTime<Utc>,
}

fn rfc3339(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn instant<S: serde::Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn maybe_instant<S: serde::Serializer>(at: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.serialize_str(&rfc3339(*at)),
        None => serializer.serialize_none(),
    }
}

/// What goes wrong while an export is under way: the reader sees a cut answer, not a short one that looks complete.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Db(#[from] DbErr),
    #[error("the reader went away")]
    ReaderGone,
}

/// Writes the accounts of a session into `pieces`, most seen first, at the pace at which they are read.
pub async fn write(
    db: &DatabaseConnection,
    session: &session::Model,
    filter: &Filter,
    format: Format,
    now: DateTime<Utc>,
    pieces: &mpsc::Sender<Result<Bytes, ExportError>>,
) -> Result<(), ExportError> {
    let (condition, channels) = filter.condition("a.broadcaster_id");
    let sql = format!(
        "SELECT u.twitch_user_id, u.login, u.display_name, u.created_at, s.seen_count, s.first_seen, s.last_seen FROM \
         (SELECT a.twitch_user_id, CAST(SUM(a.seen_count) AS SIGNED) AS seen_count, MIN(a.first_seen) AS first_seen, \
          MAX(a.last_seen) AS last_seen FROM session_accounts a WHERE a.session_id = ?{condition} GROUP BY a.twitch_user_id) s \
         JOIN twitch_users u ON u.twitch_user_id = s.twitch_user_id ORDER BY s.seen_count DESC, u.login, u.twitch_user_id"
    );
    let mut values: Vec<Value> = vec![session.id.into()];
    values.extend(channels);
    let mut rows = db.stream_raw(db::statement(db, &sql, values)).await?;
    let mut buffer = BytesMut::with_capacity(PIECE + 1_024);
    let mut writer = Writer { format, first: true };
    writer.begin(session, now, &mut buffer);
    while let Some(row) = rows.try_next().await? {
        writer.row(&read(&row)?, &mut buffer)?;
        if buffer.len() >= PIECE {
            hand_on(pieces, buffer.split().freeze()).await?;
        }
    }
    writer.end(&mut buffer);
    hand_on(pieces, buffer.freeze()).await
}

/// Waits for the reader, but not for ever: behind this stands a connection to the database.
async fn hand_on(pieces: &mpsc::Sender<Result<Bytes, ExportError>>, piece: Bytes) -> Result<(), ExportError> {
    match tokio::time::timeout(PATIENCE, pieces.send(Ok(piece))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(ExportError::ReaderGone),
    }
}

fn read(row: &QueryResult) -> Result<Row, DbErr> {
    Ok(Row {
        twitch_user_id: row.try_get::<i64>("", "twitch_user_id")?.to_string(),
        login: row.try_get("", "login")?,
        display_name: row.try_get("", "display_name")?,
        created_at: row.try_get("", "created_at")?,
        seen_count: row.try_get("", "seen_count")?,
        first_seen: row.try_get("", "first_seen")?,
        last_seen: row.try_get("", "last_seen")?,
    })
}

struct Writer {
    format: Format,
    first: bool,
}

impl Writer {
    fn begin(&self, session: &session::Model, now: DateTime<Utc>, out: &mut BytesMut) {
        match self.format {
            Format::Csv => out.put_slice(HEADER.as_bytes()),
            Format::Json => {
                let head = format!(
                    "{{\"session_uuid\":\"{}\",\"exported_at\":\"{}\",\"accounts\":[",
                    session.session_uuid,
                    rfc3339(now)
                );
                out.put_slice(head.as_bytes());
            }
            Format::Ndjson | Format::Logins | Format::Commands => {}
        }
    }

    fn row(&mut self, row: &Row, out: &mut BytesMut) -> Result<(), ExportError> {
        let unwritable = |error: serde_json::Error| ExportError::Db(DbErr::Custom(error.to_string()));
        match self.format {
            Format::Csv => put_csv(row, out),
            Format::Json => {
                if !self.first {
                    out.put_u8(b',');
                }
                out.put_slice(&serde_json::to_vec(row).map_err(unwritable)?);
            }
            Format::Ndjson => {
                out.put_slice(&serde_json::to_vec(row).map_err(unwritable)?);
                out.put_u8(b'\n');
            }
            Format::Logins => {
                out.put_slice(row.login.as_bytes());
                out.put_u8(b'\n');
            }
            Format::Commands => out.put_slice(format!("/ban {} listed by tca\n", row.login).as_bytes()),
        }
        self.first = false;
        Ok(())
    }

    fn end(&self, out: &mut BytesMut) {
        if self.format == Format::Json {
            out.put_slice(b"]}\n");
        }
    }
}

fn put_csv(row: &Row, out: &mut BytesMut) {
    let created_at = row.created_at.map(rfc3339).unwrap_or_default();
    let fields = [
        row.twitch_user_id.clone(),
        cell(&row.login),
        cell(&row.display_name),
        created_at,
        row.seen_count.to_string(),
        rfc3339(row.first_seen),
        rfc3339(row.last_seen),
    ];
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    // Writing into memory cannot fail.
    if writer.write_record(&fields).is_ok()
        && let Ok(line) = writer.into_inner()
    {
        out.put_slice(&line);
    }
}

/// A text that a spreadsheet will not take for a formula (OWASP ASVS 5.0, 1.2.10), without control characters.
fn cell(text: &str) -> String {
    let clean: String = text.chars().filter(|character| !character.is_control()).collect();
    if clean.starts_with(['=', '+', '-', '@']) { format!("'{clean}") } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(display_name: &str) -> Row {
        Row {
            twitch_user_id: "7".into(),
            login: "l".into(),
            display_name: display_name.into(),
            created_at: None,
            seen_count: 2,
            first_seen: DateTime::UNIX_EPOCH,
            last_seen: DateTime::UNIX_EPOCH,
        }
    }

    fn csv(display_name: &str) -> String {
        let mut out = BytesMut::new();
        put_csv(&row(display_name), &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn an_unknown_date_is_empty_in_csv_and_null_in_json() {
        assert_eq!(csv("D"), "7,l,D,,2,1970-01-01T00:00:00Z,1970-01-01T00:00:00Z\n");
        assert!(serde_json::to_string(&row("D")).unwrap().contains("\"created_at\":null"));
    }

    #[test]
    fn no_cell_becomes_a_formula_or_breaks_the_line() {
        for (name, cell) in [
            ("=1+1", "'=1+1"),
            ("@x", "'@x"),
            ("-x", "'-x"),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("a\r\nb", "ab"),
        ] {
            assert_eq!(csv(name).split("7,l,").nth(1).unwrap().split(",,2").next().unwrap(), cell, "{name}");
        }
    }

    #[test]
    fn formats_are_known_by_their_names() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert_eq!("xlsx".parse::<Format>(), Err(()));
    }
}
