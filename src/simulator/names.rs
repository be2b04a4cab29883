//! Names for simulated accounts, made from word lists by rule; none is copied from a real account.
//!
//! A name is decoded from the account's number, and no two numbers decode to the same name: the rule is chosen by a part of the
//! number, the words and digits by the rest. Nothing needs to be remembered about who has which name.

use super::chance::{Dice, Shuffle};

/// Words in French and English, 3 to 8 letters, none ending in `x` (that ending belongs to the made-up words).
const WORDS: [&str; 240] = [
    "lune", "nuage", "renard", "loutre", "hibou", "mistral", "cerise", "velours", "orage", "papillon", "biscuit",
    "tonnerre", "galet", "fougere", "citron", "ardoise", "lanterne", "marmotte", "pirate", "sorbet", "tulipe",
    "violon", "zephyr", "brume", "castor", "dragon", "ecureuil", "falaise", "girafe", "herisson", "iris", "jonquil",
    "koala", "lagune", "mangue", "noisette", "olive", "pepite", "quartier", "riviere", "sapin", "tortue", "vanille",
    "wagon", "yaourt", "zinc", "abricot", "baleine", "cactus", "dauphin", "etoile", "flocon", "grenade", "horizon",
    "indigo", "jardin", "kayak", "licorne", "moulin", "navire", "ombre", "prairie", "raisin", "sentier", "tambour",
    "univers", "voyage", "aurore", "beignet", "cascade", "digue", "encrier", "ferme", "goupil", "harpe", "ivoire",
    "jumelle", "kermesse", "loupiote", "muscade", "nacelle", "oreille", "pavot", "ruelle", "sardine", "toupie",
    "verger", "baguette", "camembr", "croute", "mouette", "ananas", "bouclier", "cabane", "domino", "epice", "petit",
    "grand", "vermeil", "jolie", "calme", "drole", "sage", "noir", "bleu", "vert", "rouge", "blanc", "rapide",
    "tendre", "brave", "douce", "fier", "vif", "gourmand", "perdu", "salade", "caramel", "cannelle", "praline",
    "shadow", "pixel", "night", "silent", "frost", "ember", "storm", "raven", "falcon", "tiger", "panda", "otter",
    "badger", "cobra", "wolf", "hawk", "maple", "cedar", "river", "stone", "copper", "silver", "golden", "crimson",
    "velvet", "cosmic", "lunar", "solar", "nova", "comet", "orbit", "rocket", "laser", "turbo", "glitch", "vector",
    "cipher", "byte", "arcade", "joystick", "quest", "rogue", "knight", "wizard", "goblin", "troll", "paladin",
    "ranger", "hunter", "sniper", "captain", "sailor", "farmer", "baker", "miner", "tinker", "drummer", "singer",
    "dancer", "jester", "pancake", "waffle", "muffin", "cookie", "pickle", "noodle", "dumpling", "nacho", "pretzel",
    "bagel", "mango", "peach", "lemon", "ginger", "pepper", "basil", "mint", "clover", "willow", "daisy", "poppy",
    "fern", "moss", "coral", "pebble", "canyon", "summit", "valley", "harbor", "island", "lagoon", "tundra", "desert",
    "meadow", "forest", "glacier", "happy", "sleepy", "lucky", "sneaky", "grumpy", "fuzzy", "spicy", "salty", "mighty",
    "tiny", "wild", "brisk", "quiet", "loud", "electric", "magnetic", "plastic", "retro", "vintage", "neon", "hollow",
    "broken", "frozen", "burning",
];
const PREFIXES: [&str; 12] =
    ["le_", "la_", "its_", "mr_", "im_", "xx_", "the_", "lord_", "miss_", "not_", "real_", "un_"];
