//! Reads the layers and lets the later ones win, setting by setting.
//!
//! Every value becomes a text here, as the environment would give it; what the text means is decided in `reader.rs`.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs,
    path::Path,
};

use config::{File, FileFormat, Map, Value, ValueKind};

use super::{
    Inputs,
    problem::Problem,
    table::{Kind, Setting, TABLE},
};

/// The defaults that are built into the program.
pub const BUILT_IN: &str = include_str!("../../config/default.toml");

/// The source of a value that nobody set.
pub const DEFAULT_SOURCE: &str = "default";

/// A value as text, and where it was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    pub text: String,
    pub source: String,
}

/// The values of all layers, the last one of each key.
pub type Merged = BTreeMap<&'static str, Found>;

/// Merges defaults, files, environment and flags; what is wrong is added to `problems`.
pub fn merge(inputs: &Inputs, problems: &mut Vec<Problem>) -> Merged {
    let mut merged = from_toml(BUILT_IN, DEFAULT_SOURCE, problems);
    let env = inputs.env.get("APP_ENV").filter(|env| is_file_stem(env)).map_or("development", String::as_str);
    for name in ["default", env, "local"] {
        let path = inputs.config_dir.join(format!("{name}.toml"));
        let Some(text) = read_if_present(&path, problems) else { continue };
        for (key, found) in from_toml(&text, &path.display().to_string(), problems) {
            // The shipped copy of the defaults is not worth naming as a source.
            if merged.get(key).is_none_or(|known| known.text != found.text) {
                merged.insert(key, found);
            }
        }
    }
    merged.extend(from_environment(&inputs.env, problems));
    for (key, text) in &inputs.flags {
        if let Some(row) = Setting::find(key) {
            merged.insert(row.key, Found { text: text.clone(), source: "flag".to_owned() });
        }
    }
    merged
}

/// Keeps a wrong `APP_ENV` from naming a file elsewhere; that it is wrong is reported with the other values.
fn is_file_stem(env: &str) -> bool {
    !env.is_empty() && env.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn read_if_present(path: &Path, problems: &mut Vec<Problem>) -> Option<String> {
    match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            problems.push(Problem::elsewhere(path.display().to_string(), format!("cannot be read: {error}")));
            None
        }
    }
}

/// The values of one file.
fn from_toml(text: &str, source: &str, problems: &mut Vec<Problem>) -> Merged {
    let parsed = config::Source::collect(&File::from_str(text, FileFormat::Toml));
    let mut leaves = BTreeMap::new();
    match parsed {
        Ok(tables) => flatten("", tables, &mut leaves),
        Err(error) => {
            problems.push(Problem::elsewhere(source, format!("is not valid TOML: {}", without_excerpt(&error))));
        }
    }
    let mut found = Merged::new();
    for (key, value) in leaves {
        match file_value(&key, value, source) {
            // An empty text counts as not set; an empty list is a list.
            Ok((row, value)) if value.text.trim().is_empty() && !row.is_list() => {}
            Ok((row, value)) => match found.entry(row.key) {
                Entry::Vacant(place) => drop(place.insert(value)),
                Entry::Occupied(_) => problems.push(Problem::of(
                    row,
                    format!("given twice in {source}, as a value and as a file; remove one of them"),
                )),
            },
            Err(problem) => problems.push(problem),
        }
    }
    found
}

/// TOML errors quote the line they are about, which may hold a secret; only position and cause are kept.
fn without_excerpt(error: &config::ConfigError) -> String {
    let message = error.to_string();
    let lines: Vec<&str> = message.lines().filter(|line| !line.contains('|')).map(str::trim).collect();
    lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join(": ")
}

fn flatten(prefix: &str, tables: Map<String, Value>, leaves: &mut BTreeMap<String, Value>) {
    for (name, value) in tables {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value.kind {
            ValueKind::Table(inner) => flatten(&key, inner, leaves),
            _ => drop(leaves.insert(key, value)),
        }
    }
}

