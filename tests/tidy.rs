//! The borders that the compiler does not guard: which room may use which, where a library may stand, what a page may hold.
//!
//! The map is in `docs/ARCHITECTURE.md`. Every finding names the file and the line.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// From the bottom up. A room may use the rooms below it; those beside it as long as that makes no circle.
const FLOORS: [&[&str]; 8] = [
    &["wire", "db", "store", "secrets", "i18n", "clock", "config", "telemetry", ROLE_NAMES],
    &["account", "user", "twitch", "job", "audit", "simulator"],
    &["session", "capture", "channel"],
    &["login", "analysis"],
    &["roles"],
    &["serve", "demo"],
    &["cli"],
    &["main"],
];
/// `src/roles.rs` itself, whose types begin with a capital: `crate::roles::Role`.
const ROLE_NAMES: &str = "the role names";

/// A word, and the beginnings of the paths in which alone it may stand.
const PLACES: [(&str, &[&str]); 4] = [
    ("actix_web", &["src/roles/", "src/simulator"]),
    ("fred", &["src/store/redis.rs"]),
    ("Utc::now", &["src/clock.rs"]),
    ("SystemTime::now", &["src/clock.rs"]),
];

#[test]
fn the_borders_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: Vec<Source> = files(root, "src", "rs").collect();
    assert!(sources.len() > 5, "only {} files under src", sources.len());
    let mut findings = check_directions(&sources);
    for source in &sources {
        check_places(source, &mut findings);
    }
    for source in files(root, "templates", "html") {
        check_template(&source, &mut findings);
    }
    for folder in ["src", "tests", "migrations"] {
        for source in files(root, folder, "rs").filter(|source| source.path != "tests/tidy.rs") {
            check_ignored_tests(&source, &mut findings);
        }
    }
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

/// A file: its path from the root of the repository, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn finding(&self, line: usize, complaint: &str) -> String {
        format!("{}:{}: {complaint}", self.path, line + 1)
    }

    /// The lines of Rust code without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().map(|line| line.split("//").next().unwrap_or(line)).enumerate()
    }

    fn room(&self) -> &str {
        let inside = self.path.trim_start_matches("src/");
        match inside {
            "roles.rs" => ROLE_NAMES,
            _ => inside.split(['/', '.']).next().unwrap_or(inside),
        }
    }
}

fn files(root: &Path, folder: &str, extension: &str) -> impl Iterator<Item = Source> {
    let mut folders = vec![root.join(folder)];
    let mut found: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        // A folder that does not exist has no faults.
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found.into_iter().map(move |path| Source {
        text: fs::read_to_string(&path).unwrap(),
        path: path.strip_prefix(root).unwrap().display().to_string(),
    })
}

fn check_directions(sources: &[Source]) -> Vec<String> {
    let floor = |room: &str| FLOORS.iter().position(|rooms| rooms.contains(&room));
    let mut findings = Vec::new();
    let mut beside: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.path != "src/lib.rs") {
        let Some(from) = floor(source.room()) else {
            findings
                .push(source.finding(0, "this room has no floor: add it to tests/tidy.rs and docs/ARCHITECTURE.md"));
            continue;
        };
        for (line, used) in used_rooms(source) {
            let Some(used) = FLOORS.iter().flat_map(|rooms| rooms.iter().copied()).find(|room| *room == used) else {
                findings.push(source.finding(line, &format!("`crate::{used}` is no room that tests/tidy.rs knows")));
                continue;
            };
            if floor(used) > Some(from) {
                findings
                    .push(source.finding(line, &format!("{} must not use {used}, which is above it", source.room())));
            } else if floor(used) == Some(from) && used != source.room() {
                beside.entry(source.room()).or_default().insert(used);
            }
        }
    }
    for (from, used) in &beside {
        for to in used.iter().filter(|to| reaches(&beside, to, from)) {
            findings.push(format!("src/{from}: {from} uses {to}, and {to} uses {from}: a circle"));
        }
    }
    findings
}

