//! Licences: nothing with a licence we have not said yes to.

use super::floors::Metadata;

/// Licences whose terms an Apache-2.0 binary can meet.
const ALLOWED: [&str; 15] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Zlib",
];

/// Every package whose licence expression we could not accept.
pub(super) fn check(metadata: &Metadata) -> Vec<String> {
    metadata
        .packages
        .iter()
        .filter(|package| !package.license.as_deref().is_some_and(acceptable))
        .map(|package| {
            let licence = package.license.as_deref().unwrap_or("none named");
            format!("{} {} has licence `{licence}`", package.name, package.version)
        })
        .collect()
}

/// Whether one choice of the expression consists of allowed licences only.
///
/// Reads `A OR B`, the older `A/B`, `A AND B` and brackets around either.
fn acceptable(expression: &str) -> bool {
    let expression = strip_brackets(expression.trim());
    let options = split_outside(expression, &[" OR ", "/"]);
    if options.len() > 1 {
        return options.into_iter().any(acceptable);
    }
    let parts = split_outside(expression, &[" AND "]);
    if parts.len() > 1 {
        return parts.into_iter().all(acceptable);
    }
    ALLOWED.contains(&expression)
}

fn strip_brackets(text: &str) -> &str {
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    match inner {
        Some(inner) if !split_depth_breaks(inner) => inner.trim(),
        _ => text,
    }
}

/// Whether the brackets of `text` close before they open, as in `a) OR (b`.
fn split_depth_breaks(text: &str) -> bool {
    let mut depth = 0_i32;
    text.chars().any(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth < 0
    })
}

fn split_outside<'a>(text: &'a str, separators: &[&str]) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let (mut depth, mut start, mut at) = (0_i32, 0, 0);
    while at < text.len() {
        let rest = &text[at..];
        depth += i32::from(rest.starts_with('(')) - i32::from(rest.starts_with(')'));
        match separators.iter().find(|separator| depth == 0 && rest.starts_with(**separator)) {
            Some(separator) => {
                parts.push(&text[start..at]);
                at += separator.len();
                start = at;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::acceptable;

    #[test]
    fn one_acceptable_choice_is_enough_and_every_part_of_it_counts() {
        let cases = [
            ("MIT", true),
            ("MIT OR GPL-3.0", true),
            ("MIT/Apache-2.0", true),
            ("AGPL-3.0", false),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
            ("(GPL-2.0 OR AGPL-3.0) AND MIT", false),
            ("ISC AND (Apache-2.0 OR ISC)", true),
            ("Apache-2.0 WITH LLVM-exception", true),
        ];
        for (expression, want) in cases {
            assert_eq!(acceptable(expression), want, "{expression}");
        }
    }
}
