//! Sizes: a ratchet on the length of files and functions.
//!
//! A file over [`FILE_MAX`] or a function over [`FUNCTION_MAX`] lines stands in
//! `ratchet.toml` with its length and may only shrink; a new one is refused.
//! Tests do not count. A long flat table is fine: say so in the ratchet.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const FILE_MAX: usize = 500;
const FUNCTION_MAX: usize = 70;

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Ratchet {
    files: BTreeMap<String, usize>,
    functions: BTreeMap<String, usize>,
}

/// Compares the sources with the ratchet, or rewrites it.
pub(super) fn check(root: &Path, update: bool) -> anyhow::Result<Vec<String>> {
    let place = root.join("ratchet.toml");
    let held: Ratchet = match std::fs::read_to_string(&place) {
        Ok(text) => toml::from_str(&text)?,
        Err(_) => Ratchet::default(),
    };
    let found = measure(root)?;
    if update {
        let note = "# Files over 500 and functions over 70 lines, tests not counted. They may only shrink:\n\
                    # `cargo xtask tidy` refuses a new entry and a larger number.\n\n";
        std::fs::write(place, format!("{note}{}", toml::to_string(&found)?))?;
        return Ok(Vec::new());
    }
    let mut findings = grown("file", &held.files, &found.files);
    findings.extend(grown("function", &held.functions, &found.functions));
    Ok(findings)
}

fn grown(
    kind: &str,
    held: &BTreeMap<String, usize>,
    found: &BTreeMap<String, usize>,
) -> Vec<String> {
    found
        .iter()
        .filter(|(name, lines)| held.get(*name).is_none_or(|most| *lines > most))
        .map(|(name, lines)| match held.get(name) {
            Some(most) => format!("{kind} {name} grew from {most} to {lines} lines"),
            None => format!("{kind} {name} has {lines} lines: which two things is it?"),
        })
        .collect()
}

fn measure(root: &Path) -> anyhow::Result<Ratchet> {
    let mut found = Ratchet::default();
    for top in ["crates", "xtask"] {
        for path in rust_files(&root.join(top))? {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            if name.contains("/tests/") || name.contains("/benches/") {
                continue;
            }
            let text = std::fs::read_to_string(&path)?;
            let product: Vec<&str> =
                text.lines().take_while(|line| *line != "#[cfg(test)]").collect();
            if product.len() > FILE_MAX {
                found.files.insert(name.clone(), product.len());
            }
            for (function, lines) in long_functions(&product) {
                found.functions.insert(format!("{name}: {function}"), lines);
            }
        }
    }
    Ok(found)
}

/// Functions over the limit, by name. Reads rustfmt's layout: a function ends
/// at the first line that is a closing brace of its own indentation.
fn long_functions(lines: &[&str]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let close = format!("{}}}", " ".repeat(indent));
        let length = lines[start..].iter().position(|line| *line == close).map_or(0, |at| at + 1);
        let one_line = line.ends_with(';') || line.ends_with('}');
        if length > FUNCTION_MAX && !one_line {
            found.push((name, length));
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let words = line.trim_start();
    let at = words.find("fn ")?;
    let qualifiers = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern"];
    let plain = words[..at].split_whitespace().all(|word| qualifiers.contains(&word));
    let name: String =
        words[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (plain && !name.is_empty()).then_some(name)
}

/// All `.rs` files below `place`, sorted.
pub(crate) fn rust_files(place: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut todo = vec![place.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{grown, long_functions};
    use std::collections::BTreeMap;

    #[test]
    fn a_function_is_measured_from_signature_to_brace() {
        let body = "    x();\n".repeat(80);
        let text =
            format!("fn short() {{\n    y();\n}}\n\npub(crate) async fn long() {{\n{body}}}\n");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(long_functions(&lines), [("long".to_owned(), 82)]);
    }

    #[test]
    fn only_growth_and_newcomers_are_findings() {
        let held: BTreeMap<String, usize> = [("a".to_owned(), 600), ("b".to_owned(), 600)].into();
        let found = [("a".to_owned(), 590), ("b".to_owned(), 601), ("c".to_owned(), 501)].into();
        assert_eq!(grown("file", &held, &found).len(), 2);
    }
}
