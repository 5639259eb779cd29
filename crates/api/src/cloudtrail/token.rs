//! Paging tokens: a cursor, authenticated and bound to its question.
//!
//! A token is base64url of version, cursor and an HMAC-SHA256 over both and
//! over everything the question consists of, under a key of the data
//! directory. A forged token, or one of another account, Region or question,
//! does not verify; nobody can page where they may not look.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use trailbox_history::Cursor;

const VERSION: u8 = 1;
const CURSOR_BYTES: usize = 25;
const TAG_BYTES: usize = 16;

/// The token that continues `question` behind `cursor`.
///
/// `question` must be unambiguous: two questions never give equal parts.
pub(crate) fn seal(key: &[u8; 32], question: &[String], cursor: Cursor) -> String {
    let mut bytes = Vec::with_capacity(CURSOR_BYTES + TAG_BYTES);
    bytes.push(VERSION);
    bytes.extend_from_slice(&cursor.time.to_le_bytes());
    bytes.extend_from_slice(&cursor.sequence.to_le_bytes());
    bytes.extend_from_slice(&cursor.pin.to_le_bytes());
    let tag = tag(key, question, &bytes);
    bytes.extend_from_slice(&tag);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The cursor of a token that [`seal`] made for the same `question`.
pub(crate) fn open(key: &[u8; 32], question: &[String], token: &str) -> Option<Cursor> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (cursor, held) = bytes.split_at_checked(CURSOR_BYTES)?;
    let want = tag(key, question, cursor);
    aws_lc_rs::constant_time::verify_slices_are_equal(held, &want).ok()?;
    let number = |at: usize| cursor[at..at + 8].try_into().map(u64::from_le_bytes).ok();
    if cursor[0] != VERSION {
        return None;
    }
    let time = number(1)?.cast_signed();
    Some(Cursor { time, sequence: number(9)?, pin: number(17)? })
}

fn tag(key: &[u8; 32], question: &[String], cursor: &[u8]) -> [u8; TAG_BYTES] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    context.update(b"trailbox paging token 1");
    context.update(cursor);
    for part in question {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&context.sign().as_ref()[..TAG_BYTES]);
    tag
}

#[cfg(test)]
mod tests {
    use super::{open, seal};
    use proptest::prelude::*;
    use trailbox_history::Cursor;

    const CURSOR: Cursor = Cursor { time: -5, sequence: 7, pin: u64::MAX };

    fn question(parts: &[&str]) -> Vec<String> {
        parts.iter().map(|&part| part.to_owned()).collect()
    }

    #[test]
    fn a_token_opens_for_its_own_question_only() {
        let (key, asked) = ([1; 32], question(&["111122223333", "us-east-1", "ab", "c"]));
        let token = seal(&key, &asked, CURSOR);
        assert_eq!(open(&key, &asked, &token), Some(CURSOR));
        let others = [
            question(&["444455556666", "us-east-1", "ab", "c"]),
            question(&["111122223333", "us-east-1", "a", "bc"]),
            question(&["111122223333", "us-east-1", "ab"]),
        ];
        for other in others {
            assert_eq!(open(&key, &other, &token), None, "{other:?}");
        }
        assert_eq!(open(&[2; 32], &asked, &token), None);
    }

    proptest! {
        #[test]
        fn a_changed_token_never_opens(at: prop::sample::Index, to in "[A-Za-z0-9_-]") {
            let asked = question(&["111122223333"]);
            let token = seal(&[1; 32], &asked, CURSOR);
            let at = at.index(token.len());
            let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
            prop_assume!(changed != token);
            prop_assert_eq!(open(&[1; 32], &asked, &changed), None);
        }

        #[test]
        fn no_text_is_a_token_by_chance(text: String) {
            prop_assert_eq!(open(&[1; 32], &[], &text), None);
        }
    }
}
