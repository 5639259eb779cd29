//! Rows of the old EC2 form, where records follow the SOAP request of 2014.
//!
//! Source: spec/gateway.md 3.7.

#![allow(dead_code, reason = "evidence is required and never asked for")]

use super::rows::Evidence;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

/// Rows as they stand in the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ec2Rows {
    /// Lists that appear as `{}` when the caller sent none.
    pub(super) lists: Vec<Ec2ListRow>,
    /// Names of members.
    pub(super) renames: Vec<Ec2RenameRow>,
    /// Names of the elements of a list.
    pub(super) items: Vec<Ec2ItemRow>,
    /// Parameters that appear though not sent.
    pub(super) defaults: Vec<Ec2DefaultRow>,
    /// Members that never appear.
    pub(super) drops: Vec<Ec2DropRow>,
    /// Operations whose lists say `item` instead of `items`.
    pub(super) singular: Vec<Ec2OperationsRow>,
    /// List names that are plain arrays.
    pub(super) plain: Vec<Ec2PlainRow>,
    /// Numbers written as text.
    pub(super) texts: Vec<Ec2TextRow>,
    /// Empty members that a structure always shows.
    pub(super) always: Vec<Ec2AlwaysRow>,
    /// Members moved into the one element of a list.
    pub(super) moves: Vec<Ec2MoveRow>,
}

/// Lists of an operation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ec2ListRow {
    /// Operation.
    pub(super) operation: String,
    /// Names in the record.
    pub(super) sets: Vec<String>,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// A member and its name in the record.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ec2RenameRow {
    /// `Member`, or `Operation.Member`, or `Shape.Member`.
    pub(super) member: String,
    /// Name in the record.
    pub(super) name: String,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// A list and what one scalar element of it is called.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ec2ItemRow {
    /// Name of the list in the record.
    pub(super) set: String,
    /// Key of each element.
    pub(super) key: String,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// A parameter the record has in any case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ec2DefaultRow {
    /// Operation.
    pub(super) operation: String,
    /// Name in the record.
    pub(super) name: String,
    /// Value in the record.
    pub(super) value: toml::Value,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// A member that is left out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ec2DropRow {
    /// `Member` or `Operation.Member`.
    pub(super) member: String,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// Operations to which one fact applies.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ec2OperationsRow {
    /// Operations.
    pub(super) operations: Vec<String>,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// A list that stays an array.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ec2PlainRow {
    /// Name of the list in the record.
    pub(super) set: String,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// A number written as text.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ec2TextRow {
    /// `Operation.name` with the name of the record.
    pub(super) member: String,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// Members of a structure that appear as `{}` when absent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ec2AlwaysRow {
    /// Structure of the model, or operation.
    pub(super) shape: String,
    /// Names in the record.
    pub(super) names: Vec<String>,
    /// Why we believe it.
    pub(super) evidence: Evidence,
}

/// Top-level names that move into the single element of a list.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ec2MoveRow {
    /// Operation.
    pub operation: String,
    /// Names in the record.
    pub names: Vec<String>,
    /// The list they move into.
    pub set: String,
    /// Why we believe it.
    pub evidence: Evidence,
}

/// The rows, ready to be asked.
#[derive(Debug, Clone, Default)]
pub struct Ec2Tables {
    lists: HashMap<String, Vec<String>>,
    renames: HashMap<String, String>,
    items: HashMap<String, String>,
    defaults: HashMap<String, Vec<(String, serde_json::Value)>>,
    drops: HashSet<String>,
    singular: HashSet<String>,
    plain: HashSet<String>,
    texts: HashSet<String>,
    always: HashMap<String, Vec<String>>,
    moves: HashMap<String, Ec2MoveRow>,
}

impl Ec2Tables {
    pub(super) fn new(rows: Ec2Rows) -> Self {
        let mut defaults: HashMap<String, Vec<(String, serde_json::Value)>> = HashMap::new();
        for row in rows.defaults {
            let value = super::json(row.value);
            defaults.entry(row.operation).or_default().push((row.name, value));
        }
        Self {
            lists: grouped(rows.lists.into_iter().map(|row| (row.operation, row.sets))),
            renames: rows.renames.into_iter().map(|row| (row.member, row.name)).collect(),
            items: rows.items.into_iter().map(|row| (row.set, row.key)).collect(),
            defaults,
            drops: rows.drops.into_iter().map(|row| row.member).collect(),
            singular: rows.singular.into_iter().flat_map(|row| row.operations).collect(),
            plain: rows.plain.into_iter().map(|row| row.set).collect(),
            texts: rows.texts.into_iter().map(|row| row.member).collect(),
            always: grouped(rows.always.into_iter().map(|row| (row.shape, row.names))),
            moves: rows.moves.into_iter().map(|row| (row.operation.clone(), row)).collect(),
        }
    }

    /// Lists that appear as `{}` when the caller sent none.
    #[must_use]
    pub fn lists(&self, operation: &str) -> &[String] {
        self.lists.get(operation).map_or(&[], Vec::as_slice)
    }

    /// Name of a member: the row of the operation, then of the structure that
    /// holds it, then of the member anywhere.
    #[must_use]
    pub fn rename(&self, operation: &str, shape: &str, member: &str) -> Option<&str> {
        self.renames
            .get(&format!("{operation}.{member}"))
            .or_else(|| self.renames.get(&format!("{shape}.{member}")))
            .or_else(|| self.renames.get(member))
            .map(String::as_str)
    }

    /// Key of one scalar element of the list of that name in the record.
    #[must_use]
    pub fn item(&self, set: &str) -> Option<&str> {
        self.items.get(set).map(String::as_str)
    }

    /// Parameters that appear though not sent.
    #[must_use]
    pub fn defaults(&self, operation: &str) -> &[(String, serde_json::Value)] {
        self.defaults.get(operation).map_or(&[], Vec::as_slice)
    }

    /// Whether the member of that model name never appears.
    #[must_use]
    pub fn dropped(&self, operation: &str, member: &str) -> bool {
        self.drops.contains(member) || self.drops.contains(&format!("{operation}.{member}"))
    }

    /// Whether lists of the operation say `item` instead of `items`.
    #[must_use]
    pub fn singular(&self, operation: &str) -> bool {
        self.singular.contains(operation)
    }

    /// Whether the list of that name in the record is a plain array.
    #[must_use]
    pub fn plain(&self, set: &str) -> bool {
        self.plain.contains(set)
    }

    /// Whether the number of that name in the record is written as text.
    #[must_use]
    pub fn text(&self, operation: &str, name: &str) -> bool {
        self.texts.contains(&format!("{operation}.{name}"))
    }

    /// Names that a structure (or operation) shows as `{}` when absent.
    #[must_use]
    pub fn always(&self, shape_or_operation: &str) -> &[String] {
        self.always.get(shape_or_operation).map_or(&[], Vec::as_slice)
    }

    /// Names that move into the single element of a list.
    #[must_use]
    pub fn moved(&self, operation: &str) -> Option<&Ec2MoveRow> {
        self.moves.get(operation)
    }
}

/// Rows of one key add up.
fn grouped(rows: impl Iterator<Item = (String, Vec<String>)>) -> HashMap<String, Vec<String>> {
    let mut groups: HashMap<String, Vec<String>> = HashMap::new();
    for (key, names) in rows {
        groups.entry(key).or_default().extend(names);
    }
    groups
}
