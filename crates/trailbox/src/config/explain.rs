//! `trailbox config explain KEY`: what a key means, from the documented file.

/// Every key with its meaning, its unit and its default. A test holds it
/// against the defaults of the code.
pub(crate) const DEFAULT_TEXT: &str = include_str!("default.toml");

/// The comment and the default of each key that is `wanted` or ends in it.
pub(crate) fn explain(wanted: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut section, mut comment) = (String::new(), Vec::new());
    for line in DEFAULT_TEXT.lines() {
        if let Some(text) = line.strip_prefix("# ") {
            if let Some(key) = key_of(text) {
                report(&mut found, wanted, &full(&section, key), &comment, text);
                comment.clear();
            } else {
                comment.push(text.to_owned());
            }
        } else if let Some(name) = line.strip_prefix('[') {
            name.trim_matches(['[', ']']).clone_into(&mut section);
            comment.clear();
        } else if let Some(key) = key_of(line) {
            report(&mut found, wanted, &full(&section, key), &comment, line);
            comment.clear();
        } else {
            comment.clear();
        }
    }
    found
}

fn full(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

/// The key of `key = value`; prose is none, because it has a space before any `=`.
fn key_of(line: &str) -> Option<&str> {
    let (key, _) = line.split_once(" = ")?;
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain.then_some(key)
}

fn report(found: &mut Vec<String>, wanted: &str, key: &str, comment: &[String], line: &str) {
    let ends = key.strip_suffix(wanted).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    if ends {
        found.push(format!("{key}\n  {}\n  written as: {line}", comment.join("\n  ")));
    }
}

#[cfg(test)]
mod tests {
    use super::explain;

    #[test]
    fn a_key_is_found_with_and_without_its_section() {
        for wanted in ["recording.durability", "durability"] {
            let found = explain(wanted);
            assert_eq!(found.len(), 1, "{wanted}");
            assert!(found[0].contains("before-answer"), "{found:?}");
        }
        assert!(explain("ability").is_empty());
    }
}
