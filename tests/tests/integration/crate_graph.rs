//! The crates depend on each other as the design says: arrows point down, low layers do no I/O, the server
//! holds no tenant code, and only the kernels may use `unsafe`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Each crate with the crates of this workspace that it may depend on, all of which stand above it in the
/// table: that is the proof that there is no cycle.
const ARROWS: [(&str, &[&str]); 19] = [
    ("tyto-kernels", &[]),
    ("tyto-scheme", &["tyto-kernels"]),
    ("tyto-pqc", &["tyto-kernels"]),
    ("tyto-access", &["tyto-scheme", "tyto-pqc"]),
    ("tyto-tenant", &["tyto-scheme", "tyto-pqc", "tyto-kernels"]),
    ("tyto-engine", &["tyto-scheme", "tyto-kernels"]),
    ("tyto-attest", &["tyto-pqc"]),
    ("tyto-session", &["tyto-pqc"]),
    ("tyto-audit", &["tyto-attest", "tyto-pqc"]),
    ("tyto-api", &["tyto-scheme", "tyto-pqc", "tyto-attest", "tyto-access"]),
    ("tyto-sealed", &["tyto-api", "tyto-session"]),
    ("tyto-store", &["tyto-scheme", "tyto-attest", "tyto-access"]),
    ("tyto-keystore", &["tyto-pqc"]),
    (
        "tyto-server",
        &[
            "tyto-api",
            "tyto-access",
            "tyto-store",
            "tyto-engine",
            "tyto-pqc",
            "tyto-attest",
            "tyto-audit",
            "tyto-scheme",
            "tyto-keystore",
            "tyto-sealed",
            "tyto-session",
        ],
    ),
    (
        "tyto-client",
        &[
            "tyto-api",
            "tyto-access",
            "tyto-tenant",
            "tyto-pqc",
            "tyto-attest",
            "tyto-scheme",
            "tyto-sealed",
            "tyto-session",
        ],
    ),
    ("tyto-measure", &["tyto-scheme", "tyto-kernels", "tyto-tenant", "tyto-engine"]),
    ("tyto-replay", &["tyto-api", "tyto-attest", "tyto-engine", "tyto-kernels", "tyto-scheme"]),
    ("tyto-cli", &["tyto-audit", "tyto-client", "tyto-measure", "tyto-replay"]),
    ("tyto-demo", &["tyto-cli", "tyto-client", "tyto-server"]),
];

/// Workspace members that are no part of the product: they may use every crate, and none may use them.
const SCAFFOLDING: [&str; 3] = ["tyto-tests", "tyto-benches", "tyto-peers"];

/// The crates that do no I/O.
const PURE: [&str; 9] = [
    "tyto-kernels",
    "tyto-access",
    "tyto-scheme",
    "tyto-pqc",
    "tyto-tenant",
    "tyto-engine",
    "tyto-attest",
    "tyto-session",
    "tyto-audit",
];

/// Crates that talk to a network, a database or an object store, or exist to run what does.
const IO_CRATES: [&str; 11] = [
    "async-std",
    "hyper",
    "mio",
    "object_store",
    "redis",
    "reqwest",
    "rustls",
    "socket2",
    "sqlx",
    "tokio",
    "tonic",
];

/// Crates that hold tenant keys or code that uses them.
const TENANT_SIDE: [&str; 5] = ["tyto-tenant", "tyto-client", "tyto-measure", "tyto-cli", "tyto-demo"];

/// The dependency kinds of `cargo metadata`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Normal,
    Build,
    Dev,
}

/// What cargo resolved: packages by id, and edges for all platforms.
struct Graph {
    names: BTreeMap<String, String>,
    manifests: BTreeMap<String, String>,
    binaries: BTreeMap<String, String>,
    edges: BTreeMap<String, BTreeSet<(String, Kind)>>,
    members: BTreeSet<String>,
}

