//! From rows to rules.

use super::{File, MemberRule, OperationRules, ScopeRule, ServiceRules, Tables, ec2, rows};
use std::collections::HashMap;

impl Tables {
    pub(super) fn build(file: File) -> Self {
        let mut tables = Self { ec2: ec2::Ec2Tables::new(file.ec2), ..Self::default() };
        tables.flavours = file.flavour;
        for row in file.scope {
            let rule = ScopeRule { services: row.services, source: row.source };
            tables.scopes.insert(row.scope, rule);
        }
        tables.add_sensitive(file.sensitive);
        tables.add_services(file.naming, file.timestamp, file.global_region);
        for row in file.event_source {
            tables.of(&row.service).event_source = Some(row.source);
        }
        tables.each(&file.denial_keeps_request, |rules| rules.denial_keeps_request = true);
        tables.each(&file.unwrap, |rules| rules.unwrap = true);
        tables.each(&file.query_numbers_as_text, |rules| rules.query_numbers_as_text = true);
        tables.add_members(file.redaction, file.rename);
        tables.add_names(file.event_name, file.lambda_name);
        tables.add_flags(file.read_only, file.data_event);
        tables.each_operation(&file.null_request, |rules| rules.null_request = true);
        tables.each_operation(&file.null_response, |rules| rules.null_response = true);
        tables.each_operation(&file.read_only_response, |rules| rules.read_only_response = true);
        for row in file.inject {
            let injected = (row.name, super::json(row.value));
            tables.of(&row.service).operation_mut(&row.operation).inject.push(injected);
        }
        for row in file.resource {
            tables.of(&row.service).resources.push(row);
        }
        tables
    }

    /// The rules of a service, begun from the general ones.
    fn of(&mut self, service: &str) -> &mut ServiceRules {
        let other = &self.other;
        self.services.entry(service.to_owned()).or_insert_with(|| other.clone())
    }

    fn each(&mut self, list: &[rows::ServicesRow], set: impl Fn(&mut ServiceRules)) {
        for service in list.iter().flat_map(|row| &row.services) {
            set(self.of(service));
        }
    }

    fn each_operation(&mut self, list: &[rows::OperationsRow], set: impl Fn(&mut OperationRules)) {
        for row in list {
            for operation in &row.operations {
                set(self.of(&row.service).operation_mut(operation));
            }
        }
    }

    /// First of all rows: `*` decides what a service begins with.
    fn add_sensitive(&mut self, list: Vec<rows::SensitiveRow>) {
        if let Some(row) = list.iter().find(|row| row.services.iter().any(|name| name == "*")) {
            self.other.sensitive = row.sensitive;
            self.other.blobs = row.blobs;
        }
        for row in list {
            for service in row.services.iter().filter(|name| *name != "*") {
                let rules = self.of(service);
                rules.sensitive = row.sensitive;
                rules.blobs = row.blobs;
            }
        }
    }

    fn add_services(
        &mut self,
        naming: Vec<rows::NamingRow>,
        timestamps: Vec<rows::TimestampRow>,
        regions: Vec<rows::RegionRow>,
    ) {
        for row in naming {
            for service in &row.services {
                self.of(service).naming = row.style;
            }
        }
        for row in timestamps {
            for service in &row.services {
                let rules = self.of(service);
                if row.operations.is_empty() {
                    rules.timestamps = row.style;
                }
                for operation in &row.operations {
                    rules.operation_mut(operation).timestamps = Some(row.style);
                }
            }
        }
        for row in regions {
            for service in &row.services {
                self.of(service).global_region = Some(row.region.clone());
            }
        }
    }

    fn add_members(&mut self, redactions: Vec<rows::RedactionRow>, renames: Vec<rows::RenameRow>) {
        for row in redactions {
            for service in &row.services {
                for member in &row.members {
                    let rule = MemberRule {
                        operations: row.operations.clone(),
                        shapes: row.shapes.clone(),
                        side: row.side,
                        verb: Some(row.verb),
                        rename: None,
                    };
                    push(&mut self.of(service).members, member, rule);
                }
            }
        }
        for row in renames {
            let rule =
                MemberRule { shapes: row.shapes, rename: Some(row.name), ..MemberRule::default() };
            push(&mut self.of(&row.service).members, &row.member, rule);
        }
    }

    fn add_names(&mut self, names: Vec<rows::NameRow>, lambda: Vec<rows::LambdaRow>) {
        for row in names {
            self.of(&row.service).operation_mut(&row.operation).event_name = Some(row.name);
        }
        for row in lambda {
            for operation in &row.operations {
                self.of("lambda").operation_mut(operation).lambda_suffix = Some(row.suffix);
            }
        }
    }

    fn add_flags(&mut self, read_only: Vec<rows::ReadOnlyRow>, data: Vec<rows::DataRow>) {
        for row in read_only {
            for operation in &row.operations {
                self.of(&row.service).operation_mut(operation).read_only = Some(row.value);
            }
        }
        for row in data {
            for operation in &row.operations {
                let rules = self.of(&row.service).operation_mut(operation);
                rules.data = Some(row.resource_type.clone());
            }
        }
    }
}

fn push(members: &mut HashMap<String, Vec<MemberRule>>, member: &str, rule: MemberRule) {
    members.entry(member.to_owned()).or_default().push(rule);
}