fn reaches(uses: &BTreeMap<&str, BTreeSet<&str>>, from: &str, to: &str) -> bool {
    let (mut open, mut seen) = (vec![from], BTreeSet::new());
    while let Some(room) = open.pop() {
        if room == to {
            return true;
        }
        if seen.insert(room) {
            open.extend(uses.get(room).into_iter().flatten());
        }
    }
    false
}

/// The rooms behind each `crate::`, unit tests at the end of a file left out: they may use what they like.
fn used_rooms(source: &Source) -> Vec<(usize, String)> {
    let lines: Vec<(usize, &str)> = source.code().collect();
    let tests_from = lines
        .windows(2)
        .position(|pair| pair[0].1.trim() == "#[cfg(test)]" && pair[1].1.trim_start().starts_with("mod "))
        .unwrap_or(lines.len());
    let mut used = Vec::new();
    for (index, (line, text)) in lines[..tests_from].iter().enumerate() {
        for (at, path) in text.match_indices("crate::") {
            if text[..at].ends_with(|before: char| before.is_alphanumeric() || "_$".contains(before)) {
                continue;
            }
            let path = &text[at + path.len()..];
            if path.starts_with('{') {
                let following: String = lines[index + 1..tests_from].iter().map(|(_, text)| *text).collect();
                used.extend(group_members(&format!("{path}{following}")).into_iter().map(|room| (*line, room)));
            } else {
                used.extend(room_of_path(path).map(|room| (*line, room)));
            }
        }
    }
    used
}

/// `{a::b, c::{d, e}}` holds `a::b` and `c::{d, e}`.
fn group_members(text: &str) -> Vec<String> {
    let (mut depth, mut member, mut members) = (0, String::new(), Vec::new());
    for c in text.chars() {
        match c {
            '{' if depth == 0 => depth = 1,
            '}' if depth == 1 => break,
            ',' if depth == 1 => members.push(std::mem::take(&mut member)),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                member.push(c);
            }
        }
    }
    members.push(member);
    members.iter().filter_map(|member| room_of_path(member.trim())).collect()
}

fn room_of_path(path: &str) -> Option<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (room, rest) = path.split_at(path.find(|c| !is_word(c)).unwrap_or(path.len()));
    let next = rest.trim_start_matches("::").trim_start_matches('{').chars().next();
    match room {
        "" => None,
        "roles" if next.is_some_and(char::is_uppercase) => Some(ROLE_NAMES.to_owned()),
        _ => Some(room.to_owned()),
    }
}

fn check_places(source: &Source, findings: &mut Vec<String>) {
    let is_view = source.code().any(|(_, line)| line.contains("derive(") && line.contains("Template"));
    for (line, text) in source.code() {
        for (word, places) in PLACES {
            if has_word(text, word) && !places.iter().any(|place| source.path.starts_with(place)) {
                findings.push(source.finding(line, &format!("`{word}` may stand only in {}", places.join(", "))));
            }
        }
        if is_view && has_word(text, "sea_orm") {
            findings.push(source.finding(line, "what a template shows knows no database rows: move `sea_orm` out"));
        }
    }
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part))
}

/// The content security policy of the pages allows none of these.
fn check_template(source: &Source, findings: &mut Vec<String>) {
    for (line, text) in source.text.lines().enumerate() {
        let lower = text.to_lowercase();
        let attributes = lower.split(|c: char| c.is_whitespace() || c == '"' || c == '\'');
        for attribute in attributes.filter_map(|word| word.split_once('=').map(|(name, _)| name)) {
            let handler =
                attribute.len() > 3 && attribute.starts_with("on") && attribute.chars().all(|c| c.is_ascii_lowercase());
            if handler || attribute == "style" {
                findings.push(source.finding(line, &format!("no inline `{attribute}=` in a template")));
            }
        }
        if lower.contains("<style") {
            findings.push(source.finding(line, "no <style> in a template: static/ has the one stylesheet"));
        }
        for (at, _) in lower.match_indices("<script") {
            // An attribute may stand on one of the next lines.
            let following: String = source.text.lines().skip(line).take(5).collect::<Vec<_>>().join(" ").to_lowercase();
            let tag = following[at..].split('>').next().unwrap_or_default();
            if !tag.contains(" src=") {
                findings.push(source.finding(line, "no script without src in a template"));
            }
        }
        if lower.contains("javascript:") {
            findings.push(source.finding(line, "no javascript: address in a template"));
        }
    }
}

