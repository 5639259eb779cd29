//! Every name in the file is one of the table of services.

use super::{File, Naming, Side, TimestampStyle, Verb};
use crate::facts::Facts;
use crate::model::{Service, ShapeKind};
use std::collections::BTreeSet;

static TEXT: &str = include_str!("../../data/tables.toml");

fn file() -> File {
    toml::from_str(TEXT).unwrap()
}

/// `service`, `service:operation` or `service.member` that no model knows.
#[derive(Default)]
struct Missing(BTreeSet<String>);

impl Missing {
    fn service(&mut self, name: &str) -> Option<std::sync::Arc<Service>> {
        let found = Facts::embedded().service(name).cloned();
        if found.is_none() && name != "*" {
            self.0.insert(name.to_owned());
        }
        found
    }

    fn operations(&mut self, service: &str, names: &[String]) {
        let Some(found) = self.service(service) else { return };
        for name in names {
            if found.operation(name).is_none() && name != "PostObject" {
                self.0.insert(format!("{service}:{name}"));
            }
        }
    }

    fn members(&mut self, service: &str, shapes: &[String], names: &[String]) {
        let Some(found) = self.service(service) else { return };
        let known = |shape: &str, name: &str| {
            found.shapes.iter().any(|held| {
                (shape.is_empty() || held.name == shape)
                    && matches!(&held.kind, ShapeKind::Structure { members, .. }
                        if name.is_empty() || members.iter().any(|member| member.name == name))
            })
        };
        for shape in shapes.iter().filter(|shape| !known(shape, "")) {
            self.0.insert(format!("{service} structure {shape}"));
        }
        for name in names {
            let there = shapes.iter().any(|shape| known(shape, name))
                || (shapes.is_empty() && known("", name));
            if !there {
                self.0.insert(format!("{service}.{name}"));
            }
        }
    }
}

#[test]
fn every_service_and_operation_named_exists() {
    let file = file();
    let mut missing = Missing::default();
    let services = file.naming.iter().flat_map(|row| &row.services);
    let services = services.chain(file.sensitive.iter().flat_map(|row| &row.services));
    let services = services.chain(file.denial_keeps_request.iter().flat_map(|row| &row.services));
    let services = services.chain(file.unwrap.iter().flat_map(|row| &row.services));
    let services = services.chain(file.query_numbers_as_text.iter().flat_map(|row| &row.services));
    let services = services.chain(file.global_region.iter().flat_map(|row| &row.services));
    let services = services.chain(file.scope.iter().flat_map(|row| &row.services));
    let services = services.chain(file.event_source.iter().map(|row| &row.service));
    for service in services {
        missing.service(service);
    }
    for row in &file.event_name {
        missing.operations(&row.service, std::slice::from_ref(&row.operation));
    }
    for row in &file.inject {
        missing.operations(&row.service, std::slice::from_ref(&row.operation));
    }
    for row in &file.lambda_name {
        missing.operations("lambda", &row.operations);
    }
    for row in &file.read_only {
        missing.operations(&row.service, &row.operations);
    }
    for row in &file.data_event {
        missing.operations(&row.service, &row.operations);
    }
    for row in &file.resource {
        missing.operations(&row.service, &row.operations);
    }
    let rows = [&file.null_request, &file.null_response, &file.read_only_response];
    for row in rows.into_iter().flatten() {
        missing.operations(&row.service, &row.operations);
    }
    for row in &file.timestamp {
        for service in &row.services {
            missing.operations(service, &row.operations);
        }
    }
    assert_eq!(missing.0, BTreeSet::new());
}

