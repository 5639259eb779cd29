//! XML without a schema: elements, attributes, text.
//!
//! A document type or an entity of its own is refused, so nothing expands.
//! Nesting and the number of elements are capped.

use super::tree::Tree;
use super::{DecodeError, push_unknown};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Deepest nesting read.
const DEPTH_MAX: usize = 64;
/// Most elements and attributes in one document.
const NODES_MAX: usize = 200_000;

/// One element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Name as written, with its prefix.
    pub name: String,
    /// Attributes as written, namespace declarations included, in order.
    pub attributes: Vec<(String, String)>,
    /// Elements within.
    pub children: Vec<Element>,
    /// Text within, of all pieces together.
    pub text: String,
}

impl Element {
    /// The name without its prefix.
    #[must_use]
    pub fn local(&self) -> &str {
        local(&self.name)
    }

    /// The first child of that local name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.local() == name)
    }

    /// This element or the first one within of that local name, in document order.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Element> {
        if self.local() == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    /// As a value without a model: text, or children by name, repeated ones as a list.
    #[must_use]
    pub fn to_tree(&self) -> Tree {
        if self.children.is_empty() {
            return Tree::Text(self.text.clone());
        }
        let mut entries: Vec<(String, Tree)> = Vec::new();
        for child in &self.children {
            push_unknown(&mut entries, child.local(), child.to_tree());
        }
        Tree::Map(entries)
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Reads one document.
///
/// # Errors
///
/// When `bytes` is not one well-formed element, declares a document type,
/// refers to an entity that XML itself does not define, or is beyond the caps.
pub fn parse(bytes: &[u8]) -> Result<Element, DecodeError> {
    let mut reader = Reader::from_reader(bytes);
    reader.config_mut().expand_empty_elements = true;
    let mut builder = Builder::default();
    loop {
        let offset = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let wrong = |rule| DecodeError::Xml { offset, rule };
        let event = reader.read_event().map_err(|_| wrong("well-formed markup"))?;
        match event {
            Event::Start(start) => builder.open(&start).map_err(wrong)?,
            Event::End(_) => builder.close(),
            Event::Text(text) => builder.text(&text),
            Event::CData(text) => builder.text(&text),
            Event::GeneralRef(name) => builder.reference(&name).map_err(wrong)?,
            Event::DocType(_) => return Err(wrong("no document type")),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return builder.finish().map_err(wrong),
        }
    }
}

#[derive(Default)]
struct Builder {
    open: Vec<Element>,
    root: Option<Element>,
    nodes: usize,
}

impl Builder {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), &'static str> {
        if self.open.len() >= DEPTH_MAX {
            return Err("nesting up to 64");
        }
        if self.open.is_empty() && self.root.is_some() {
            return Err("one root element");
        }
        let mut element = Element { name: text_of(start.name().as_ref()), ..Element::default() };
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| "well-formed attributes")?;
            let value = unescape(&text_of(&attribute.value))?;
            element.attributes.push((text_of(attribute.key.as_ref()), value));
            self.nodes += 1;
        }
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err("at most 200 000 elements and attributes");
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) {
        if let Some(element) = self.open.pop() {
            match self.open.last_mut() {
                Some(parent) => parent.children.push(element),
                None => self.root = Some(element),
            }
        }
    }

    fn text(&mut self, bytes: &[u8]) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(&String::from_utf8_lossy(bytes));
        }
    }

    fn reference(&mut self, name: &[u8]) -> Result<(), &'static str> {
        let resolved = resolve(&text_of(name))?;
        if let Some(element) = self.open.last_mut() {
            element.text.push(resolved);
        }
        Ok(())
    }

    fn finish(self) -> Result<Element, &'static str> {
        if !self.open.is_empty() {
            return Err("every element is closed");
        }
        self.root.ok_or("one root element")
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `&name;` stands for: the five of XML and numbers, nothing else.
fn resolve(name: &str) -> Result<char, &'static str> {
    let number = match name {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => name.strip_prefix('#').ok_or("no entities")?,
    };
    let code = match number.strip_prefix('x') {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    code.ok().and_then(char::from_u32).ok_or("a character reference names a character")
}

fn unescape(text: &str) -> Result<String, &'static str> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, behind) = after.split_once(';').ok_or("a reference ends in a semicolon")?;
        plain.push_str(before);
        plain.push(resolve(name)?);
        rest = behind;
    }
    plain.push_str(rest);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::decode::DecodeError;
    use proptest::prelude::*;

    #[test]
    fn elements_attributes_text_and_references_are_read() {
        let text = br#"<?xml version="1.0"?><!-- c --><a xmlns="u" x:t='1 &lt; 2'>
            <p:b>x&amp;<![CDATA[<y>]]>&#x41;</p:b><c/></a>"#;
        let root = parse(text).unwrap();
        assert_eq!(root.attributes[1], ("x:t".to_owned(), "1 < 2".to_owned()));
        assert_eq!(root.child("b").unwrap().text, "x&<y>A");
        assert_eq!(root.child("c").unwrap().text, "");
    }

    #[test]
    fn entities_and_document_types_are_refused() {
        let bomb = br#"<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>"#;
        assert!(matches!(parse(bomb), Err(DecodeError::Xml { rule: "no document type", .. })));
        assert!(matches!(parse(b"<a>&c;</a>"), Err(DecodeError::Xml { rule: "no entities", .. })));
        assert!(parse(b"<a b='&c;'/>").is_err());
    }

    #[test]
    fn what_is_not_one_whole_element_is_refused() {
        for text in ["", "x", "<a>", "<a></b>", "<a/><b/>", "</a>", "<a b></a"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse("<a>".repeat(100).as_bytes()).is_err());
    }

    proptest! {
        /// Whatever arrives, reading ends without a panic.
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        /// Markup-like text too.
        #[test]
        fn arbitrary_markup_never_panics(text in "[<>/a&;#x=' !\\[\\]-]{0,60}") {
            let _ = parse(text.as_bytes());
        }
    }
}