/// Finds the row that a key of a file belongs to, and the value as text.
fn file_value(key: &str, value: Value, source: &str) -> Result<(&'static Setting, Found), Problem> {
    if key == "app.env" {
        let message = format!("cannot be set in {source}, because it chooses which file is read; set APP_ENV");
        return Err(Problem { key: key.to_owned(), variable: "APP_ENV".to_owned(), message });
    }
    if let Some(row) = Setting::find(key) {
        let text = text_of(row, value).map_err(|message| Problem::of(row, format!("{message}, in {source}")))?;
        return Ok((row, Found { text, source: source.to_owned() }));
    }
    let named = key.strip_suffix("_file").and_then(Setting::find).filter(|row| row.secret);
    if let Some(row) = named {
        let path = value.into_string().unwrap_or_default();
        let text = read_secret(&path).map_err(|message| Problem::of(row, format!("{message}, named in {source}")))?;
        return Ok((row, Found { text, source: format!("{source} ({key})") }));
    }
    let hint = nearest(key).map_or_else(String::new, |near| format!("; did you mean {near}?"));
    Err(Problem::elsewhere(key, format!("unknown key in {source}{hint}")))
}

fn nearest(key: &str) -> Option<&'static str> {
    let name = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    TABLE
        .iter()
        .map(|row| {
            let apart = strsim::damerau_levenshtein(key, row.key);
            // The right name in the wrong section is close, too.
            (if name(key) == name(row.key) { apart.min(1) } else { apart }, row.key)
        })
        .filter(|(apart, row)| *apart <= row.len() / 4 + 1)
        .min()
        .map(|(_, row)| row)
}

fn text_of(row: &Setting, value: Value) -> Result<String, String> {
    match value.kind {
        ValueKind::Array(_) if !row.is_list() => Err("a list is not possible here".to_owned()),
        ValueKind::Array(items) => {
            let items: Result<Vec<String>, _> = items.into_iter().map(scalar).collect();
            Ok(items?.join(","))
        }
        _ => {
            let is_number = matches!(value.kind, ValueKind::I64(_) | ValueKind::Float(_));
            if is_number && matches!(row.kind, Kind::Address | Kind::Url(_) | Kind::ServerUrl(_)) {
                return Err("must be a text in quotes".to_owned());
            }
            scalar(value)
        }
    }
}

fn scalar(value: Value) -> Result<String, String> {
    match value.kind {
        ValueKind::Array(_) | ValueKind::Table(_) => Err("a list in a list is not possible here".to_owned()),
        _ => value.into_string().ok().ok_or_else(|| "is neither a text nor a number".to_owned()),
    }
}

/// The values of the environment; an empty one counts as not set.
fn from_environment(env: &BTreeMap<String, String>, problems: &mut Vec<Problem>) -> Merged {
    let given = |name: &str| env.get(name).filter(|text| !text.trim().is_empty());
    let mut found = Merged::new();
    for row in TABLE {
        let direct = given(row.variable);
        let by_file = row.file_variable().and_then(|name| given(&name).map(|path| (name, path)));
        let value = match (direct, by_file) {
            (None, None) => continue,
            (Some(_), Some((name, _))) => Err(format!("{} and {name} are both set; remove one of them", row.variable)),
            (Some(text), None) => Ok(Found { text: text.clone(), source: row.variable.to_owned() }),
            (None, Some((name, path))) => read_secret(path)
                .map(|text| Found { text, source: name.clone() })
                .map_err(|message| format!("{message}, named by {name}")),
        };
        match value {
            Ok(value) => drop(found.insert(row.key, value)),
            Err(message) => problems.push(Problem::of(row, message)),
        }
    }
    found
}

/// A secret kept in a file, without the newline at its end.
fn read_secret(path: &str) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read the file {path}: {error}"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(format!("the file {path} is empty")) } else { Ok(text.to_owned()) }
}
