//! Form fields of the query protocols: `A.member.1.B=c` as a tree of names.

use super::DecodeError;
use std::borrow::Cow;
use std::collections::HashMap;
use trailbox_exchange::decode_pairs;

/// Most fields in one request.
const FIELDS_MAX: usize = 20_000;
/// Most name parts in one field.
const PARTS_MAX: usize = 32;

/// Children beyond which a name is looked up instead of searched for.
const SEARCHED_MAX: usize = 32;

/// One name part: its value, if it has one, and what stands below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FormNode {
    /// The field's value.
    pub value: Option<String>,
    /// Next name parts, in the order of their first field.
    pub children: Vec<(String, FormNode)>,
    /// Places of the children by name, once there are many.
    places: HashMap<String, usize>,
}

impl FormNode {
    /// Reads a form body or a query string.
    ///
    /// # Errors
    ///
    /// When there are too many fields, or a name has too many parts.
    pub fn parse(text: &[u8]) -> Result<Self, DecodeError> {
        let text = String::from_utf8_lossy(text);
        let pairs = decode_pairs(&text);
        if pairs.len() > FIELDS_MAX {
            return Err(DecodeError::Form { rule: "at most 20 000 fields" });
        }
        let mut root = Self::default();
        for (name, value) in pairs {
            root.insert(&name, value)?;
        }
        Ok(root)
    }

    fn insert(&mut self, name: &str, value: Cow<'_, str>) -> Result<(), DecodeError> {
        let mut node = self;
        for (depth, part) in name.split('.').enumerate() {
            if depth >= PARTS_MAX {
                return Err(DecodeError::Form { rule: "at most 32 parts in a name" });
            }
            node = node.enter(part);
        }
        // The first field of a name counts, as in AWS's own servers.
        node.value.get_or_insert_with(|| value.into_owned());
        Ok(())
    }

    fn enter(&mut self, part: &str) -> &mut Self {
        let at = self.place(part).unwrap_or_else(|| {
            let at = self.children.len();
            self.children.push((part.to_owned(), Self::default()));
            if at == SEARCHED_MAX {
                let names = self.children.iter().map(|(name, _)| name.clone());
                self.places = names.zip(0..).collect();
            } else if SEARCHED_MAX < at {
                self.places.insert(part.to_owned(), at);
            }
            at
        });
        &mut self.children[at].1
    }

    fn place(&self, part: &str) -> Option<usize> {
        if SEARCHED_MAX < self.children.len() {
            return self.places.get(part).copied();
        }
        // Fields of one list usually stand together: look at the newest first.
        self.children.iter().rposition(|(held, _)| held == part)
    }

    /// What stands below `part`.
    #[must_use]
    pub fn child(&self, part: &str) -> Option<&Self> {
        self.place(part).map(|at| &self.children[at].1)
    }

    /// What stands below a name of several parts.
    #[must_use]
    pub fn descend(&self, name: &str) -> Option<&Self> {
        name.split('.').try_fold(self, |node, part| node.child(part))
    }

    /// The value of a field at this level.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.child(name).and_then(|node| node.value.as_deref())
    }

    /// Children whose name is a number, in the order of the numbers.
    #[must_use]
    pub fn numbered(&self) -> Vec<(u64, &Self)> {
        let mut numbered: Vec<(u64, &Self)> = self
            .children
            .iter()
            .filter_map(|(part, node)| part.parse().ok().map(|number| (number, node)))
            .collect();
        numbered.sort_by_key(|(number, _)| *number);
        numbered
    }
}

#[cfg(test)]
mod tests {
    use super::FormNode;
    use proptest::prelude::*;

    #[test]
    fn names_become_a_tree_and_numbers_an_order() {
        let root = FormNode::parse(b"A.member.10=x&A.member.2=y&B=1+2&B=3").unwrap();
        let list = root.descend("A.member").unwrap().numbered();
        let values: Vec<_> = list.iter().map(|(n, node)| (*n, node.value.as_deref())).collect();
        assert_eq!(values, [(2, Some("y")), (10, Some("x"))]);
        assert_eq!(root.field("B"), Some("1 2"));
    }

    #[test]
    fn many_names_are_found_as_few_are() {
        let text: Vec<String> = (0..2000).map(|n| format!("N{n}.X={n}&N{n}.Y=1")).collect();
        let root = FormNode::parse(text.join("&").as_bytes()).unwrap();
        assert_eq!(root.children.len(), 2000);
        for n in [0, 31, 32, 33, 1999] {
            let node = root.child(&format!("N{n}")).unwrap();
            assert_eq!(node.field("X"), Some(n.to_string().as_str()));
            assert_eq!(node.field("Y"), Some("1"));
        }
        assert_eq!(root.child("N2000"), None);
    }

    #[test]
    fn too_many_fields_and_too_long_names_are_refused() {
        assert!(FormNode::parse("a=1&".repeat(20_001).as_bytes()).is_err());
        assert!(FormNode::parse("a.".repeat(40).as_bytes()).is_err());
    }

    proptest! {
        /// Whatever arrives, reading ends without a panic.
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = FormNode::parse(&bytes);
        }
    }
}
