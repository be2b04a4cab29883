//! Every dependency that this platform builds has a licence that the project may ship under.
//!
//! Reads `cargo metadata` and needs no network once the dependencies are there. `deny.toml` holds the same list for cargo-deny.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::process::Command;

use serde_json::Value;

const ALLOWED: [&str; 13] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
/// Exceptions only ever add permissions.
const ALLOWED_EXCEPTIONS: [&str; 1] = ["LLVM-exception"];

#[test]
fn every_dependency_has_an_allowed_licence() {
    let metadata = metadata();
    let built: Vec<&str> = strings(&metadata["resolve"]["nodes"], "id").collect();
    let offenders: Vec<String> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| package["id"].as_str().is_some_and(|id| built.contains(&id)))
        .filter_map(|package| {
            let license = package["license"].as_str().unwrap_or("no licence named");
            let offends = !is_allowed(license);
            offends.then(|| format!("{} {}: {license}", package["name"], package["version"]))
        })
        .collect();
    assert!(built.len() > 100, "cargo metadata lists only {} packages", built.len());
    assert!(offenders.is_empty(), "licences that are not allowed:\n{}", offenders.join("\n"));
}

fn metadata() -> Value {
    let cargo = env!("CARGO");
    let versions = Command::new(cargo).arg("-vV").output().expect("cargo runs").stdout;
    let versions = String::from_utf8(versions).unwrap();
    let host = versions.lines().find_map(|line| line.strip_prefix("host: ")).expect("cargo names its host");
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata writes JSON")
}

fn strings<'a>(list: &'a Value, field: &'a str) -> impl Iterator<Item = &'a str> {
    list.as_array().into_iter().flatten().filter_map(move |item| item[field].as_str())
}

/// Whether an SPDX expression can be met with allowed licences alone.
fn is_allowed(expression: &str) -> bool {
    // Old manifests write `MIT/Apache-2.0` for "or".
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest) == Some(true) && rest.is_empty()
}

/// `None`: not an expression.
fn any_of(words: &mut &[&str]) -> Option<bool> {
    let mut allowed = all_of(words)?;
    while words.first() == Some(&"OR") {
        *words = &words[1..];
        allowed |= all_of(words)?;
    }
    Some(allowed)
}

/// `AND` binds closer than `OR`.
fn all_of(words: &mut &[&str]) -> Option<bool> {
    let mut allowed = one(words)?;
    while words.first() == Some(&"AND") {
        *words = &words[1..];
        allowed &= one(words)?;
    }
    Some(allowed)
}

fn one(words: &mut &[&str]) -> Option<bool> {
    let (word, rest) = words.split_first()?;
    *words = rest;
    if *word == "(" {
        let allowed = any_of(words)?;
        let (closing, rest) = words.split_first()?;
        *words = rest;
        return (*closing == ")").then_some(allowed);
    }
    if [")", "AND", "OR", "WITH"].contains(word) {
        return None;
    }
    let mut allowed = ALLOWED.contains(&word.trim_end_matches('+'));
    if let ["WITH", exception, rest @ ..] = *words {
        allowed &= ALLOWED_EXCEPTIONS.contains(exception);
        *words = rest;
    }
    Some(allowed)
}

#[test]
fn expressions_are_understood() {
    for allowed in [
        "MIT",
        "MIT OR GPL-3.0",
        "GPL-3.0 OR MIT",
        "MIT/Apache-2.0",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        "GPL-3.0 AND ISC OR Zlib",
    ] {
        assert!(is_allowed(allowed), "{allowed}");
    }
    for refused in [
        "",
        "GPL-3.0-or-later",
        "MIT AND GPL-3.0",
        "MIT AND (GPL-3.0 OR AGPL-3.0)",
        "ISC AND OpenSSL",
        "Apache-2.0 WITH Unknown-exception",
        "MIT OR",
        "(MIT",
        "MIT)",
        "MIT GPL-3.0",
        "no licence named",
    ] {
        assert!(!is_allowed(refused), "{refused}");
    }
}
