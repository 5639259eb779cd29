//! From models to facts.

use super::models::{self, Metadata, Model, Reference};
use anyhow::{Context as _, bail};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use trailbox_service_facts::{
    Location, Member, Operation, Protocol, Service, Shape, ShapeId, ShapeKind, TimestampFormat,
    is_read_only_verb,
};

/// API versions whose EC2 operations are recorded in the old form.
const OLD_EC2: [&str; 2] = ["2014-10-01", "2015-03-01"];

/// Read-only operations whose answers are read all the same: credentials that
/// are learned, and the key that an alias stands for.
const KEPT_OUTPUTS: [(&str, &str); 4] =
    [("sts", ""), ("kms", ""), ("sso", "GetRoleCredentials"), ("cognito-identity", "")];

/// Every service below `data`, sorted by name.
pub(super) fn all(data: &Path) -> anyhow::Result<Vec<Service>> {
    let old = old_ec2(data)?;
    let files = models::newest(data)?;
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let parts: anyhow::Result<Vec<Vec<Service>>> = std::thread::scope(|scope| {
        let every = |start: usize| {
            let mine = files.iter().skip(start).step_by(workers);
            let old = &old;
            scope.spawn(move || mine.map(|(name, file)| one(name, file, old)).collect())
        };
        let handles: Vec<_> = (0..workers).map(every).collect();
        let join = |handle: std::thread::ScopedJoinHandle<'_, _>| {
            handle.join().unwrap_or_else(|_| bail!("a worker panicked"))
        };
        handles.into_iter().map(join).collect()
    });
    let mut services = parts?.concat();
    services.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(services)
}

fn one(name: &str, file: &Path, old: &HashSet<String>) -> anyhow::Result<Service> {
    let model = models::read(file)?;
    let service = Derivation::new(name, &model).service(old);
    service.with_context(|| format!("service `{name}`"))
}

fn old_ec2(data: &Path) -> anyhow::Result<HashSet<String>> {
    let mut names = HashSet::new();
    for version in OLD_EC2 {
        let file = models::model_file(&data.join("ec2").join(version))
            .with_context(|| format!("EC2 {version} is not among the models"))?;
        names.extend(models::read(&file)?.operations.into_keys());
    }
    Ok(names)
}

struct Derivation<'a> {
    name: &'a str,
    model: &'a Model,
    ids: HashMap<&'a str, ShapeId>,
    shapes: Vec<Shape>,
}

impl<'a> Derivation<'a> {
    fn new(name: &'a str, model: &'a Model) -> Self {
        Self { name, model, ids: HashMap::new(), shapes: Vec::new() }
    }

    fn service(mut self, old: &HashSet<String>) -> anyhow::Result<Service> {
        let model = self.model;
        let mut names: Vec<&String> = model.operations.keys().collect();
        names.sort();
        let mut operations = Vec::with_capacity(names.len());
        for name in names {
            let mut operation = self
                .operation(name, &model.operations[name])
                .with_context(|| format!("operation `{name}`"))?;
            operation.legacy = self.name == "ec2" && old.contains(name);
            operations.push(operation);
        }
        let Metadata { endpoint_prefix, signing_name, service_id, .. } = &model.metadata;
        Ok(Service {
            name: self.name.to_owned(),
            signing_name: signing_name.clone().unwrap_or_else(|| endpoint_prefix.clone()),
            endpoint_prefix: endpoint_prefix.clone(),
            service_id: service_id.clone(),
            protocols: protocols(&model.metadata)?,
            json_version: model.metadata.json_version.clone(),
            target_prefix: model.metadata.target_prefix.clone(),
            api_version: model.metadata.api_version.clone(),
            xml_namespace: model.metadata.xml_namespace.clone(),
            operations,
            shapes: self.shapes,
            errors: errors(model),
        })
    }