const SUFFIXES: [&str; 12] = ["_tv", "tv", "ttv", "_ttv", "_off", "_fr", "fr", "gg", "yt", "_live", "_qc", "hd"];
/// Two letters each, so that made-up words decode in one way only.
const SYLLABLES: [&str; 40] = [
    "ba", "be", "bo", "da", "di", "do", "fa", "fi", "ga", "gu", "ka", "ke", "ki", "ko", "la", "le", "li", "lo", "ma",
    "mi", "mo", "na", "ne", "ni", "no", "ra", "re", "ri", "ro", "sa", "se", "ta", "ti", "to", "va", "vi", "vo", "za",
    "ze", "zo",
];
/// Letters of display names in other scripts, and the Latin spelling their owners' logins start with.
const SCRIPTS: [[(&str, &str); 10]; 3] = [
    [
        ("か", "ka"),
        ("な", "na"),
        ("み", "mi"),
        ("ゆ", "yu"),
        ("き", "ki"),
        ("は", "ha"),
        ("る", "ru"),
        ("そ", "so"),
        ("ら", "ra"),
        ("の", "no"),
    ],
    [
        ("하", "ha"),
        ("나", "na"),
        ("민", "min"),
        ("서", "seo"),
        ("지", "ji"),
        ("우", "u"),
        ("별", "byeol"),
        ("달", "dal"),
        ("소", "so"),
        ("라", "ra"),
    ],
    [
        ("小", "xiao"),
        ("明", "ming"),
        ("月", "yue"),
        ("风", "feng"),
        ("雨", "yu"),
        ("星", "xing"),
        ("海", "hai"),
        ("林", "lin"),
        ("云", "yun"),
        ("山", "shan"),
    ],
];

const WORD_COUNT: u64 = WORDS.len() as u64;
const PAIRS: u64 = WORD_COUNT * WORD_COUNT;
const TRIPLES: u64 = (SYLLABLES.len() * SYLLABLES.len() * SYLLABLES.len()) as u64;
const DOUBLES: u64 = (SYLLABLES.len() * SYLLABLES.len()) as u64;
/// The low bits of a number choose the rule; this many numbers follow each slot.
const SLOTS: u32 = 1024;
const NUMBERS_A_SLOT: u64 = (1 << Shuffle::BITS) / SLOTS as u64;

/// The rules: how many of the 1,024 slots follow each, and how many names it can make.
const RULES: [(Rule, u32, u64); 15] = [
    (Rule::Pair, 27, PAIRS),
    (Rule::PairLine, 27, PAIRS),
    (Rule::Pair2Digits, 170, PAIRS * 90),
    (Rule::Pair3Digits, 60, PAIRS * 900),
    (Rule::Word3Digits, 90, WORD_COUNT * 900),
    (Rule::Word4Digits, 110, WORD_COUNT * 9_000),
    (Rule::WordLine2Digits, 10, WORD_COUNT * 90),
    (Rule::PairLineInside2Digits, 120, PAIRS * 90),
    (Rule::Prefix, 100, PAIRS * 12),
    (Rule::Suffix, 100, PAIRS * 12),
    (Rule::MadeUp, 30, TRIPLES),
    (Rule::MadeUp1Digit, 60, TRIPLES * 9),
    (Rule::MadeUp2Digits, 50, DOUBLES * 90),
    (Rule::PairLineYear, 20, PAIRS * 43),
    (Rule::Script, 50, 3 * 1_000 * 900),
];

#[derive(Clone, Copy, Debug)]
enum Rule {
    Pair,
    PairLine,
    Pair2Digits,
    Pair3Digits,
    Word3Digits,
    Word4Digits,
    WordLine2Digits,
    PairLineInside2Digits,
    Prefix,
    Suffix,
    MadeUp,
    MadeUp1Digit,
    MadeUp2Digits,
    PairLineYear,
    Script,
}

/// Login and display name of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Lower case, `[a-z0-9_]`, 4 to 25 characters.
    pub login: String,
    /// The login with capitals, or a name in another script.
    pub display_name: String,
}

