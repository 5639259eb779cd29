//! The tables that a `PartiQL` statement names.

/// Words before the name of a table.
const BEFORE: [&str; 3] = ["from", "into", "update"];

/// Names of the tables, in order, each once.
pub(crate) fn tables(statement: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut expected = false;
    let mut rest = statement.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, quoted, behind) = token(rest, first);
        if expected && first != '\'' && !found.iter().any(|name| name == word) {
            found.push(word.to_owned());
        }
        expected = !quoted && BEFORE.iter().any(|before| before.eq_ignore_ascii_case(word));
        rest = behind.trim_start();
    }
    found.retain(|name| !name.is_empty());
    found
}

/// The next word, whether it was quoted, and what follows.
fn token(text: &str, first: char) -> (&str, bool, &str) {
    if matches!(first, '\'' | '"') {
        let inner = &text[1..];
        return inner
            .split_once(first)
            .map_or((inner, true, ""), |(word, behind)| (word, true, behind));
    }
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len()).max(first.len_utf8());
    (&text[..end], false, &text[end..])
}

#[cfg(test)]
mod tests {
    use super::tables;
    use proptest::prelude::*;

    #[test]
    fn tables_are_found_and_literals_are_not() {
        let cases: [(&str, &[&str]); 6] = [
            ("SELECT * FROM \"Music\".\"index\" WHERE a = 'from x'", &["Music"]),
            ("insert into Music value {'from': 'x'}", &["Music"]),
            ("UPDATE \"Music\" SET a = 1", &["Music"]),
            ("DELETE FROM t-1.idx WHERE a = 'it''s'", &["t-1"]),
            ("EXISTS(SELECT * FROM a) FROM b", &["a", "b"]),
            ("SELECT", &[]),
        ];
        for (statement, want) in cases {
            assert_eq!(tables(statement), want, "{statement}");
        }
    }

    proptest! {
        #[test]
        fn any_text_ends(text: String) {
            let _ = tables(&text);
        }
    }
}