    fn operation(&mut self, name: &str, from: &models::Operation) -> anyhow::Result<Operation> {
        let kept = !is_read_only_verb(name)
            || KEPT_OUTPUTS.iter().any(|(service, operation)| {
                *service == self.name && (operation.is_empty() || *operation == name)
            });
        let bearer = |scheme: &String| scheme == "smithy.api#httpBearerAuth";
        let metadata = &self.model.metadata;
        let schemes = if from.auth.is_empty() { &metadata.auth } else { &from.auth };
        Ok(Operation {
            name: name.to_owned(),
            wire_name: from.name.clone().filter(|wire| wire != name),
            method: from.http.method.to_ascii_uppercase(),
            uri: from.http.request_uri.clone(),
            input: from.input.as_ref().map(|at| self.shape(&at.shape)).transpose()?,
            output: from
                .output
                .as_ref()
                .filter(|_| kept)
                .map(|at| self.shape(&at.shape))
                .transpose()?,
            has_output: from.output.is_some(),
            result_wrapper: from
                .output
                .as_ref()
                .filter(|_| kept)
                .and_then(|at| at.result_wrapper.clone()),
            read_only_hint: from.readonly,
            no_auth: from.authtype.as_deref() == Some("none")
                || from.auth.iter().any(|scheme| scheme == "smithy.api#noAuth"),
            bearer: schemes.iter().any(bearer)
                || metadata.signature_version.as_deref() == Some("bearer"),
            host_prefix: from.endpoint.as_ref().and_then(|at| at.host_prefix.clone()),
            event_stream: self.streams(from.input.as_ref(), |shape| shape.eventstream)
                || self.streams(from.output.as_ref(), |shape| shape.eventstream),
            streaming_input: self.streams(from.input.as_ref(), |shape| shape.streaming),
            streaming_output: self.streams(from.output.as_ref(), |shape| shape.streaming),
            legacy: false,
        })
    }

    /// Whether some member of an input or output is of such a kind.
    fn streams(&self, at: Option<&Reference>, kind: impl Fn(&models::Shape) -> bool) -> bool {
        let members =
            at.and_then(|at| self.model.shapes.get(&at.shape)).map(|shape| &shape.members);
        members.is_some_and(|members| {
            members.0.iter().any(|(_, member)| {
                member.streaming || self.model.shapes.get(&member.shape).is_some_and(&kind)
            })
        })
    }

    /// The id of a shape; on first use it and all below it are added.
    fn shape(&mut self, name: &str) -> anyhow::Result<ShapeId> {
        let model = self.model;
        let Some((name, from)) = model.shapes.get_key_value(name) else {
            bail!("no shape `{name}`");
        };
        if let Some(&id) = self.ids.get(name.as_str()) {
            return Ok(id);
        }
        let id = ShapeId::try_from(self.shapes.len())?;
        self.ids.insert(name, id);
        // The place is taken now: a shape may contain itself.
        let placeholder =
            Shape { name: name.clone(), sensitive: from.sensitive, kind: ShapeKind::Document };
        self.shapes.push(placeholder);
        let kind = self.kind(from).with_context(|| format!("shape `{name}`"))?;
        self.shapes[id as usize].kind = kind;
        Ok(id)
    }

    fn kind(&mut self, from: &models::Shape) -> anyhow::Result<ShapeKind> {
        if from.document {
            return Ok(ShapeKind::Document);
        }
        Ok(match from.kind.as_str() {
            "string" => ShapeKind::String,
            "integer" => ShapeKind::Integer,
            "long" => ShapeKind::Long,
            "float" => ShapeKind::Float,
            "double" => ShapeKind::Double,
            "boolean" => ShapeKind::Boolean,
            "character" => ShapeKind::Character,
            "blob" => ShapeKind::Blob { streaming: from.streaming },
            "timestamp" => ShapeKind::Timestamp(timestamp(from.timestamp_format.as_deref())?),
            "list" => {
                let member = from.member.as_ref().context("a list without elements")?;
                ShapeKind::List {
                    member: self.shape(&member.shape)?,
                    member_name: member.location_name.clone(),
                    flattened: from.flattened,
                }
            }
            "map" => {
                let key = from.key.as_ref().context("a map without keys")?;
                let value = from.value.as_ref().context("a map without values")?;
                ShapeKind::Map {
                    key: self.shape(&key.shape)?,
                    value: self.shape(&value.shape)?,
                    key_name: key.location_name.clone(),
                    value_name: value.location_name.clone(),
                    flattened: from.flattened,
                }
            }
            "structure" => self.structure(from)?,
            other => bail!("unknown type `{other}`"),
        })
    }

