//! Reading an assertion.

use super::{Amount, Assertion, Comparison, Condition, Count, Literal, Relation, Test};
use regex::RegexBuilder;
use std::fmt;

/// Longest assertion, in bytes.
const TEXT_MAX: usize = 4096;
/// Largest compiled pattern, in bytes.
const PATTERN_MAX: usize = 1 << 20;

/// Where a text stops being an assertion, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParseError {
    text: String,
    /// Characters before the place.
    column: usize,
    expected: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, column, expected } = self;
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        write!(f, "column {}: expected {expected}\n  {line}\n  {:column$}^", column + 1, "")
    }
}

impl std::error::Error for ParseError {}

type Parsed<T> = Result<T, ParseError>;

pub(super) fn assertion(text: &str) -> Parsed<Assertion> {
    let mut reader = Reader { text, at: 0 };
    if TEXT_MAX < text.len() {
        return reader.fail(format!("at most {TEXT_MAX} bytes"));
    }
    let mut comparisons = vec![reader.comparison()?];
    while reader.take("&&") {
        comparisons.push(reader.comparison()?);
    }
    reader.space();
    if reader.rest().is_empty() {
        Ok(Assertion { comparisons })
    } else {
        reader.fail("`&&` or the end")
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, expected: impl Into<String>) -> Parsed<T> {
        let column = self.text[..self.at].chars().count();
        let text = self.text.chars().take(TEXT_MAX).collect();
        Err(ParseError { text, column, expected: expected.into() })
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes `token`, after any space, if it comes next.
    fn take(&mut self, token: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn need(&mut self, token: &str) -> Parsed<()> {
        if self.take(token) { Ok(()) } else { self.fail(format!("`{token}`")) }
    }

    /// Takes as many characters as `fits`, after any space.
    fn run(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        self.space();
        let rest = self.rest();
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn comparison(&mut self) -> Parsed<Comparison> {
        let left = self.amount()?;
        let relation = self.relation()?;
        let right = self.amount()?;
        Ok(Comparison { left, relation, right })
    }

    fn relation(&mut self) -> Parsed<Relation> {
        let relations = [
            ("==", Relation::Equal),
            ("!=", Relation::NotEqual),
            ("<=", Relation::LessOrEqual),
            (">=", Relation::GreaterOrEqual),
            ("<", Relation::Less),
            (">", Relation::Greater),
        ];
        match relations.into_iter().find(|(token, _)| self.take(token)) {
            Some((_, relation)) => Ok(relation),
            None => self.fail("one of `==`, `!=`, `<`, `<=`, `>`, `>=`"),
        }
    }

    fn amount(&mut self) -> Parsed<Amount> {
        self.space();
        let start = self.at;
        let digits = self.run(|c| c.is_ascii_digit());
        if !digits.is_empty() {
            let Ok(number) = digits.parse() else {
                self.at = start;
                return self.fail("a number that a counter can reach");
            };
            return Ok(Amount::Number(number));
        }
        if !self.take("count") {
            return self.fail("`count(…)` or a whole number");
        }
        self.need("(")?;
        let count = self.count(start)?;
        Ok(Amount::Count(count))
    }

    /// What stands behind `count(`, with the closing parenthesis.
    fn count(&mut self, start: usize) -> Parsed<Count> {
        let pattern = |c: char| c.is_ascii_alphanumeric() || "*?-_.".contains(c);
        let first = self.run(pattern);
        if first.is_empty() {
            return self.fail("a call, such as `s3:PutObject` or `*`");
        }
        let (service, operation) = if self.take(":") {
            let operation = self.run(pattern);
            if operation.is_empty() {
                return self.fail("an operation, such as `PutObject` or `*`");
            }
            (first, operation)
        } else {
            ("*", first)
        };
        let (mut conditions, mut last_seconds) = (Vec::new(), None);
        while self.take(",") || (!conditions.is_empty() && self.take("&&")) {
            match self.term()? {
                Term::Condition(condition) => conditions.push(condition),
                Term::Last(seconds) => last_seconds = Some(seconds),
            }
            while self.take("&&") {
                match self.term()? {
                    Term::Condition(condition) => conditions.push(condition),
                    Term::Last(seconds) => last_seconds = Some(seconds),
                }
            }
        }
        if !self.take(")") {
            return self.fail("`,`, `&&` or `)`");
        }
        let text = self.text[start..self.at].to_owned();
        let (service, operation) = (service.to_ascii_lowercase(), operation.to_owned());
        Ok(Count { text, service, operation, conditions, last_seconds })
    }

    fn term(&mut self) -> Parsed<Term> {
        self.space();
        let start = self.at;
        let negated = self.take("!");
        let field = self.field()?;
        if !negated && field == ["last"] && self.next_is_digit() {
            return self.last();
        }
        let test = if negated {
            Test::Absent
        } else if self.take("==") {
            Test::Equals(self.literal()?)
        } else if self.take("!=") {
            Test::Differs(self.literal()?)
        } else if self.take("=~") {
            self.pattern()?
        } else if self.rest().starts_with('=') {
            return self.fail("`==`, `!=` or `=~`");
        } else {
            Test::Present
        };
        let text = self.text[start..self.at].trim_end().to_owned();
        Ok(Term::Condition(Condition { text, field, test }))
    }

    fn next_is_digit(&mut self) -> bool {
        self.space();
        self.rest().starts_with(|c: char| c.is_ascii_digit())
    }

    fn last(&mut self) -> Parsed<Term> {
        let Ok(number) = self.run(|c| c.is_ascii_digit()).parse::<u64>() else {
            return self.fail("a shorter time");
        };
        let seconds = match self.run(|c| c.is_ascii_alphabetic()) {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return self.fail("`s`, `m`, `h` or `d`"),
        };
        Ok(Term::Last(number.saturating_mul(seconds)))
    }

    fn field(&mut self) -> Parsed<Vec<String>> {
        let mut field = Vec::new();
        loop {
            let name = self.run(|c| c.is_alphanumeric() || "_-:/".contains(c));
            if name.is_empty() {
                return self.fail("a field, such as `bucket` or `userIdentity.userName`");
            }
            field.push(name.to_owned());
            if !self.rest().starts_with('.') {
                return Ok(field);
            }
            self.at += 1;
        }
    }

    fn literal(&mut self) -> Parsed<Literal> {
        self.space();
        if self.rest().starts_with(['"', '\'']) {
            return self.text().map(Literal::Text);
        }
        let start = self.at;
        let word = self.run(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        let literal = match word {
            "true" => Some(Literal::Bool(true)),
            "false" => Some(Literal::Bool(false)),
            "null" => Some(Literal::Null),
            number => number.parse().ok().map(Literal::Number),
        };
        literal.map_or_else(
            || {
                self.at = start;
                self.fail("\"text\", a number, `true`, `false` or `null`")
            },
            Ok,
        )
    }

    fn pattern(&mut self) -> Parsed<Test> {
        self.space();
        let start = self.at;
        if !self.rest().starts_with(['"', '\'']) {
            return self.fail("a regular expression in quotes");
        }
        let text = self.text()?;
        match RegexBuilder::new(&text).size_limit(PATTERN_MAX).build() {
            Ok(pattern) => Ok(Test::Matches(pattern)),
            Err(err) => {
                self.at = start;
                let reason = err.to_string();
                let reason = reason.lines().last().unwrap_or("").trim_start_matches("error: ");
                self.fail(format!("a regular expression ({reason})"))
            }
        }
    }

    /// A quoted text; a backslash keeps the quote or backslash behind it.
    fn text(&mut self) -> Parsed<String> {
        let start = self.at;
        let mut characters = self.rest().char_indices();
        let quote = characters.next().map(|(_, quote)| quote);
        let mut text = String::new();
        while let Some((at, c)) = characters.next() {
            if Some(c) == quote {
                self.at = start + at + c.len_utf8();
                return Ok(text);
            }
            let escaped = (c == '\\').then(|| characters.clone().next().map(|(_, next)| next));
            match escaped.flatten() {
                Some(next) if Some(next) == quote || next == '\\' => {
                    text.push(next);
                    characters.next();
                }
                Some(_) | None => text.push(c),
            }
        }
        self.fail("a quote at the end of the text that begins here")
    }
}

enum Term {
    Condition(Condition),
    Last(u64),
}

#[cfg(test)]
mod tests {
    use super::super::Assertion;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_readme_is_read() {
        let parsed = Assertion::parse(r#"count(s3:PutObject, bucket=="out") == 1"#).unwrap();
        let count = parsed.counts().next().unwrap();
        assert_eq!((&*count.service, &*count.operation), ("s3", "PutObject"));
        assert_eq!(count.conditions[0].text, r#"bucket=="out""#);
        assert_eq!(count.text, r#"count(s3:PutObject, bucket=="out")"#);
    }

    #[test]
    fn every_form_of_the_grammar_is_read() {
        let good = [
            "count(*) > 0",
            "count(PutObject)<=3&&count(s3:Get*)>=0",
            "count(*, errorCode) == 0",
            "count(*, !errorCode && userIdentity.type != 'Root', last 5m) != 2",
            r#"count(iam:*, arn =~ "^arn:.*\"x\"$") < 9"#,
            "0 == count(ec2:RunInstances, count == 2, dry == true, x == null)",
            "count(s3:PutObject) == count(s3:DeleteObject)",
        ];
        for text in good {
            assert!(
                Assertion::parse(text).is_ok(),
                "{text}: {}",
                Assertion::parse(text).unwrap_err()
            );
        }
    }

    #[test]
    fn an_error_points_at_its_place() {
        let cases = [
            ("", 1, "`count(…)` or a whole number"),
            ("count(s3:PutObject) = 1", 21, "one of"),
            ("count(s3:) == 1", 10, "an operation"),
            ("count(s3:PutObject, bucket==out) == 1", 29, "\"text\""),
            ("count(s3:PutObject, bucket=out) == 1", 27, "`==`, `!=` or `=~`"),
            ("count(s3:PutObject, bucket==\"out) == 1", 29, "a quote at the end"),
            ("count(a, b =~ \"(\") == 1", 15, "a regular expression ("),
            ("count(a, last 5x) == 1", 17, "`s`, `m`, `h` or `d`"),
            ("count(a) == 99999999999999999999999", 13, "a number that a counter can reach"),
            ("count(a) == 1 or", 15, "`&&` or the end"),
        ];
        for (text, column, expected) in cases {
            let err = Assertion::parse(text).unwrap_err().to_string();
            assert!(
                err.starts_with(&format!("column {column}: expected {expected}")),
                "{text}: {err}"
            );
        }
        let err = Assertion::parse("count(ü, b==) == 1").unwrap_err().to_string();
        assert!(err.starts_with("column 7: expected"), "{err}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[count(),=!<>&~ \"'\\\\.:*a1é-]{0,40}") {
            let _ = Assertion::parse(&text).map_err(|err| err.to_string());
        }
    }
}