impl Graph {
    fn of_this_workspace() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--offline"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut graph = Self {
            names: BTreeMap::new(),
            manifests: BTreeMap::new(),
            binaries: BTreeMap::new(),
            edges: BTreeMap::new(),
            members: list(&metadata["workspace_members"]).map(text).collect(),
        };
        for package in list(&metadata["packages"]) {
            let (id, name) = (text(&package["id"]), text(&package["name"]));
            if graph.members.contains(&id) {
                graph.manifests.insert(name.clone(), text(&package["manifest_path"]));
                let is_binary = |target: &&Value| list(&target["kind"]).any(|kind| kind == "bin");
                for target in list(&package["targets"]).filter(is_binary) {
                    graph.binaries.insert(text(&target["name"]), name.clone());
                }
            }
            graph.names.insert(id, name);
        }
        for node in list(&metadata["resolve"]["nodes"]) {
            let edges = list(&node["deps"]).flat_map(|dependency| {
                list(&dependency["dep_kinds"]).map(|kind| (text(&dependency["pkg"]), kind_of(kind)))
            });
            graph.edges.insert(text(&node["id"]), edges.collect());
        }
        graph
    }

    fn id(&self, name: &str) -> &str {
        let found = self.members.iter().find(|id| self.names[*id] == name);
        found.unwrap_or_else(|| panic!("{name} is not a member of the workspace"))
    }

    /// Members of the workspace that `name` depends on directly, by one of `kinds`.
    fn neighbours(&self, name: &str, kinds: &[Kind]) -> BTreeSet<&str> {
        let edges = self.edges[self.id(name)].iter();
        let ours = edges.filter(|(id, kind)| self.members.contains(id) && kinds.contains(kind));
        ours.map(|(id, _)| self.names[id].as_str()).collect()
    }

    /// Names of all packages that `name` depends on, directly or not, by edges of `kinds`.
    fn closure(&self, name: &str, kinds: &[Kind]) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut pending = vec![self.id(name)];
        while let Some(id) = pending.pop() {
            for (next, kind) in &self.edges[id] {
                if kinds.contains(kind) && reached.insert(next.as_str()) {
                    pending.push(next);
                }
            }
        }
        reached.into_iter().map(|id| self.names[id].as_str()).collect()
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn kind_of(dependency: &Value) -> Kind {
    match dependency["kind"].as_str() {
        None => Kind::Normal,
        Some("build") => Kind::Build,
        Some("dev") => Kind::Dev,
        Some(other) => panic!("unknown dependency kind {other}"),
    }
}

#[test]
fn dependencies_follow_the_arrows_of_the_design() {
    let graph = Graph::of_this_workspace();
    let known: BTreeSet<&str> = ARROWS.iter().map(|arrow| arrow.0).chain(SCAFFOLDING).collect();
    let members: BTreeSet<&str> = graph.members.iter().map(|id| graph.names[id].as_str()).collect();
    assert_eq!(members, known, "left: members of the workspace; right: crates of the table");

    for (place, (name, allowed)) in ARROWS.iter().enumerate() {
        for target in *allowed {
            assert!(ARROWS[..place].iter().any(|arrow| arrow.0 == *target), "{name} -> {target} points up");
        }
        for target in graph.neighbours(name, &[Kind::Normal, Kind::Build]) {
            assert!(allowed.contains(&target), "{name} must not depend on {target}");
        }
        for target in graph.neighbours(name, &[Kind::Dev]) {
            assert!(!SCAFFOLDING.contains(&target), "{name} must not depend on {target}, not even in tests");
        }
    }
}

#[test]
fn the_server_holds_no_tenant_code() {
    let graph = Graph::of_this_workspace();
    if let Some(owner) = graph.binaries.get("tytod") {
        assert_eq!(owner, "tyto-server", "the package that builds tytod");
    }
    let closure = graph.closure("tyto-server", &[Kind::Normal, Kind::Build]);
    assert!(closure.contains("tyto-scheme") && closure.contains("tokio"), "the walk went nowhere");
    for name in TENANT_SIDE {
        assert!(!closure.contains(name), "tytod contains {name}");
    }
    // The same walk does find the tenant's code where it belongs.
    assert!(graph.closure("tyto-cli", &[Kind::Normal]).contains("tyto-tenant"));
}

#[test]
fn low_layers_do_no_io() {
    let graph = Graph::of_this_workspace();
    for name in PURE {
        let closure = graph.closure(name, &[Kind::Normal]);
        for crate_name in IO_CRATES {
            assert!(!closure.contains(crate_name), "{name} depends on {crate_name}");
        }
    }
}

#[test]
fn only_the_kernels_may_use_unsafe() {
    let graph = Graph::of_this_workspace();
    let manifest = |path: &Path| -> toml::Table { std::fs::read_to_string(path).unwrap().parse().unwrap() };
    let root = manifest(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"));
    // `forbid` cannot be relaxed by an attribute further down.
    assert_eq!(root["workspace"]["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    for (name, path) in &graph.manifests {
        let lints = &manifest(Path::new(path))["lints"];
        let inherits = lints.get("workspace").and_then(toml::Value::as_bool) == Some(true);
        assert_eq!(inherits, name != "tyto-kernels", "{name}: does it inherit forbid(unsafe_code)?");
    }
}