impl Name {
    /// A name whose display name is the login.
    pub fn plain(login: &str) -> Self {
        Self { login: login.to_ascii_lowercase(), display_name: login.to_owned() }
    }
}

/// Whether Twitch would accept this as a login.
pub fn is_valid_login(login: &str) -> bool {
    (4..=25).contains(&login.len())
        && !login.starts_with('_')
        && login.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// The name of the account with this number.
pub(super) fn name_of(number: u32, shuffle: Shuffle, dice: Dice) -> Name {
    let shuffled = shuffle.apply(number);
    let slot = shuffled % SLOTS;
    let mut first = 0;
    let (rule, first, capacity) = RULES
        .iter()
        .find_map(|(rule, slots, capacity)| {
            let start = first;
            first += slots;
            (slot < first).then_some((*rule, start, *capacity))
        })
        .unwrap_or((Rule::Pair3Digits, 0, PAIRS * 900));
    let rank = u64::from(slot - first) * NUMBERS_A_SLOT + u64::from(shuffled / SLOTS);
    // A factor without a common divisor with any capacity spreads neighbours over all words and stays one-to-one.
    let spread = rank * 1_000_003 % capacity;
    dressed(&parts(rule, spread), dice.roll(&[u64::from(number)]))
}

/// A name made of two words, a low line and four digits, the template of a wave; genuine accounts never get one with these digits.
pub(super) fn wave_name(dice: Dice, turn: u64) -> Name {
    let digits = match dice.below(9_000, &[turn, 1]) + 1_000 {
        year @ 1_970..=2_012 => year + 3_000,
        other => other,
    };
    let pair = dice.below(PAIRS, &[turn, 0]);
    Name::plain(&format!("{}{}_{digits}", word(pair / WORD_COUNT), word(pair % WORD_COUNT)))
}

enum Part {
    Text(&'static str),
    Digits(u64),
    Localized(Vec<(&'static str, &'static str)>),
}

fn parts(rule: Rule, index: u64) -> Vec<Part> {
    use Part::{Digits, Localized, Text};
    let pair = |index: u64| [Text(word(index / WORD_COUNT)), Text(word(index % WORD_COUNT))];
    let made_up =
        |index: u64, length: u32| (0..length).map(move |place| Text(SYLLABLES[at(index / 40u64.pow(place), 40)]));
    let with = |index: u64, tail: Vec<Part>| pair(index).into_iter().chain(tail).collect();
    let lined = |index: u64, tail: Vec<Part>| {
        let [one, two] = pair(index);
        [one, Text("_"), two].into_iter().chain(tail).collect()
    };
    match rule {
        Rule::Pair => with(index, vec![]),
        Rule::PairLine => lined(index, vec![]),
        Rule::Pair2Digits => with(index / 90, vec![Digits(10 + index % 90)]),
        Rule::Pair3Digits => with(index / 900, vec![Digits(100 + index % 900)]),
        Rule::Word3Digits => vec![Text(word(index / 900)), Digits(100 + index % 900)],
        Rule::Word4Digits => vec![Text(word(index / 9_000)), Digits(1_000 + index % 9_000)],
        Rule::WordLine2Digits => {
            vec![Text(word(index / 90)), Text("_"), Digits(10 + index % 90)]
        }
        Rule::PairLineInside2Digits => lined(index / 90, vec![Digits(10 + index % 90)]),
        Rule::Prefix => {
            let [one, two] = pair(index / 12);
            vec![Text(PREFIXES[at(index, 12)]), one, two]
        }
        Rule::Suffix => with(index / 12, vec![Text(SUFFIXES[at(index, 12)])]),
        Rule::MadeUp => made_up(index, 3).chain([Text("x")]).collect(),
        Rule::MadeUp1Digit => made_up(index / 9, 3).chain([Digits(1 + index % 9)]).collect(),
        Rule::MadeUp2Digits => made_up(index / 90, 2).chain([Text("x"), Digits(10 + index % 90)]).collect(),
        Rule::PairLineYear => with(index / 43, vec![Text("_"), Digits(1_970 + index % 43)]),
        Rule::Script => {
            let letters = index / 900;
            let script = &SCRIPTS[at(letters / 1_000, 3)];
            let spelled = (0..3u32).map(|place| script[at(letters / 10u64.pow(place), 10)]);
            let tail = ["_jp", "_kr", "_cn"][at(letters / 1_000, 3)];
            vec![Localized(spelled.collect()), Text(tail), Digits(100 + index % 900)]
        }
    }
}

/// Joins the parts: the login as it is, the display name with the capitals this account's owner likes.
fn dressed(parts: &[Part], taste: u64) -> Name {
    let mut login = String::new();
    let mut display_name = String::new();
    for part in parts {
        match part {
            Part::Text(text) => {
                login.push_str(text);
                display_name.push_str(&capitals(text, taste % 100, display_name.is_empty()));
            }
            Part::Digits(number) => {
                login.push_str(&number.to_string());
                display_name.push_str(&number.to_string());
            }
            Part::Localized(letters) => {
                login.extend(letters.iter().map(|(_, latin)| *latin));
                // Half of them keep the Latin spelling.
                if taste.is_multiple_of(2) {
                    let display_name = letters.iter().map(|(letter, _)| *letter).collect();
                    return Name { login: finished(login, parts), display_name };
                }
                display_name.push_str(&login);
            }
        }
    }
    Name { login, display_name }
}

/// The login of an account whose display name needs no further part.
fn finished(mut login: String, parts: &[Part]) -> String {
    for part in parts.iter().skip(1) {
        match part {
            Part::Text(text) => login.push_str(text),
            Part::Digits(number) => login.push_str(&number.to_string()),
            Part::Localized(_) => {}
        }
    }
    login
}

fn capitals(text: &str, taste: u64, first: bool) -> String {
    match taste {
        0..45 => text.to_owned(),
        45..50 => text.to_ascii_uppercase(),
        50..70 if !first => text.to_owned(),
        _ => {
            let mut letters = text.chars();
            let initial = letters.next().map(|letter| letter.to_ascii_uppercase());
            initial.into_iter().chain(letters).collect()
        }
    }
}

fn word(index: u64) -> &'static str {
    WORDS[at(index, WORDS.len())]
}

fn at(index: u64, length: usize) -> usize {
    usize::try_from(index % length as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn rules_fill_all_slots_and_none_runs_out_of_names() {
        assert_eq!(RULES.iter().map(|rule| rule.1).sum::<u32>(), SLOTS);
        for (rule, slots, capacity) in RULES {
            assert!(u64::from(slots) * NUMBERS_A_SLOT <= capacity, "{rule:?}");
            assert!(capacity % 1_000_003 != 0);
        }
        assert_eq!(WORDS.iter().collect::<HashSet<_>>().len(), WORDS.len());
        assert!(WORDS.iter().all(|word| !word.ends_with('x')));
    }

    #[test]
    fn all_names_are_valid_and_no_two_accounts_share_one() {
        let dice = Dice::new(1);
        let shuffle = Shuffle::new(dice);
        let mut seen = HashSet::new();
        for number in 0..1 << Shuffle::BITS {
            let name = name_of(number, shuffle, dice);
            assert!(is_valid_login(&name.login), "{name:?}");
            assert!(!name.display_name.is_empty());
            let login = name.login.clone();
            assert!(seen.insert(name.login), "{login} twice");
        }
    }

    #[test]
    fn wave_names_follow_one_template() {
        for turn in 0..2_000 {
            let name = wave_name(Dice::new(3), turn);
            let (words, digits) = name.login.split_once('_').unwrap();
            assert!(words.bytes().all(|byte| byte.is_ascii_lowercase()), "{name:?}");
            assert_eq!(digits.len(), 4);
            assert!(is_valid_login(&name.login));
        }
    }
}
