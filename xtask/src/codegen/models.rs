//! botocore's model files, as far as the table needs them.

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// More than the largest model inflates to.
const MODEL_CAP: usize = 64 << 20;

#[derive(Debug, Deserialize)]
pub(super) struct Model {
    pub(super) metadata: Metadata,
    pub(super) operations: HashMap<String, Operation>,
    pub(super) shapes: HashMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) api_version: String,
    pub(super) endpoint_prefix: String,
    pub(super) protocol: String,
    #[serde(default)]
    pub(super) protocols: Vec<String>,
    pub(super) json_version: Option<String>,
    pub(super) service_id: String,
    pub(super) signing_name: Option<String>,
    pub(super) signature_version: Option<String>,
    #[serde(default)]
    pub(super) auth: Vec<String>,
    pub(super) target_prefix: Option<String>,
    pub(super) xml_namespace: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Operation {
    pub(super) name: Option<String>,
    pub(super) http: Http,
    pub(super) input: Option<Reference>,
    pub(super) output: Option<Reference>,
    #[serde(default)]
    pub(super) readonly: bool,
    pub(super) authtype: Option<String>,
    #[serde(default)]
    pub(super) auth: Vec<String>,
    pub(super) endpoint: Option<Endpoint>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Http {
    pub(super) method: String,
    pub(super) request_uri: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Endpoint {
    pub(super) host_prefix: Option<String>,
}

/// A place where a shape is used, with what it says about that place.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reference {
    pub(super) shape: String,
    pub(super) location: Option<String>,
    pub(super) location_name: Option<String>,
    pub(super) query_name: Option<String>,
    pub(super) result_wrapper: Option<String>,
    pub(super) timestamp_format: Option<String>,
    #[serde(default)]
    pub(super) jsonvalue: bool,
    #[serde(default)]
    pub(super) xml_attribute: bool,
    #[serde(default)]
    pub(super) flattened: bool,
    #[serde(default)]
    pub(super) streaming: bool,
    #[serde(default)]
    pub(super) host_label: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shape {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) members: Pairs<Reference>,
    pub(super) member: Option<Reference>,
    pub(super) key: Option<Reference>,
    pub(super) value: Option<Reference>,
    #[serde(default)]
    pub(super) required: Vec<String>,
    pub(super) payload: Option<String>,
    #[serde(default)]
    pub(super) sensitive: bool,
    #[serde(default)]
    pub(super) flattened: bool,
    #[serde(default)]
    pub(super) streaming: bool,
    #[serde(default)]
    pub(super) eventstream: bool,
    #[serde(default)]
    pub(super) document: bool,
    pub(super) timestamp_format: Option<String>,
    pub(super) error: Option<ErrorTrait>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ErrorTrait {
    pub(super) code: Option<String>,
}

/// A JSON object in the order of the file.
#[derive(Debug)]
pub(super) struct Pairs<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Pairs<T>;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members(PhantomData))
    }
}

/// Every service of a `botocore/data` directory with its newest model, sorted.
pub(super) fn newest(data: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for name in directories(data)? {
        let mut versions = directories(&data.join(&name))?;
        versions.sort();
        let mut places = versions.iter().rev().map(|version| data.join(&name).join(version));
        if let Some(file) = places.find_map(|place| model_file(&place)) {
            found.push((name, file));
        }
    }
    found.sort();
    Ok(found)
}

/// The model file in the directory of one version.
pub(super) fn model_file(place: &Path) -> Option<PathBuf> {
    ["service-2.json.gz", "service-2.json"]
        .into_iter()
        .map(|name| place.join(name))
        .find(|file| file.is_file())
}

/// Reads one model file.
pub(super) fn read(file: &Path) -> anyhow::Result<Model> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let bytes = if file.extension().is_some_and(|extension| extension == "gz") {
        trailbox_service_facts::decode::inflate_capped(&bytes, MODEL_CAP)?
    } else {
        bytes
    };
    serde_json::from_slice(&bytes).with_context(|| format!("{} is no model", file.display()))
}

fn directories(place: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    let entries =
        std::fs::read_dir(place).with_context(|| format!("cannot list {}", place.display()))?;
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        match entry.file_name().into_string() {
            Ok(name) => names.push(name),
            Err(name) => bail!("{} is not UTF-8", name.display()),
        }
    }
    Ok(names)
}
