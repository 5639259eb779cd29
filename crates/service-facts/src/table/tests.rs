//! What is written is read back; what is damaged is refused.

use super::read::Table;
use super::{decode, encode, write};
use crate::model::{
    Location, Member, Operation, Protocol, Service, Shape, ShapeKind, TimestampFormat,
};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z0-9_-]{0,6}"
}

fn maybe_name() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(name())
}

fn format() -> impl Strategy<Value = Option<TimestampFormat>> {
    proptest::option::of(prop_oneof![
        Just(TimestampFormat::Iso8601),
        Just(TimestampFormat::UnixTimestamp),
        Just(TimestampFormat::Rfc822),
    ])
}

fn member() -> impl Strategy<Value = Member> {
    let location = proptest::option::of(prop_oneof![
        Just(Location::Uri),
        Just(Location::Query),
        Just(Location::Header),
        Just(Location::Headers),
        Just(Location::Status),
    ]);
    // Types 0 and 1 are the structure itself and its list; the rest scalars.
    (name(), 0_u32..7, location, maybe_name(), maybe_name(), format(), any::<[bool; 5]>()).prop_map(
        |(name, shape, location, wire_name, query_name, timestamp_format, flags)| Member {
            wire_name: wire_name.filter(|wire| *wire != name),
            name,
            shape,
            location,
            query_name,
            timestamp_format,
            json_value: flags[0],
            xml_attribute: flags[1],
            flattened: flags[2],
            streaming: flags[3],
            host_label: flags[4],
        },
    )
}

fn operation() -> impl Strategy<Value = Operation> {
    let texts = (name(), maybe_name(), maybe_name(), maybe_name(), "/[a-z{}?=]{0,8}");
    (texts, any::<[bool; 8]>(), any::<bool>()).prop_map(|(texts, flags, wraps)| {
        let (name, wire_name, wrapper, host_prefix, uri) = texts;
        let usual = format!("{name}Result");
        Operation {
            result_wrapper: if wraps { Some(usual) } else { wrapper },
            name,
            wire_name,
            method: "PUT".into(),
            uri,
            input: Some(0),
            output: None,
            has_output: flags[0],
            read_only_hint: flags[1],
            no_auth: flags[2],
            bearer: flags[3],
            host_prefix,
            event_stream: flags[4],
            streaming_input: flags[5],
            streaming_output: flags[6],
            legacy: flags[7],
        }
    })
}

fn shapes(members: Vec<Member>, payload: Option<String>, sensitive: bool) -> Vec<Shape> {
    let structure = ShapeKind::Structure {
        required: (0..members.len()).step_by(2).filter_map(|at| u32::try_from(at).ok()).collect(),
        members,
        payload,
        event_stream: sensitive,
    };
    let kinds = [
        structure,
        ShapeKind::List { member: 0, member_name: None, flattened: sensitive },
        ShapeKind::String,
        ShapeKind::Timestamp(Some(TimestampFormat::Rfc822)),
        ShapeKind::Blob { streaming: true },
        ShapeKind::Document,
        ShapeKind::Map { key: 2, value: 1, key_name: None, value_name: None, flattened: false },
    ];
    let name = |kind: &ShapeKind| {
        let named = matches!(kind, ShapeKind::Structure { .. });
        if named { "Thing".to_owned() } else { String::new() }
    };
    kinds.into_iter().map(|kind| Shape { name: name(&kind), sensitive, kind }).collect()
}

fn service() -> impl Strategy<Value = Service> {
    let head = (name(), name(), maybe_name(), maybe_name());
    let body = (
        proptest::collection::vec(operation(), 1..4),
        proptest::collection::vec(member(), 0..5),
        maybe_name(),
        any::<bool>(),
        proptest::collection::hash_map(name(), name(), 0..3),
    );
    (head, body).prop_map(|(head, (operations, members, payload, sensitive, errors))| Service {
        name: head.0,
        signing_name: head.1,
        json_version: head.2,
        target_prefix: head.3,
        protocols: vec![Protocol::Cbor, Protocol::Json],
        operations,
        shapes: shapes(members, payload, sensitive),
        errors,
        ..Service::default()
    })
}

/// Shapes change their places on the way, so services are compared by their
/// bytes: those of a service that was read back are the same again.
fn bytes(service: &Service) -> Vec<u8> {
    write::write(std::slice::from_ref(service))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn services_come_back(services in proptest::collection::vec(service(), 1..4)) {
        let back = decode(&encode(&services).unwrap()).unwrap();
        prop_assert_eq!(back.len(), services.len());
        for (got, want) in back.iter().zip(&services) {
            prop_assert_eq!(bytes(got), bytes(want));
            prop_assert_eq!(&got.errors, &want.errors);
            prop_assert_eq!(got.members(0), want.members(0).iter().zip(got.members(0)).map(
                |(member, place)| Member { shape: place.shape, ..member.clone() }
            ).collect::<Vec<_>>());
            for (got, want) in got.operations.iter().zip(&want.operations) {
                prop_assert_eq!(got, want);
            }
        }
    }

    #[test]
    fn damaged_tables_never_panic(
        service in service(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut plain = bytes(&service);
        for (at, byte) in damage {
            let at = at.index(plain.len());
            plain[at] = byte;
        }
        if let Some(cut) = cut {
            plain.truncate(cut.index(plain.len()));
        }
        if let Ok(table) = Table::open_plain(plain) {
            for index in 0..table.cards().len() {
                let _ = table.service(index);
            }
        }
    }
}

#[test]
fn bytes_that_are_no_table_are_refused() {
    assert!(decode(b"").is_err());
    assert!(decode(b"not zstd").is_err());
    let other = zstd::bulk::compress(b"trailbox-facts 9\n", 1).unwrap();
    assert_eq!(decode(&other).err(), Some(super::TableError::Format));
}