fn check_ignored_tests(source: &Source, findings: &mut Vec<String>) {
    for (line, text) in source.code() {
        if text.trim_start().starts_with("#[ignore") {
            findings.push(source.finding(line, "a test that is not run proves nothing: mend it or remove it"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_room_uses_only_what_is_below_it() {
        let sources = [
            source(
                "src/job.rs",
                "use crate::{clock::Clock,\n  db::{self, Db},\n  roles::RoleSet};\nuse crate::capture;",
            ),
            source("src/capture/fetch.rs", "// crate::cli\nfn f() { crate::job::run(); }\nuse crate::roles::gateway;"),
            source("src/capture.rs", "#[cfg(test)]\nmod tests {\n use crate::demo; }"),
            source("src/twitch.rs", "use crate::account;"),
            source("src/account.rs", "use crate::audit;"),
            source("src/audit.rs", "use crate::{twitch, nowhere};"),
            source("src/utils.rs", ""),
        ];
        assert_eq!(
            check_directions(&sources),
            [
                "src/job.rs:4: job must not use capture, which is above it",
                "src/capture/fetch.rs:3: capture must not use roles, which is above it",
                "src/audit.rs:1: `crate::nowhere` is no room that tests/tidy.rs knows",
                "src/utils.rs:1: this room has no floor: add it to tests/tidy.rs and docs/ARCHITECTURE.md",
                "src/account: account uses audit, and audit uses account: a circle",
                "src/audit: audit uses twitch, and twitch uses audit: a circle",
                "src/twitch: twitch uses account, and account uses twitch: a circle",
            ]
        );
    }

    #[test]
    fn libraries_stay_where_they_belong() {
        let mut findings = Vec::new();
        check_places(&source("src/roles/gateway.rs", "use actix_web::web;\n// fred\nlet freddy = 1;"), &mut findings);
        assert_eq!(findings, [""; 0]);
        check_places(&source("src/job.rs", "\nuse fred::x;\nlet t = chrono::Utc::now();"), &mut findings);
        check_places(&source("src/roles/a.rs", "#[derive(Debug, Template)]\nstruct A(sea_orm::Id);"), &mut findings);
        assert_eq!(findings.len(), 3, "{findings:?}");
        assert!(findings[0].starts_with("src/job.rs:2: `fred`"));
    }

    #[test]
    fn templates_hold_nothing_inline() {
        let mut findings = Vec::new();
        let clean = "<p class=\"a\">style=none onwards</p><script\n src=\"/a.js\" defer></script><a href=\"?on=1\">";
        check_template(&source("templates/a.html", &clean.replace("style=none ", "")), &mut findings);
        assert_eq!(findings, [""; 0]);
        for dirty in ["<p style=\"a\">", "<style>", "<b onclick='x()'>", "<script>", "<a href=\"javascript:x\">"] {
            findings.clear();
            check_template(&source("templates/a.html", &format!("\n{dirty}")), &mut findings);
            assert_eq!(findings.len(), 1, "{dirty}: {findings:?}");
            assert!(findings[0].starts_with("templates/a.html:2: "));
        }
    }

    #[test]
    fn ignored_tests_are_found() {
        let mut findings = Vec::new();
        check_ignored_tests(&source("tests/a.rs", "#[test]\n#[ignore = \"later\"]\nfn a() {}"), &mut findings);
        assert_eq!(findings.len(), 1);
    }
}