    fn structure(&mut self, from: &models::Shape) -> anyhow::Result<ShapeKind> {
        let mut members = Vec::with_capacity(from.members.0.len());
        let mut required = Vec::new();
        for (index, (name, at)) in from.members.0.iter().enumerate() {
            members.push(self.member(name, at).with_context(|| format!("member `{name}`"))?);
            if from.required.contains(name) {
                required.push(u32::try_from(index)?);
            }
        }
        Ok(ShapeKind::Structure {
            members,
            payload: from.payload.clone(),
            event_stream: from.eventstream,
            required,
        })
    }

    fn member(&mut self, name: &str, at: &Reference) -> anyhow::Result<Member> {
        Ok(Member {
            name: name.to_owned(),
            shape: self.shape(&at.shape)?,
            location: at.location.as_deref().map(location).transpose()?,
            wire_name: at.location_name.clone().filter(|wire| wire != name),
            query_name: at.query_name.clone(),
            timestamp_format: timestamp(at.timestamp_format.as_deref())?,
            json_value: at.jsonvalue,
            xml_attribute: at.xml_attribute,
            flattened: at.flattened,
            streaming: at.streaming,
            host_label: at.host_label,
        })
    }
}

fn protocols(metadata: &Metadata) -> anyhow::Result<Vec<Protocol>> {
    let mut found = Vec::new();
    for name in std::iter::once(&metadata.protocol).chain(&metadata.protocols) {
        let protocol = match name.as_str() {
            "json" => Protocol::Json,
            "rest-json" => Protocol::RestJson,
            "rest-xml" => Protocol::RestXml,
            "query" => Protocol::Query,
            "ec2" => Protocol::Ec2,
            "smithy-rpc-v2-cbor" => Protocol::Cbor,
            other => bail!("unknown protocol `{other}`"),
        };
        if !found.contains(&protocol) {
            found.push(protocol);
        }
    }
    Ok(found)
}

fn location(name: &str) -> anyhow::Result<Location> {
    Ok(match name {
        "uri" => Location::Uri,
        "querystring" => Location::Query,
        "header" => Location::Header,
        "headers" => Location::Headers,
        "statusCode" => Location::Status,
        other => bail!("unknown location `{other}`"),
    })
}

fn timestamp(name: Option<&str>) -> anyhow::Result<Option<TimestampFormat>> {
    Ok(Some(match name {
        None => return Ok(None),
        Some("iso8601") => TimestampFormat::Iso8601,
        Some("unixTimestamp") => TimestampFormat::UnixTimestamp,
        Some("rfc822") => TimestampFormat::Rfc822,
        Some(other) => bail!("unknown timestamp format `{other}`"),
    }))
}

/// Codes that differ from the shape's name. Where two shapes share a code the
/// first by name wins, so that the table does not depend on hashing.
fn errors(model: &Model) -> HashMap<String, String> {
    let mut names: Vec<&String> = model.shapes.keys().collect();
    names.sort();
    let mut errors = HashMap::new();
    for name in names {
        let code = model.shapes[name].error.as_ref().and_then(|error| error.code.as_ref());
        if let Some(code) = code.filter(|code| *code != name) {
            errors.entry(code.clone()).or_insert_with(|| name.clone());
        }
    }
    errors
}
