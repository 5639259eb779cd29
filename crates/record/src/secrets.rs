//! What must never leave memory, by name, where no table says it first.
//!
//! The model's `sensitive` flag and the tables decide for members they know.
//! The names here are the net below: members no model describes, map keys,
//! XML elements, query parameters and header fields.

/// What stands in place of a hidden value, as AWS writes it.
pub(crate) const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// Names whose values are secrets, lower case, without separators.
const ENDINGS: [&str; 16] = [
    "password",
    "passphrase",
    "passwd",
    "secretaccesskey",
    "secretkey",
    "secretstring",
    "secretbinary",
    "clientsecret",
    "privatekey",
    "privatekeyplaintext",
    "presharedkey",
    "authtoken",
    "accesstoken",
    "refreshtoken",
    "platformcredential",
    "platformprincipal",
];

/// Header fields that hold secrets or credentials.
const SECRET_HEADERS: [&str; 10] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-amz-security-token",
    "x-amz-s3session-token",
    "x-amz-mfa",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-auth-token",
    "x-storage-token",
];

/// Query parameters that are signatures, tokens or passwords.
const SECRET_PARAMETERS: [&str; 11] = [
    "x-amz-signature",
    "x-amz-security-token",
    "x-amz-s3session-token",
    "signature",
    "securitytoken",
    "temp_url_sig",
    "secret",
    "secret-key",
    "password",
    "token",
    "access_token",
];

/// Whether a member of that name holds a secret.
pub(crate) fn names_a_secret(name: &str) -> bool {
    ENDINGS.iter().any(|ending| ends_with(name, ending)) || names_a_session_token(name)
}

/// Whether the letters and digits of `name`, in lower case, end with `ending`.
fn ends_with(name: &str, ending: &str) -> bool {
    let mut letters = name.bytes().rev().filter(u8::is_ascii_alphanumeric);
    ending
        .bytes()
        .rev()
        .all(|wanted| letters.next().is_some_and(|b| b.eq_ignore_ascii_case(&wanted)))
}

/// Whether a member of that name holds the token of temporary credentials.
pub(crate) fn names_a_session_token(name: &str) -> bool {
    name.eq_ignore_ascii_case("SessionToken") || name.eq_ignore_ascii_case("SecurityToken")
}

/// Whether a header field of that lower-case name must not be recorded.
pub(crate) fn is_secret_header(name: &str) -> bool {
    SECRET_HEADERS.contains(&name)
}

/// Whether a query parameter must not be recorded.
pub(crate) fn is_secret_parameter(name: &str) -> bool {
    SECRET_PARAMETERS.iter().any(|held| held.eq_ignore_ascii_case(name)) || names_a_secret(name)
}

/// A `PartiQL` statement with its literals taken out. A quoted text before a
/// colon is the name of an attribute and stays.
pub(crate) fn without_literals(statement: &str) -> String {
    const REDACTED: &str = "***(Redacted)";
    let mut plain = String::with_capacity(statement.len());
    let mut rest = statement;
    while let Some(first) = rest.chars().next() {
        let in_word = plain.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"');
        if first == '\'' {
            let behind = behind_quote(&rest[1..]);
            let quoted = &rest[..rest.len() - behind.len()];
            let names = behind.trim_start().starts_with(':');
            plain.push_str(if names { quoted } else { REDACTED });
            rest = behind;
        } else if first.is_ascii_digit() && !in_word {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
            plain.push_str(REDACTED);
        } else {
            plain.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    plain
}

/// What follows the closing quote; doubled quotes belong to the literal.
fn behind_quote(mut text: &str) -> &str {
    while let Some((_, behind)) = text.split_once('\'') {
        match behind.strip_prefix('\'') {
            Some(more) => text = more,
            None => return behind,
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::{is_secret_parameter, names_a_secret, without_literals};

    #[test]
    fn secrets_are_known_by_name_and_their_neighbours_are_not() {
        for name in [
            "MasterUserPassword",
            "newPassword",
            "SecretAccessKey",
            "client_secret",
            "PreSharedKey",
            "sessionToken",
            "private-key",
        ] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in [
            "PasswordResetRequired",
            "NextToken",
            "ClientRequestToken",
            "SecretId",
            "KeyId",
            "AccessKeyId",
            "Marker",
            "",
        ] {
            assert!(!names_a_secret(name), "{name}");
        }
        assert!(is_secret_parameter("X-Amz-Signature"));
        assert!(!is_secret_parameter("X-Amz-Credential"));
    }

    #[test]
    fn a_statement_keeps_its_shape_and_loses_its_literals() {
        let cases = [
            (
                "SELECT * FROM \"t1\" WHERE a = 'it''s' AND b2 = 17.5",
                "SELECT * FROM \"t1\" WHERE a = ***(Redacted) AND b2 = ***(Redacted)",
            ),
            ("a = 'open", "a = ***(Redacted)"),
            (
                "INSERT INTO t VALUE {'pk' : 'x', 'n':7, 'm': {'in': 'y'}}",
                "INSERT INTO t VALUE {'pk' : ***(Redacted), 'n':***(Redacted), 'm': {'in': ***(Redacted)}}",
            ),
            ("", ""),
        ];
        for (statement, want) in cases {
            assert_eq!(without_literals(statement), want);
        }
    }
}
