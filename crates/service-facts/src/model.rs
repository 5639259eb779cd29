//! What a service model says about a service: operations, shapes, members.
//!
//! Plain data, derived from the botocore models; names, wire names, locations
//! and flags only. A [`Service`] owns its shapes; everything refers to them by
//! [`ShapeId`].

use std::collections::HashMap;

/// Index into [`Service::shapes`].
pub type ShapeId = u32;

/// How calls of a service look on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// awsJson 1.0 and 1.1: POST `/`, `X-Amz-Target`.
    Json,
    /// REST with JSON bodies.
    RestJson,
    /// REST with XML bodies.
    RestXml,
    /// Form fields in, XML out.
    Query,
    /// The EC2 dialect of query.
    Ec2,
    /// Smithy RPC v2 with CBOR bodies, and the older CBOR of Kinesis.
    Cbor,
}

/// Where a member travels when not in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Location {
    /// A label of the URI template.
    Uri,
    /// A query parameter; for a map, every other parameter.
    Query,
    /// A header field.
    Header,
    /// Every header field whose name begins with the member's wire name.
    Headers,
    /// The status code of the answer.
    Status,
}

/// How a timestamp is written on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampFormat {
    /// `2015-08-01T02:10:59Z`.
    Iso8601,
    /// Seconds since 1970, with an optional fraction.
    UnixTimestamp,
    /// `Sat, 01 Aug 2015 02:10:59 GMT`.
    Rfc822,
}

/// One service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Name in botocore, such as `s3` or `cloudwatch`.
    pub name: String,
    /// Name in the credential scope, such as `monitoring`.
    pub signing_name: String,
    /// First labels of the endpoint's host name.
    pub endpoint_prefix: String,
    /// Name for people and for Smithy, such as `CloudWatch Logs`.
    pub service_id: String,
    /// Every protocol it speaks, the model's own choice first.
    pub protocols: Vec<Protocol>,
    /// `1.0` or `1.1` where awsJson is spoken.
    pub json_version: Option<String>,
    /// What stands before the dot in `X-Amz-Target`.
    pub target_prefix: Option<String>,
    /// Such as `2006-03-01`; `Version` of the query protocol.
    pub api_version: String,
    /// Namespace of XML answers.
    pub xml_namespace: Option<String>,
    /// Sorted by name.
    pub operations: Vec<Operation>,
    /// What inputs, outputs and members refer to.
    pub shapes: Vec<Shape>,
    /// Error code on the wire → name of the exception shape, where they differ.
    pub errors: HashMap<String, String>,
}

impl Service {
    /// Index of the operation of that SDK name, else of that wire name.
    #[must_use]
    pub fn operation(&self, name: &str) -> Option<usize> {
        self.operations.binary_search_by(|held| held.name.as_str().cmp(name)).ok().or_else(|| {
            self.operations.iter().position(|held| held.wire_name.as_deref() == Some(name))
        })
    }

    /// The shape behind an id; `None` only for an id of another service.
    #[must_use]
    pub fn shape(&self, id: ShapeId) -> Option<&Shape> {
        self.shapes.get(id as usize)
    }

    /// Members of a structure; none for any other shape.
    #[must_use]
    pub fn members(&self, id: ShapeId) -> &[Member] {
        match self.shape(id).map(|shape| &shape.kind) {
            Some(ShapeKind::Structure { members, .. }) => members,
            _ => &[],
        }
    }
}

/// One operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts of the model")]
pub struct Operation {
    /// Name in SDKs.
    pub name: String,
    /// Name on the wire where it differs, such as `CreateFunction2020_05_31`.
    pub wire_name: Option<String>,
    /// HTTP method, upper case.
    pub method: String,
    /// URI template with its literal query, such as `/{Bucket}/{Key+}?acl`.
    pub uri: String,
    /// Input structure.
    pub input: Option<ShapeId>,
    /// Output structure; absent for read-only operations (STS excepted), whose
    /// answers are never recorded.
    pub output: Option<ShapeId>,
    /// Whether the model has an output, kept or not.
    pub has_output: bool,
    /// Element around the output in the query protocol.
    pub result_wrapper: Option<String>,
    /// The model's own word that nothing changes.
    pub read_only_hint: bool,
    /// Callable without a signature.
    pub no_auth: bool,
    /// Signed with a bearer token instead of SigV4.
    pub bearer: bool,
    /// Template before the host, such as `{AccountId}.`.
    pub host_prefix: Option<String>,
    /// Input or output is an event stream.
    pub event_stream: bool,
    /// The request body is a stream of unknown length.
    pub streaming_input: bool,
    /// The answer's body is a stream of unknown length.
    pub streaming_output: bool,
    /// EC2 only: existed in API version 2014-10-01, so its records have the
    /// old form (spec/gateway.md 3.7).
    pub legacy: bool,
}

/// One type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Name in the model.
    pub name: String,
    /// The model says that values are secret or personal.
    pub sensitive: bool,
    /// What it is made of.
    pub kind: ShapeKind,
}

/// What a shape is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShapeKind {
    /// Text, enums included.
    String,
    /// 32-bit whole number.
    Integer,
    /// 64-bit whole number.
    Long,
    /// 32-bit float.
    Float,
    /// 64-bit float.
    Double,
    /// `true` or `false`.
    Boolean,
    /// Bytes.
    Blob {
        /// Whether it is passed on while it arrives.
        streaming: bool,
    },
    /// A moment, in the format of the shape, else of the protocol.
    Timestamp(Option<TimestampFormat>),
    /// One character.
    Character,
    /// Any JSON value.
    Document,
    /// A list.
    List {
        /// Type of the elements.
        member: ShapeId,
        /// XML and query name of one element where it is not `member`.
        member_name: Option<String>,
        /// Whether elements stand without a list element around them.
        flattened: bool,
    },
    /// A map.
    Map {
        /// Type of the keys.
        key: ShapeId,
        /// Type of the values.
        value: ShapeId,
        /// XML and query name of a key where it is not `key`.
        key_name: Option<String>,
        /// XML and query name of a value where it is not `value`.
        value_name: Option<String>,
        /// Whether entries stand without a map element around them.
        flattened: bool,
    },
    /// Named members.
    Structure {
        /// In the model's order.
        members: Vec<Member>,
        /// Member that is the whole HTTP body.
        payload: Option<String>,
        /// Whether members are events of a stream.
        event_stream: bool,
        /// Indices into `members`.
        required: Vec<u32>,
    },
}

/// One member of a structure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts of the model")]
pub struct Member {
    /// Name in the model; records write it with the first letter lowered.
    pub name: String,
    /// Its type.
    pub shape: ShapeId,
    /// Where it travels; absent for the body.
    pub location: Option<Location>,
    /// Name on the wire where it differs (`locationName`).
    pub wire_name: Option<String>,
    /// Name in EC2 queries where it differs (`queryName`).
    pub query_name: Option<String>,
    /// Format on the wire, before the shape's own.
    pub timestamp_format: Option<TimestampFormat>,
    /// Text that holds JSON (in a header: base64 of it).
    pub json_value: bool,
    /// An XML attribute, not an element.
    pub xml_attribute: bool,
    /// A list or map flattened at this place only.
    pub flattened: bool,
    /// Passed on while it arrives.
    pub streaming: bool,
    /// Part of the host name.
    pub host_label: bool,
}

impl Member {
    /// Name on the wire.
    #[must_use]
    pub fn wire(&self) -> &str {
        self.wire_name.as_deref().unwrap_or(&self.name)
    }
}
