//! What `tca config` shows: every setting, its value without secrets, and where it comes from.

use std::fmt::Write as _;

use super::{
    database,
    layers::DEFAULT_SOURCE,
    reader::Reader,
    table::{Kind, Setting, TABLE},
};

/// One line of `tca config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: &'static str,
    pub variable: &'static str,
    /// Secrets are replaced by their length.
    pub value: String,
    /// `default`, a file, a variable, `NAME_FILE`, or `flag`.
    pub source: String,
}

/// Every setting, in the order of the table.
pub fn rows(reader: &Reader) -> Vec<Row> {
    TABLE
        .iter()
        .map(|setting| {
            let (value, source) = value_of(reader, setting);
            Row { key: setting.key, variable: setting.variable, value, source }
        })
        .collect()
}

fn value_of(reader: &Reader, setting: &Setting) -> (String, String) {
    if let Some(found) = reader.merged.get(setting.key) {
        return (redacted(setting, &found.text), found.source.clone());
    }
    if let Some(computed) = reader.computed.get(setting.key) {
        return computed.clone();
    }
    (format!("({})", setting.absent), DEFAULT_SOURCE.to_owned())
}

fn redacted(setting: &Setting, text: &str) -> String {
    match setting.kind {
        Kind::ServerUrl(_) => database::redacted(text),
        _ if setting.secret => format!("(secret, {} bytes)", text.len()),
        _ if text.is_empty() => "(none)".to_owned(),
        _ => text.to_owned(),
    }
}

/// The rows as an aligned table, with a heading.
pub fn table(rows: &[Row]) -> String {
    let width = |column: fn(&Row) -> &str, heading: &str| {
        rows.iter().map(|row| column(row).chars().count()).max().unwrap_or(0).max(heading.len())
    };
    let key = width(|row| row.key, "key");
    let value = width(|row| &row.value, "value");
    let mut table = format!("{:key$}  {:value$}  source\n", "key", "value");
    for row in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{:key$}  {:value$}  {}", row.key, row.value, row.source);
    }
    table
}
