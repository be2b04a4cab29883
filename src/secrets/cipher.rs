//! Seals what must not be readable in the database: the Twitch tokens.
//!
//! XChaCha20-Poly1305. A sealed text is base64 (URL-safe, no padding) of
//! `version (1 byte) | key id (8) | nonce (24, random) | ciphertext and tag`. Table, column, row and key id are
//! authenticated with it, so a sealed text that is copied to another row does not open there.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use secrecy::{ExposeSecret, zeroize::Zeroizing};

use super::Key;

const VERSION: u8 = 1;
const KEY_ID_LENGTH: usize = 8;
const NONCE_LENGTH: usize = 24;
const HEADER_LENGTH: usize = 1 + KEY_ID_LENGTH + NONCE_LENGTH;
const KEY_ID_CONTEXT: &str = "tca 2026 token encryption key id";

type KeyId = [u8; KEY_ID_LENGTH];

/// Where a sealed text is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenContext<'a> {
    pub table: &'a str,
    pub column: &'a str,
    pub row_id: &'a str,
}

/// A sealed text does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("not a sealed token of a known format")]
    Format,
    #[error("the token was sealed with a key that is not configured any more")]
    UnknownKey,
    #[error("the sealed token was changed, or belongs to another row")]
    Forged,
}

/// The text is too long to be sealed; does not happen below 256 GiB.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the token cannot be sealed")]
pub struct SealError;

/// Seals with its first key and opens with all of them.
#[derive(Debug)]
pub struct TokenCipher {
    first: Entry,
    rest: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    id: KeyId,
    key: Key,
}

impl Entry {
    fn new(key: Key) -> Self {
        let hash = blake3::derive_key(KEY_ID_CONTEXT, key.expose_secret());
        let mut id = KeyId::default();
        id.copy_from_slice(&hash[..KEY_ID_LENGTH]);
        Self { id, key }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.key.expose_secret().into())
    }
}

impl TokenCipher {
    /// A cipher over `keys`, the writing one first; `None` without any.
    pub(super) fn new(keys: Vec<Key>) -> Option<Self> {
        let mut entries = keys.into_iter().map(Entry::new);
        Some(Self { first: entries.next()?, rest: entries.collect() })
    }

    /// Seals `plaintext` for the place that `context` names.
    pub fn seal(&self, context: &TokenContext<'_>, plaintext: &[u8]) -> Result<String, SealError> {
        let nonce: [u8; NONCE_LENGTH] = rand::random();
        let aad = authenticated(context, self.first.id);
        let payload = Payload { msg: plaintext, aad: &aad };
        let ciphertext = self.first.cipher().encrypt(&XNonce::from(nonce), payload).ok().ok_or(SealError)?;
        let mut sealed = Vec::with_capacity(HEADER_LENGTH + ciphertext.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.first.id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens what was sealed for the same place; the result is wiped when dropped.
    pub fn open(&self, context: &TokenContext<'_>, sealed: &str) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok().ok_or(OpenError::Format)?;
        let (version, rest) = bytes.split_first().ok_or(OpenError::Format)?;
        let (id, rest) = rest.split_first_chunk::<KEY_ID_LENGTH>().ok_or(OpenError::Format)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or(OpenError::Format)?;
        if *version != VERSION {
            return Err(OpenError::Format);
        }
        let mut entries = std::iter::once(&self.first).chain(&self.rest);
        let entry = entries.find(|entry| entry.id == *id).ok_or(OpenError::UnknownKey)?;
        let aad = authenticated(context, *id);
        let opened = entry.cipher().decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: &aad });
        opened.map(Zeroizing::new).ok().ok_or(OpenError::Forged)
    }

    /// Whether `sealed` opens but was not sealed with the first key, so that it is worth sealing again.
    pub fn is_outdated(&self, sealed: &str) -> bool {
        let id = URL_SAFE_NO_PAD.decode(sealed).ok().and_then(|bytes| bytes.get(1..=KEY_ID_LENGTH).map(<[u8]>::to_vec));
        id.is_some_and(|id| self.rest.iter().any(|entry| entry.id == id.as_slice()) && self.first.id != id.as_slice())
    }
}

/// Table, column, row and key id, each with its length before it, so that no two places read the same.
fn authenticated(context: &TokenContext<'_>, id: KeyId) -> Vec<u8> {
    let mut aad = vec![VERSION];
    for part in [context.table.as_bytes(), context.column.as_bytes(), context.row_id.as_bytes(), &id] {
        aad.extend_from_slice(&(part.len() as u64).to_le_bytes());
        aad.extend_from_slice(part);
    }
    aad
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::SecretBox;

    use super::*;

    const PLACE: TokenContext<'_> = TokenContext { table: "users", column: "access_token", row_id: "7" };

    fn cipher(keys: &[u8]) -> TokenCipher {
        TokenCipher::new(keys.iter().map(|byte| SecretBox::new(Box::new([*byte; 32]))).collect()).unwrap()
    }

    #[test]
    fn a_sealed_token_opens_only_in_its_own_place() {
        let cipher = cipher(&[1]);
        let sealed = cipher.seal(&PLACE, b"secret").unwrap();
        assert_eq!(cipher.open(&PLACE, &sealed).unwrap().as_slice(), b"secret");
        for other in [
            TokenContext { row_id: "8", ..PLACE },
            TokenContext { column: "refresh_token", ..PLACE },
            TokenContext { table: "user", column: "saccess_token", ..PLACE },
        ] {
            assert_eq!(cipher.open(&other, &sealed), Err(OpenError::Forged));
        }
    }

    #[test]
    fn an_older_key_reads_and_a_missing_one_is_named() {
        let sealed = cipher(&[1]).seal(&PLACE, b"secret").unwrap();
        let rotated = cipher(&[2, 1]);
        assert_eq!(rotated.open(&PLACE, &sealed).unwrap().as_slice(), b"secret");
        assert!(rotated.is_outdated(&sealed));
        assert!(!rotated.is_outdated(&rotated.seal(&PLACE, b"secret").unwrap()));
        assert_eq!(cipher(&[2]).open(&PLACE, &sealed), Err(OpenError::UnknownKey));
    }

    #[test]
    fn the_same_token_never_seals_to_the_same_text() {
        let cipher = cipher(&[1]);
        assert_ne!(cipher.seal(&PLACE, b"x").unwrap(), cipher.seal(&PLACE, b"x").unwrap());
    }

    proptest! {
        #[test]
        fn whatever_is_sealed_opens(plaintext: Vec<u8>, table: String, row_id: String) {
            let place = TokenContext { table: &table, column: "c", row_id: &row_id };
            let sealed = cipher(&[1]).seal(&place, &plaintext).unwrap();
            let opened = cipher(&[1]).open(&place, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), plaintext.as_slice());
        }

        #[test]
        fn a_flipped_bit_anywhere_is_noticed(plaintext: Vec<u8>, at: prop::sample::Index, bit in 0_u8..8) {
            let cipher = cipher(&[1]);
            let mut bytes = URL_SAFE_NO_PAD.decode(cipher.seal(&PLACE, &plaintext).unwrap()).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(cipher.open(&PLACE, &URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }

        #[test]
        fn no_text_makes_opening_panic(sealed: String) {
            prop_assert!(cipher(&[1]).open(&PLACE, &sealed).is_err());
        }
    }
}
