//! Floors: every dependency leads downstairs, and the ground floor is pure.

use crate::run::{cargo, output, root};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The part of `cargo metadata` that the checks read.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    floors: BTreeMap<String, u8>,
    ground: Ground,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ground {
    forbidden: BTreeSet<String>,
}

/// Asks cargo for the graph.
pub(crate) fn metadata() -> anyhow::Result<Metadata> {
    let text = output(cargo().args([
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--filter-platform",
        "x86_64-unknown-linux-gnu",
    ]))?;
    Ok(serde_json::from_str(&text)?)
}

/// Every edge that leads up or sideways, every forbidden thing the ground floor reaches.
pub(crate) fn check(metadata: &Metadata) -> anyhow::Result<Vec<String>> {
    let plan: Plan = toml::from_str(&std::fs::read_to_string(root().join("floors.toml"))?)?;
    let graph = Graph::of(metadata);
    let mut findings = graph.off_the_plan(&plan);
    let edges = graph.inner_edges();
    let edges: Vec<(&str, &str)> = edges.iter().map(|(a, b)| (*a, *b)).collect();
    findings.extend(upward_edges(&plan.floors, &edges));
    findings.extend(graph.impure_ground(&plan));
    findings.extend(impure_sources(&plan)?);
    Ok(findings)
}

/// Dependencies that do not lead downstairs. Crates of floor 0 may lean on each other.
fn upward_edges(floors: &BTreeMap<String, u8>, edges: &[(&str, &str)]) -> Vec<String> {
    let floor = |name: &str| floors.get(name).copied().unwrap_or(u8::MAX);
    edges
        .iter()
        .filter(|(from, to)| floor(from) <= floor(to) && (floor(from), floor(to)) != (0, 0))
        .map(|(from, to)| {
            let (above, below) = (floor(from), floor(to));
            format!("{from} (floor {above}) must not depend on {to} (floor {below})")
        })
        .collect()
}

/// The workspace's share of the graph, by short crate name.
struct Graph<'a> {
    names: BTreeMap<&'a str, &'a str>,
    members: BTreeSet<&'a str>,
    normal: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Graph<'a> {
    fn of(metadata: &'a Metadata) -> Self {
        let names = metadata.packages.iter().map(|p| (&*p.id, short(&p.name))).collect();
        let members = metadata.workspace_members.iter().map(String::as_str).collect();
        let normal = metadata
            .resolve
            .nodes
            .iter()
            .map(|node| {
                let deps = node.deps.iter().filter(|edge| edge.dep_kinds.iter().any(is_normal));
                (&*node.id, deps.map(|edge| &*edge.pkg).collect())
            })
            .collect();
        Self { names, members, normal }
    }

    fn off_the_plan(&self, plan: &Plan) -> Vec<String> {
        self.members
            .iter()
            .map(|id| self.names[id])
            .filter(|name| *name != "xtask" && !plan.floors.contains_key(*name))
            .map(|name| format!("crate `{name}` has no floor; add it to floors.toml"))
            .collect()
    }

    fn inner_edges(&self) -> Vec<(&'a str, &'a str)> {
        let mut edges = Vec::new();
        for from in self.members.iter().filter(|id| self.names[**id] != "xtask") {
            for to in self.normal[from].iter().filter(|to| self.members.contains(**to)) {
                edges.push((self.names[from], self.names[to]));
            }
        }
        edges
    }

    fn impure_ground(&self, plan: &Plan) -> Vec<String> {
        let mut findings = Vec::new();
        for id in self.members.iter().filter(|id| plan.floors.get(self.names[**id]) == Some(&0)) {
            let reach = self.reach(id);
            for bad in plan.ground.forbidden.iter().filter(|bad| reach.contains(bad.as_str())) {
                findings.push(format!("{} (floor 0) reaches `{bad}`", self.names[id]));
            }
        }
        findings
    }

    fn reach(&self, from: &'a str) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![from];
        while let Some(id) = todo.pop() {
            if seen.insert(id) {
                todo.extend(&self.normal[id]);
            }
        }
        seen.into_iter().map(|id| self.names[id]).collect()
    }
}

fn short(name: &str) -> &str {
    name.strip_prefix("trailbox-").unwrap_or(name)
}

fn is_normal(kind: &Kind) -> bool {
    kind.kind.is_none()
}

/// Ground-floor sources that name files, sockets or the system's clock outside of tests.
fn impure_sources(plan: &Plan) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for (name, _) in plan.floors.iter().filter(|(_, floor)| **floor == 0) {
        let sources = root().join("crates").join(name).join("src");
        for path in super::sizes::rust_files(&sources)? {
            let text = std::fs::read_to_string(&path)?;
            let product = text.split("#[cfg(test)]").next().unwrap_or_default();
            for bad in ["std::fs", "std::net::Tcp", "std::net::Udp", "SystemTime", "Instant::now"] {
                if product.contains(bad) {
                    findings.push(format!("{} (floor 0) names `{bad}`", path.display()));
                }
            }
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::upward_edges;
    use std::collections::BTreeMap;

    #[test]
    fn an_edge_leads_downstairs_or_is_named() {
        let floors: BTreeMap<String, u8> =
            [("record", 0), ("clock", 0), ("journal", 1), ("api", 4), ("store", 4)]
                .map(|(name, floor)| (name.to_owned(), floor))
                .into();
        assert!(upward_edges(&floors, &[("api", "journal"), ("record", "clock")]).is_empty());
        assert_eq!(
            upward_edges(&floors, &[("journal", "api"), ("api", "store")]),
            [
                "journal (floor 1) must not depend on api (floor 4)",
                "api (floor 4) must not depend on store (floor 4)"
            ]
        );
    }
}