#[test]
fn every_member_named_exists() {
    let file = file();
    let mut missing = Missing::default();
    for row in &file.redaction {
        for service in &row.services {
            missing.operations(service, &row.operations);
        }
        for member in &row.members {
            let mut each: Vec<Missing> = Vec::new();
            for service in &row.services {
                let mut one = Missing::default();
                one.members(service, &row.shapes, std::slice::from_ref(member));
                each.push(one);
            }
            // A row for a family of services may name what only one of them has.
            if each.iter().all(|one| !one.0.is_empty()) {
                missing.0.extend(each.into_iter().flat_map(|one| one.0));
            }
        }
    }
    for row in &file.rename {
        missing.members(&row.service, &row.shapes, std::slice::from_ref(&row.member));
    }
    assert_eq!(missing.0, BTreeSet::new());
}

#[test]
fn every_ec2_name_exists() {
    let rows = file().ec2;
    let facts = Facts::embedded();
    let ec2 = facts.service("ec2").unwrap();
    let mut missing = Missing::default();
    let operations = rows.lists.iter().map(|row| &row.operation);
    let operations = operations.chain(rows.defaults.iter().map(|row| &row.operation));
    let operations = operations.chain(rows.moves.iter().map(|row| &row.operation));
    let operations = operations.chain(rows.singular.iter().flat_map(|row| &row.operations));
    for operation in operations {
        missing.operations("ec2", std::slice::from_ref(operation));
        let legacy = ec2.operation(operation).is_some_and(|at| ec2.operations[at].legacy);
        assert!(legacy, "{operation} is not of the old form");
    }
    let members = rows.renames.iter().map(|row| &row.member);
    for member in members.chain(rows.drops.iter().map(|row| &row.member)) {
        match member.split_once('.') {
            None => missing.members("ec2", &[], std::slice::from_ref(member)),
            Some((place, member)) => {
                let shape = match ec2.operation(place) {
                    Some(at) => ec2.shape(ec2.operations[at].input.unwrap()).unwrap().name.clone(),
                    None => place.to_owned(),
                };
                missing.members("ec2", &[shape], &[member.to_owned()]);
            }
        }
    }
    assert_eq!(missing.0, BTreeSet::new());
}

#[test]
fn a_row_without_evidence_is_refused() {
    let text = TEXT.replacen("evidence = \"raw records", "evidence = \" \" # \"", 1);
    let error = super::Tables::parse(&text).unwrap_err().to_string();
    assert!(error.contains("a row needs evidence"), "{error}");
}

#[test]
fn rules_are_found_by_service_operation_structure_and_side() {
    let facts = Facts::embedded();
    let of = |service: &str| facts.tables().service(service);
    assert_eq!(of("securityhub").naming, Naming::Same);
    assert_eq!(of("iam").timestamps("CreateUser"), TimestampStyle::Java8);
    assert_eq!(of("sts").timestamps("GetFederationToken"), TimestampStyle::Java9);
    assert_eq!(of("nobody").sensitive, Verb::Hide);
    assert_eq!(of("iam").sensitive, Verb::Omit);
    let password = |operation, side| of("sns").redaction(operation, "", "Message", side);
    assert_eq!(password("Publish", Side::Request), Some(Verb::Hide));
    assert_eq!(password("Publish", Side::Response), None);
    assert_eq!(password("CreateTopic", Side::Request), None);
    assert_eq!(of("secretsmanager").rename("CreateSecretResponse", "ARN"), Some("arn"));
    assert_eq!(of("secretsmanager").rename("DeleteSecretResponse", "ARN"), None);
    assert_eq!(of("kms").resources("CreateAlias").count(), 3);
    assert_eq!(of("kms").resources("Decrypt").count(), 1);
    let ec2 = facts.tables().ec2();
    assert_eq!(ec2.rename("DescribeSecurityGroups", "", "GroupIds"), Some("securityGroupIdSet"));
    assert_eq!(ec2.rename("DescribeVpcs", "Filter", "Values"), Some("valueSet"));
    assert_eq!(ec2.lists("DescribeVpcs"), ["filterSet", "vpcSet"]);
    assert!(ec2.dropped("RunInstances", "DryRun"));
    assert!(ec2.text("CreateVolume", "size"));
}
