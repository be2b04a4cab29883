//! The keys of the program, all derived from the secrets in the settings.
//!
//! Every purpose has a key of its own (`blake3::derive_key` with a context), so what one of them gives away says nothing
//! about the others. A list of secrets rotates: the first one writes, all of them read. Nothing here prints a key.
//! Stored Twitch tokens are sealed by [`TokenCipher`]; the format stands there.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use subtle::ConstantTimeEq;

use crate::config::SecretSettings;

mod cipher;

pub use cipher::{OpenError, TokenCipher, TokenContext};

/// The derivation contexts: changing one makes everything made with it unreadable.
mod context {
    pub const COOKIE: &str = "tca 2026 web cookie mac";
    pub const CSRF: &str = "tca 2026 csrf mac";
    pub const INTERNAL: &str = "tca 2026 internal token";
    pub const TOKEN_FROM_SESSION: &str = "tca 2026 token encryption from the session secret";
    pub const TOKEN: &str = "tca 2026 token encryption";
}

/// 32 bytes of key, wiped when dropped.
type Key = SecretBox<[u8; 32]>;

/// Every key of a process. A part that this process was given no secret for is absent.
#[derive(Debug)]
pub struct Secrets {
    /// Signs what is kept in cookies; absent without a session secret.
    pub cookie: Option<MacKeys>,
    /// Signs the tokens in forms; absent without a session secret.
    pub csrf: Option<MacKeys>,
    /// What the roles show each other; absent without both secrets.
    pub internal: Option<InternalToken>,
    /// Seals stored Twitch tokens; absent without both secrets.
    pub tokens: Option<TokenCipher>,
}

impl Secrets {
    /// Derives the keys. Call [`SecretSettings::ensure_session`] before.
    pub fn derive(settings: &SecretSettings) -> Self {
        let session = &settings.session;
        // Tokens sealed before TOKEN_KEY was introduced stay readable: the derived keys remain, behind it.
        let mut token_keys = derive_all(context::TOKEN, &settings.token);
        token_keys.extend(derive_all(context::TOKEN_FROM_SESSION, session));
        Self {
            cookie: MacKeys::new(derive_all(context::COOKIE, session)),
            csrf: MacKeys::new(derive_all(context::CSRF, session)),
            internal: InternalToken::new(settings),
            tokens: TokenCipher::new(token_keys),
        }
    }
}

fn derive_all(context: &str, secrets: &[SecretString]) -> Vec<Key> {
    secrets.iter().map(|secret| derive(context, secret)).collect()
}

fn derive(context: &str, secret: &SecretString) -> Key {
    SecretBox::new(Box::new(blake3::derive_key(context, secret.expose_secret().as_bytes())))
}

/// Keys that sign short texts; the first signs, all of them verify.
#[derive(Debug)]
pub struct MacKeys {
    first: Key,
    rest: Vec<Key>,
}

impl MacKeys {
    fn new(keys: Vec<Key>) -> Option<Self> {
        let mut keys = keys.into_iter();
        Some(Self { first: keys.next()?, rest: keys.collect() })
    }

    /// The signature of `message`, 43 characters that may stand in a cookie or a form.
    pub fn sign(&self, message: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(blake3::keyed_hash(self.first.expose_secret(), message).as_bytes())
    }

    /// Whether `signature` was made of `message` by one of the keys; takes equally long wherever it differs.
    pub fn verify(&self, message: &[u8], signature: &str) -> bool {
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return false };
        std::iter::once(&self.first)
            .chain(&self.rest)
            .any(|key| blake3::keyed_hash(key.expose_secret(), message).as_bytes().ct_eq(&signature).into())
    }
}

/// What the roles show each other. The first one is shown; while secrets rotate, those derived from all of them are accepted.
#[derive(Clone)]
pub struct InternalToken {
    shown: SecretString,
    accepted: Vec<SecretString>,
}

