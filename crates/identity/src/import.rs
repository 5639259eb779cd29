//! Keys that people already have, read from a CSV or JSON file.
//!
//! CSV: the first row names the columns, in any order; `user name`, `access key
//! id` and `secret access key` as AWS writes them, then optionally `account`,
//! `arn`, `kind` (`user`, `role`, `root`), `path`, `administrator` (`true`).
//! JSON: a list of objects with the same names, spaces left out or spelt `_`;
//! `UserName` and `user_name` are one. Other columns are passed over.
//!
//! Either every row is read or none: the error lists all that is wrong.

use crate::account::{AccountId, Arn};
use crate::principal::Principal;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use trailbox_sigv4::{ACCESS_KEY_ID_MAX, SecretText};

/// Most rows of one file.
pub const ROWS_MAX: usize = 100_000;

/// One key of a file, with the principal it belongs to (its id is still empty, but for root).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedKey {
    /// Line of the CSV file, or place in the JSON list; 1 is the first.
    pub row: usize,
    /// Whom it belongs to.
    pub principal: Principal,
    /// The access key id.
    pub access_key_id: String,
    /// The secret.
    pub secret: SecretText,
}

/// What is wrong with one row. No text holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("row {row}: {problem}")]
pub struct ImportError {
    /// Line of the CSV file, or place in the JSON list; 1 is the first.
    pub row: usize,
    /// The broken rule.
    pub problem: ImportProblem,
}

/// A broken rule of an import file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportProblem {
    /// A column or member that must be there is not, or is empty.
    #[error("`{column}` is missing")]
    Missing {
        /// The column.
        column: &'static str,
    },
    /// The header row has a column twice.
    #[error("column `{column}` stands twice")]
    ColumnTwice {
        /// The column, cut to 64 characters.
        column: String,
    },
    /// More or fewer fields than the header row has.
    #[error("{found} fields; the header row has {want}")]
    FieldCount {
        /// Fields of the row.
        found: usize,
        /// Fields of the header row.
        want: usize,
    },
    /// A quote that is not closed, or text behind a closing quote.
    #[error("a quoted field does not end where it should")]
    Quote,
    /// `account` is not 12 digits.
    #[error("account {found:?} needs exactly 12 digits")]
    Account {
        /// As written, cut to 64 characters.
        found: String,
    },
    /// `arn` is not of a user, role or root, or says another account than `account`.
    #[error("{found:?} is not the ARN of a user, role or root of the row's account")]
    Arn {
        /// As written, cut to 256 characters.
        found: String,
    },
    /// `kind` is no kind.
    #[error("kind {found:?} is none of `user`, `role`, `root`")]
    Kind {
        /// As written, cut to 64 characters.
        found: String,
    },
    /// The name has characters IAM does not allow.
    #[error("name {found:?} needs 1 to 128 characters out of letters, digits and `_+=,.@:$-`")]
    Name {
        /// As written, cut to 128 characters.
        found: String,
    },
    /// The path is not `/` or `/…/`.
    #[error("path {found:?} must begin and end with `/`")]
    Path {
        /// As written, cut to 128 characters.
        found: String,
    },
    /// The access key id cannot be one.
    #[error("access key id {found:?} needs 3 to 128 characters without spaces")]
    AccessKeyId {
        /// As written, cut to 128 characters.
        found: String,
    },
    /// The access key id stands in an earlier row too.
    #[error("access key id {id} stands in row {first} already")]
    KeyTwice {
        /// The id.
        id: String,
        /// The earlier row.
        first: usize,
    },
    /// `administrator` is neither `true` nor `false`.
    #[error("administrator {found:?} must be `true` or `false`")]
    Administrator {
        /// As written, cut to 64 characters.
        found: String,
    },
    /// The file is not JSON, or not a list of objects.
    #[error("the file is not a JSON list of objects")]
    NotAList,
    /// Not UTF-8.
    #[error("the file is not UTF-8 text")]
    NotText,
    /// Too long.
    #[error("more than {ROWS_MAX} rows")]
    TooMany,
}

