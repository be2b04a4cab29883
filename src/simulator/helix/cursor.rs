//! Cursors: opaque to the caller, bound to the list they came from.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::Refusal;

/// A position in the list of `route` about `subject`.
pub(super) fn write(route: &str, subject: i64, position: (u64, u32)) -> String {
    URL_SAFE_NO_PAD.encode(format!("{route}/{subject}/{:016x}/{:08x}", position.0, position.1))
}

/// The position in a cursor of the same list; none without a cursor.
pub(super) fn read(cursor: Option<&str>, route: &str, subject: i64) -> Result<Option<(u64, u32)>, Refusal> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let position = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let rest = text.strip_prefix(&format!("{route}/{subject}/"))?;
        let (first, second) = rest.split_once('/')?;
        Some((u64::from_str_radix(first, 16).ok()?, u32::from_str_radix(second, 16).ok()?))
    };
    // Own words.
    position().map(Some).ok_or_else(|| Refusal::malformed("after", "the value is not a valid cursor"))
}
