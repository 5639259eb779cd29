//! The keys of one bucket in order, and how a listing walks them.
//!
//! Pure: no file is touched here. Keys are ordered by their UTF-8 bytes, as S3
//! lists them; Rust's order of strings is the same.

use std::collections::BTreeMap;
use std::ops::Bound;

/// What a listing shows of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Entity tag without quotes.
    pub(crate) etag: Box<str>,
    /// Bytes.
    pub(crate) size: u64,
    /// When it was stored, microseconds of UTC, whole seconds.
    pub(crate) modified: i64,
    /// Storage class as asked for; `None` means STANDARD.
    pub(crate) storage_class: Option<Box<str>>,
}

/// The keys of a bucket.
pub(crate) type Index = BTreeMap<Box<str>, Entry>;

/// What to list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query<'a> {
    /// Only keys that begin with this.
    pub(crate) prefix: &'a str,
    /// Roll keys up to the next delimiter after the prefix; never empty.
    pub(crate) delimiter: Option<&'a str>,
    /// Only keys and rolled-up prefixes after this one.
    pub(crate) after: &'a str,
    /// At most so many keys and rolled-up prefixes together.
    pub(crate) limit: usize,
}

/// One page of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// Keys in order.
    pub(crate) keys: Vec<(Box<str>, Entry)>,
    /// Rolled-up prefixes in order.
    pub(crate) prefixes: Vec<String>,
    /// The last key or prefix given, when more follow.
    pub(crate) next: Option<String>,
}

/// One page of `index`. A page of no items is never said to have a successor.
pub(crate) fn list(index: &Index, query: Query<'_>) -> Page {
    let mut page = Page::default();
    if query.limit == 0 {
        return page;
    }
    let mut last = String::new();
    let mut cursor = start(query);
    while let Some((key, entry)) = from(index, &cursor) {
        let Some(rest) = key.strip_prefix(query.prefix) else { break };
        let rolled = roll_up(query, rest);
        if rolled.as_deref() == Some(query.after) {
            // The page before ended with this prefix: pass over all below it.
            cursor = past(query.after);
            continue;
        }
        if page.keys.len() + page.prefixes.len() == query.limit {
            page.next = Some(last);
            break;
        }
        if let Some(prefix) = rolled {
            cursor = past(&prefix);
            last.clone_from(&prefix);
            page.prefixes.push(prefix);
        } else {
            cursor = Cursor::After(key.into());
            key.clone_into(&mut last);
            page.keys.push((key.into(), entry.clone()));
        }
    }
    page
}

/// Where the walk goes on.
enum Cursor {
    At(Box<str>),
    After(Box<str>),
    End,
}

fn start(query: Query<'_>) -> Cursor {
    if query.after < query.prefix || query.after.is_empty() {
        Cursor::At(query.prefix.into())
    } else {
        Cursor::After(query.after.into())
    }
}

fn from<'a>(index: &'a Index, cursor: &Cursor) -> Option<(&'a str, &'a Entry)> {
    let bound = match cursor {
        Cursor::At(key) => Bound::Included(key.clone()),
        Cursor::After(key) => Bound::Excluded(key.clone()),
        Cursor::End => return None,
    };
    index.range((bound, Bound::Unbounded)).next().map(|(key, entry)| (&**key, entry))
}

/// The part of a key up to and with the delimiter, when there is one.
fn roll_up(query: Query<'_>, rest: &str) -> Option<String> {
    let delimiter = query.delimiter?;
    let end = rest.find(delimiter)? + delimiter.len();
    Some(format!("{}{}", query.prefix, &rest[..end]))
}

/// The first place after everything that begins with `prefix`.
fn past(prefix: &str) -> Cursor {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        if let Some(next) = successor(last) {
            text.push(next);
            return Cursor::At(text.into());
        }
    }
    Cursor::End
}

fn successor(last: char) -> Option<char> {
    match last {
        char::MAX => None,
        '\u{d7ff}' => Some('\u{e000}'),
        _ => char::from_u32(u32::from(last) + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Index, Page, Query, list};
    use proptest::prelude::*;

    fn entry() -> Entry {
        Entry { etag: "e".into(), size: 1, modified: 0, storage_class: None }
    }

    fn index(keys: &[&str]) -> Index {
        keys.iter().map(|&key| (key.into(), entry())).collect()
    }

    fn names(page: &Page) -> Vec<&str> {
        let keys = page.keys.iter().map(|(key, _)| &**key);
        keys.chain(page.prefixes.iter().map(String::as_str)).collect()
    }

    #[test]
    fn keys_below_a_delimiter_are_rolled_up_once() {
        let index = index(&["a", "b/1", "b/2", "b0", "c/1/2", "d"]);
        let page = list(&index, Query { prefix: "", delimiter: Some("/"), after: "", limit: 1000 });
        assert_eq!(names(&page), ["a", "b0", "d", "b/", "c/"]);
        assert_eq!(page.next, None);
    }

    #[test]
    fn a_marker_between_keys_need_not_exist() {
        let index = index(&["a", "b", "d"]);
        let page = list(&index, Query { prefix: "", delimiter: None, after: "c", limit: 9 });
        assert_eq!(names(&page), ["d"]);
    }

    #[test]
    fn a_full_page_names_its_last_item_only_when_more_follow() {
        let index = index(&["a", "b"]);
        let query = |limit| Query { prefix: "", delimiter: None, after: "", limit };
        assert_eq!(list(&index, query(1)).next.as_deref(), Some("a"));
        assert_eq!(list(&index, query(2)).next, None);
        assert_eq!(list(&index, query(0)), Page::default());
    }

    /// All items the slow way: every key looked at, no seeking.
    fn model(index: &Index, prefix: &str, delimiter: Option<&str>) -> Vec<String> {
        let mut items: Vec<String> = Vec::new();
        for key in index.keys().filter(|key| key.starts_with(prefix)) {
            let rest = &key[prefix.len()..];
            let item = match delimiter.and_then(|d| rest.find(d).map(|at| at + d.len())) {
                Some(end) => key[..prefix.len() + end].to_owned(),
                None => key.to_string(),
            };
            if items.last() != Some(&item) {
                items.push(item);
            }
        }
        items
    }

    proptest! {
        #[test]
        fn paging_loses_and_repeats_nothing(
            keys in prop::collection::btree_set("[ab/é\u{d7ff}\u{10ffff}.]{1,6}", 0..40),
            prefix in "[ab/]{0,2}",
            delimiter in prop::option::of("(/|a|//|é)"),
            limit in 1_usize..5,
        ) {
            let index: Index = keys.into_iter().map(|key| (key.into(), entry())).collect();
            let mut got = Vec::new();
            let mut after = String::new();
            loop {
                let page = list(&index, Query {
                    prefix: &prefix, delimiter: delimiter.as_deref(), after: &after, limit,
                });
                let mut items: Vec<String> =
                    names(&page).into_iter().map(str::to_owned).collect();
                prop_assert!(items.len() <= limit);
                items.sort();
                got.extend(items);
                match page.next {
                    Some(next) => after = next,
                    None => break,
                }
            }
            prop_assert_eq!(got, model(&index, &prefix, delimiter.as_deref()));
        }
    }
}