/// Reads a file of either form: JSON when it begins with `[`, else CSV.
///
/// Rows without an account belong to `account`.
///
/// # Errors
///
/// Everything that is wrong, by row.
pub fn parse(bytes: &[u8], account: &AccountId) -> Result<Vec<ImportedKey>, Vec<ImportError>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|_| vec![ImportError { row: 1, problem: ImportProblem::NotText }])?;
    let rows = if text.trim_start().starts_with('[') { json_rows(text) } else { csv_rows(text) };
    let rows = rows.map_err(|error| vec![error])?;
    let (mut keys, mut errors, mut seen) = (Vec::new(), Vec::new(), HashMap::new());
    for (row, fields) in rows {
        let read = fields.and_then(|fields| read_row(row, &fields, account));
        let read = read.and_then(|key| match seen.insert(key.access_key_id.clone(), row) {
            Some(first) => Err(ImportProblem::KeyTwice { id: key.access_key_id, first }),
            None => Ok(key),
        });
        match read {
            Ok(key) => keys.push(key),
            Err(problem) => errors.push(ImportError { row, problem }),
        }
    }
    if errors.is_empty() { Ok(keys) } else { Err(errors) }
}

/// Values by column: names lower case, letters and digits only.
type Fields = HashMap<String, String>;
type Rows = Vec<(usize, Result<Fields, ImportProblem>)>;

fn column(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

fn json_rows(text: &str) -> Result<Rows, ImportError> {
    let error = |problem| ImportError { row: 1, problem };
    let list: Vec<Value> =
        serde_json::from_str(text).map_err(|_| error(ImportProblem::NotAList))?;
    if list.len() > ROWS_MAX {
        return Err(error(ImportProblem::TooMany));
    }
    let rows = list.into_iter().enumerate().map(|(at, value)| {
        let Value::Object(members) = value else { return (at + 1, Err(ImportProblem::NotAList)) };
        let text = |value: Value| match value {
            Value::String(text) => text,
            Value::Null => String::new(),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                value.to_string()
            }
        };
        let fields = members.into_iter().map(|(name, value)| (column(&name), text(value)));
        (at + 1, Ok(fields.collect()))
    });
    Ok(rows.collect())
}

fn csv_rows(text: &str) -> Result<Rows, ImportError> {
    let mut records = records(text)?.into_iter();
    let (row, header) = records.next().ok_or(ImportError {
        row: 1,
        problem: ImportProblem::Missing { column: "access key id" },
    })?;
    let names: Vec<String> = header.iter().map(|name| column(name)).collect();
    let mut seen = HashSet::new();
    if let Some(name) = names.iter().find(|name| !name.is_empty() && !seen.insert(*name)) {
        let problem = ImportProblem::ColumnTwice { column: cut(name, 64) };
        return Err(ImportError { row, problem });
    }
    let rows = records.map(|(row, fields)| {
        if fields.len() != names.len() {
            let (found, want) = (fields.len(), names.len());
            return (row, Err(ImportProblem::FieldCount { found, want }));
        }
        (row, Ok(names.iter().cloned().zip(fields).collect()))
    });
    Ok(rows.collect())
}

/// Splits RFC 4180 text into records with the line each begins on; empty lines are passed over.
fn records(text: &str) -> Result<Vec<(usize, Vec<String>)>, ImportError> {
    let (mut records, mut line, mut rest) = (Vec::new(), 1, text);
    while !rest.is_empty() {
        let begun = line;
        let mut fields = Vec::new();
        loop {
            let quote = |()| ImportError { row: begun, problem: ImportProblem::Quote };
            let (field, after) = field(rest).map_err(quote)?;
            line += field.matches('\n').count();
            fields.push(field);
            rest = after.strip_prefix(',').unwrap_or(after);
            if rest.len() == after.len() {
                break;
            }
        }
        rest = rest.strip_prefix('\r').unwrap_or(rest);
        rest = rest.strip_prefix('\n').unwrap_or(rest);
        line += 1;
        if fields.iter().any(|field| !field.is_empty()) {
            records.push((begun, fields));
        }
        if records.len() > ROWS_MAX {
            return Err(ImportError { row: begun, problem: ImportProblem::TooMany });
        }
    }
    Ok(records)
}