impl InternalToken {
    fn new(settings: &SecretSettings) -> Option<Self> {
        let accepted: Vec<SecretString> = if let Some(token) = &settings.internal {
            vec![token.clone()]
        } else {
            let hex = |secret| blake3::Hash::from_bytes(*derive(context::INTERNAL, secret).expose_secret()).to_string();
            settings.session.iter().map(|secret| SecretString::from(hex(secret))).collect()
        };
        Some(Self { shown: accepted.first()?.clone(), accepted })
    }

    /// The token to send.
    pub fn expose(&self) -> &str {
        self.shown.expose_secret()
    }

    /// Whether `token` is right; takes equally long wherever it differs.
    pub fn accepts(&self, token: &str) -> bool {
        let is_same = |known: &SecretString| known.expose_secret().as_bytes().ct_eq(token.as_bytes()).into();
        self.accepted.iter().any(is_same)
    }
}

impl fmt::Debug for InternalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InternalToken([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an old secret of thirty-two bytes or more";
    const NEW: &str = "a new secret, also of thirty-two bytes or so";

    pub fn settings(session: &[&str], token: &[&str], internal: Option<&str>) -> SecretSettings {
        let secrets = |list: &[&str]| list.iter().map(|secret| SecretString::from(*secret)).collect();
        SecretSettings {
            session: secrets(session),
            token: secrets(token),
            internal: internal.map(SecretString::from),
            secret_file: None,
            may_be_made: true,
        }
    }

    fn context() -> TokenContext<'static> {
        TokenContext { table: "users", column: "access_token", row_id: "7" }
    }

    #[test]
    fn what_was_signed_before_a_rotation_is_verified_after_it() {
        let before = Secrets::derive(&settings(&[OLD], &[], None));
        let after = Secrets::derive(&settings(&[NEW, OLD], &[], None));
        let (before, after) = (before.cookie.unwrap(), after.cookie.unwrap());
        let signature = before.sign(b"session");
        assert!(after.verify(b"session", &signature));
        assert!(!after.verify(b"sessiom", &signature));
        assert!(!before.verify(b"session", &after.sign(b"session")));
        assert!(!after.verify(b"session", "?"));
        assert!(!after.verify(b"session", ""));
    }

    #[test]
    fn each_purpose_has_a_key_of_its_own() {
        let secrets = Secrets::derive(&settings(&[OLD], &[], None));
        let signature = secrets.cookie.unwrap().sign(b"x");
        assert!(!secrets.csrf.unwrap().verify(b"x", &signature));
    }

    #[test]
    fn the_internal_token_is_the_given_one_or_a_derived_one() {
        let given = Secrets::derive(&settings(&[], &[], Some("shown"))).internal.unwrap();
        assert_eq!(given.expose(), "shown");
        assert!(given.accepts("shown") && !given.accepts("show") && !given.accepts(""));
        let old = Secrets::derive(&settings(&[OLD], &[], None)).internal.unwrap();
        let rotated = Secrets::derive(&settings(&[NEW, OLD], &[], None)).internal.unwrap();
        assert_eq!(old.expose().len(), 64);
        assert!(rotated.accepts(old.expose()) && !old.accepts(rotated.expose()));
    }

    #[test]
    fn tokens_sealed_before_a_token_key_was_introduced_stay_readable() {
        let before = Secrets::derive(&settings(&[OLD], &[], None)).tokens.unwrap();
        let after = Secrets::derive(&settings(&[OLD], &[NEW], None)).tokens.unwrap();
        let sealed = before.seal(&context(), b"token").unwrap();
        assert_eq!(after.open(&context(), &sealed).unwrap().as_slice(), b"token");
        let sealed = after.seal(&context(), b"token").unwrap();
        assert_eq!(before.open(&context(), &sealed), Err(OpenError::UnknownKey));
    }

    #[test]
    fn without_secrets_there_are_no_keys_and_nothing_is_printed() {
        let none = Secrets::derive(&settings(&[], &[], None));
        assert!(none.cookie.is_none() && none.csrf.is_none() && none.internal.is_none() && none.tokens.is_none());
        let printed = format!("{:?}", Secrets::derive(&settings(&[OLD], &[NEW], Some("visible"))));
        assert!(
            !printed.contains("visible") && !printed.contains("secret of") && printed.contains("REDACTED"),
            "{printed}"
        );
    }
}
