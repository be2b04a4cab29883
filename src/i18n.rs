//! The two languages of the site, and how numbers, dates and sentences are written in each.
//!
//! Both languages stand side by side at the place of use, `l.t("Overview", "Accueil")`, so that neither can be forgotten.
//! Times are written in UTC; the page's script may show them in the reader's own zone. Nothing here knows a page.

mod format;

pub use format::Given;

/// A language the site speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
}

impl Lang {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::En, Self::Fr];

    /// The language tag, as it stands in `html lang` and in the preference cookie.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
        }
    }

    /// Reads a language tag such as `fr`, `fr-CA` or `EN`.
    pub fn parse(tag: &str) -> Option<Self> {
        let primary = tag.trim().split('-').next().unwrap_or_default();
        Self::ALL
            .into_iter()
            .find(|lang| lang.as_str().eq_ignore_ascii_case(primary))
    }

    /// The language a browser asks for; English when it asks for neither.
    pub fn from_accept_language(header: &str) -> Self {
        let mut best = (Self::default(), 0.0_f32);
        for part in header.split(',') {
            let (tag, parameters) = part.split_once(';').unwrap_or((part, ""));
            let quality = match parameters.trim().strip_prefix("q=") {
                Some(q) => q
                    .trim()
                    .parse::<f32>()
                    .ok()
                    .filter(|q| (0.0..=1.0).contains(q))
                    .unwrap_or(0.0),
                None => 1.0,
            };
            // Earlier entries win ties, as RFC 9110 leaves the order to us and browsers list the preferred one first.
            if let Some(lang) = Self::parse(tag)
                && quality > best.1
            {
                best = (lang, quality);
            }
        }
        best.0
    }

    /// One of two texts.
    pub const fn t(self, en: &'static str, fr: &'static str) -> &'static str {
        match self {
            Self::En => en,
            Self::Fr => fr,
        }
    }

    /// The word in the number that `n` asks for: French counts 0 and 1 as singular, English only 1.
    pub fn plural(
        self,
        n: impl Given<u64>,
        en_one: &'static str,
        en_many: &'static str,
        fr_one: &'static str,
        fr_many: &'static str,
    ) -> &'static str {
        match (self, n.given()) {
            (Self::En, 1) => en_one,
            (Self::En, _) => en_many,
            (Self::Fr, 0 | 1) => fr_one,
            (Self::Fr, _) => fr_many,
        }
    }

    /// A number with its word: `1,234 accounts`, `1 compte`.
    pub fn count(
        self,
        n: impl Given<u64>,
        en_one: &'static str,
        en_many: &'static str,
        fr_one: &'static str,
        fr_many: &'static str,
    ) -> String {
        let n = n.given();
        format!("{} {}", self.n(n), self.plural(n, en_one, en_many, fr_one, fr_many))
    }

    /// `1,234 accounts`, the count most pages show.
    pub fn accounts(self, n: impl Given<u64>) -> String {
        self.count(n, "account", "accounts", "compte", "comptes")
    }

    /// `7 captures`.
    pub fn captures(self, n: impl Given<u64>) -> String {
        self.count(n, "capture", "captures", "capture", "captures")
    }

    /// `a`, `a and b`, `a, b and c`.
    pub fn list<S: AsRef<str>>(self, items: &[S]) -> String {
        let Some((last, rest)) = items.split_last() else {
            return String::new();
        };
        if rest.is_empty() {
            return last.as_ref().to_owned();
        }
        let head: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
        format!("{} {} {}", head.join(", "), self.t("and", "et"), last.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_decides_the_first_language() {
        for (header, expected) in [
            ("", Lang::En),
            ("de-DE,de;q=0.9", Lang::En),
            ("fr", Lang::Fr),
            ("fr-CA,fr;q=0.9,en;q=0.8", Lang::Fr),
            ("en-GB,fr;q=0.9", Lang::En),
            ("de,en;q=0.4,fr;q=0.7", Lang::Fr),
            ("en;q=0,fr;q=0.1", Lang::Fr),
            ("fr;q=0", Lang::En),
            ("fr;q=nonsense,en;q=0.1", Lang::En),
            ("fr , en", Lang::Fr),
            (";;;,,q=1", Lang::En),
        ] {
            assert_eq!(Lang::from_accept_language(header), expected, "{header}");
        }
    }

    #[test]
    fn tags_are_read_without_regard_to_case_or_region() {
        assert_eq!(Lang::parse("FR-be"), Some(Lang::Fr));
        assert_eq!(Lang::parse("english"), None);
    }

    #[test]
    fn zero_is_singular_in_french_only() {
        assert_eq!(Lang::En.accounts(0_u64), "0 accounts");
        assert_eq!(Lang::Fr.accounts(0_u64), "0 compte");
        assert_eq!(Lang::En.accounts(1_u64), "1 account");
        assert_eq!(Lang::Fr.accounts(2_u64), "2 comptes");
    }

    #[test]
    fn lists_end_with_the_word_for_and() {
        assert_eq!(Lang::En.list::<&str>(&[]), "");
        assert_eq!(Lang::En.list(&["a"]), "a");
        assert_eq!(Lang::Fr.list(&["a", "b", "c"]), "a, b et c");
    }
}