/// One field and what follows it: a comma, a line end or nothing.
fn field(text: &str) -> Result<(String, &str), ()> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find([',', '\r', '\n']).unwrap_or(text.len());
        return Ok((text[..end].trim().to_owned(), &text[end..]));
    };
    let mut held = String::new();
    loop {
        let end = rest.find('"').ok_or(())?;
        held.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        let Some(after) = rest.strip_prefix('"') else { break };
        held.push('"');
        rest = after;
    }
    let ends = rest.is_empty() || rest.starts_with([',', '\r', '\n']);
    if ends { Ok((held, rest)) } else { Err(()) }
}

fn read_row(
    row: usize,
    fields: &Fields,
    account: &AccountId,
) -> Result<ImportedKey, ImportProblem> {
    let get = |name: &str| fields.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let key_id = get("accesskeyid").ok_or(ImportProblem::Missing { column: "access key id" })?;
    let secret =
        get("secretaccesskey").ok_or(ImportProblem::Missing { column: "secret access key" })?;
    if !(3..=ACCESS_KEY_ID_MAX).contains(&key_id.len())
        || !key_id.chars().all(|c| c.is_ascii_graphic())
    {
        return Err(ImportProblem::AccessKeyId { found: cut(key_id, 128) });
    }
    let account = match get("account").or_else(|| get("accountid")) {
        Some(text) => {
            Some(AccountId::parse(text).map_err(|err| ImportProblem::Account { found: err.text })?)
        }
        None => None,
    }
    .map_or_else(|| (account.clone(), false), |said| (said, true));
    let mut principal = match get("arn") {
        Some(arn) => named_by_arn(arn, account.1.then_some(&account.0))?,
        None => named(&get, &account.0)?,
    };
    principal.administrator = match get("administrator") {
        None | Some("false" | "FALSE" | "False") => false,
        Some("true" | "TRUE" | "True") => true,
        Some(found) => return Err(ImportProblem::Administrator { found: cut(found, 64) }),
    };
    let secret = SecretText::new(secret);
    Ok(ImportedKey { row, principal, access_key_id: key_id.to_owned(), secret })
}

fn named_by_arn(arn: &str, account: Option<&AccountId>) -> Result<Principal, ImportProblem> {
    let wrong = || ImportProblem::Arn { found: cut(arn, 256) };
    let parts = Arn::parse(arn).ok_or_else(wrong)?;
    let said = AccountId::parse(parts.account).map_err(|_| wrong())?;
    if account.is_some_and(|account| *account != said) {
        return Err(wrong());
    }
    Principal::of_arn(arn, "").ok_or_else(wrong)
}

fn named<'a>(
    get: &impl Fn(&str) -> Option<&'a str>,
    account: &AccountId,
) -> Result<Principal, ImportProblem> {
    let kind = get("kind").or_else(|| get("type")).unwrap_or("user");
    let name = get("username").or_else(|| get("name")).or_else(|| get("user"));
    // AWS's own credential report calls root so.
    if kind == "root" || name == Some("<root_account>") {
        return Ok(Principal::root(account.as_str()));
    }
    let name = name.ok_or(ImportProblem::Missing { column: "user name" })?;
    check_name(name)?;
    let path = get("path").unwrap_or("/");
    check_path(path)?;
    match kind {
        "user" => Ok(Principal::user(account.as_str(), path, name, "")),
        "role" => Ok(Principal::role(account.as_str(), path, name, "")),
        found => Err(ImportProblem::Kind { found: cut(found, 64) }),
    }
}

/// Whether `name` can be a user's or role's. Source: IAM API Reference, `UserName` `[\w+=,.@-]+`;
/// the colon is there for the subusers of Ceph, the dollar for its tenants.
///
/// # Errors
///
/// [`ImportProblem::Name`] when it cannot.
pub fn check_name(name: &str) -> Result<(), ImportProblem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:$-".contains(c);
    if (1..=128).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(ImportProblem::Name { found: cut(name, 128) })
}

/// Whether `path` can be a principal's.
///
/// # Errors
///
/// [`ImportProblem::Path`] when it cannot.
pub fn check_path(path: &str) -> Result<(), ImportProblem> {
    let well = path.len() <= 512 && path.starts_with('/') && path.ends_with('/');
    if well && path.chars().all(|c| c.is_ascii_graphic()) && !path.contains("//") {
        return Ok(());
    }
    Err(ImportProblem::Path { found: cut(path, 128) })
}

#[cfg(test)]
mod tests {
    use super::{ImportProblem, parse};
    use crate::account::AccountId;
    use crate::principal::Principal;

    fn account() -> AccountId {
        AccountId::parse("111122223333").unwrap()
    }

    #[test]
    fn the_csv_that_aws_gives_is_read() {
        let text = "\u{feff}User name,Password,Access key ID,Secret access key,Console login link\r\n\
                    Bob,,AKIA1,\"se,c\"\"ret\",https://x\r\n\r\nAl.x,,AKIA2,s2,\r\n";
        let keys = parse(text.as_bytes(), &account()).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0].principal, Principal::user("111122223333", "/", "Bob", ""));
        assert_eq!(keys[0].secret.expose(), "se,c\"ret");
        assert_eq!((keys[1].row, &*keys[1].access_key_id), (4, "AKIA2"));
    }

    #[test]
    fn json_spells_the_same_columns_its_own_way() {
        let text = r#"[
            {"UserName":"Bob","AccessKeyId":"AKIA1","SecretAccessKey":"s","Status":"Active"},
            {"arn":"arn:aws:iam::444455556666:role/ops/deploy","access_key_id":"AKIA2",
             "secret_access_key":"s","administrator":true},
            {"kind":"root","account":"444455556666","access_key_id":"AKIA3","secret_access_key":"s"}
        ]"#;
        let principals: Vec<Principal> =
            parse(text.as_bytes(), &account()).unwrap().into_iter().map(|k| k.principal).collect();
        let want = [
            Principal::user("111122223333", "/", "Bob", ""),
            Principal::role("444455556666", "/ops/", "deploy", "").as_administrator(),
            Principal::root("444455556666"),
        ];
        assert_eq!(principals, want);
    }

    #[test]
    fn every_broken_row_is_named_and_nothing_is_imported() {
        let text = "user name,access key id,secret access key,account,administrator\n\
                    Bob,AKIA1,s,,\n\
                    ,AKIA2,s,,\n\
                    Bob,,s,,\n\
                    Bob,AKIA4,,,\n\
                    Bob,AKIA1,s,,\n\
                    Bob,AKIA6,s,123,\n\
                    Bob,AKIA7,s,\n\
                    B b,AKIA8,s,,\n\
                    Bob,A A,s,,\n\
                    Bob,AKIA10,s,,maybe\n";
        let errors = parse(text.as_bytes(), &account()).unwrap_err();
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let want = [
            "row 3: `user name` is missing",
            "row 4: `access key id` is missing",
            "row 5: `secret access key` is missing",
            "row 6: access key id AKIA1 stands in row 2 already",
            "row 7: account \"123\" needs exactly 12 digits",
            "row 8: 4 fields; the header row has 5",
            "row 9: name \"B b\" needs 1 to 128 characters out of letters, digits and `_+=,.@:$-`",
            "row 10: access key id \"A A\" needs 3 to 128 characters without spaces",
            "row 11: administrator \"maybe\" must be `true` or `false`",
        ];
        assert_eq!(texts, want);
    }

    #[test]
    fn a_file_that_is_neither_is_refused_whole() {
        let cases: [(&[u8], ImportProblem); 5] = [
            (b"[1", ImportProblem::NotAList),
            (b"[1]", ImportProblem::NotAList),
            (b"\xff", ImportProblem::NotText),
            (b"a,a\n", ImportProblem::ColumnTwice { column: "a".into() }),
            (b"a\n\"b", ImportProblem::Quote),
        ];
        for (bytes, want) in cases {
            assert_eq!(parse(bytes, &account()).unwrap_err()[0].problem, want, "{bytes:?}");
        }
        assert_eq!(
            parse(b"", &account()).unwrap_err()[0].problem,
            ImportProblem::Missing { column: "access key id" }
        );
    }

    #[test]
    fn an_arn_of_another_account_than_the_row_says_is_refused() {
        let text = r#"[{"arn":"arn:aws:iam::444455556666:user/b","account":"111122223333",
            "access_key_id":"AKIA2","secret_access_key":"s"}]"#;
        let problem = parse(text.as_bytes(), &account()).unwrap_err()[0].problem.clone();
        assert!(matches!(problem, ImportProblem::Arn { .. }), "{problem:?}");
    }
}
