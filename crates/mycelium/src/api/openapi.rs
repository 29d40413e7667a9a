//! The OpenAPI 3.1 document of the local API, generated from the same types that are served.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::advice::Advice;
use super::mesh::{
    Conflict, Held, IdentityStatus, MemberStatus, NetworkStatus, OperatorStatus, PolicyStatus, Pong,
    RecordAt, RootsAt, TicketMade, TicketStatus, TicketWish, Written,
};
use super::settings::SettingsAt;
use super::trace::{Trace, TraceQuery};
use super::types::{
    AppStatus, BudgetAt, Collected, ErrorBody, EventQuery, LogLine, LogQuery, MeshStatus, PlanAt,
    Quarantined, Receipt, Shutdown, SporeInfo, Stored, VersionInfo, Why,
};
use super::usage::{NodeUsage, UsageQuery};

type SchemaOf = fn(&mut SchemaGenerator) -> Value;

struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    query: Option<SchemaOf>,
    /// Content type and schema.
    request: Option<(&'static str, SchemaOf)>,
    response: (&'static str, SchemaOf),
}

const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";
const BYTES: &str = "application/octet-stream";

const fn get(path: &'static str, summary: &'static str, response: SchemaOf) -> Operation {
    Operation { method: "get", path, summary, query: None, request: None, response: (JSON, response) }
}

const fn post(
    path: &'static str,
    summary: &'static str,
    request: Option<(&'static str, SchemaOf)>,
    response: SchemaOf,
) -> Operation {
    Operation { method: "post", path, summary, query: None, request, response: (JSON, response) }
}

const OPERATIONS: &[Operation] = &[
    get("/v1/version", "Which mesh runs here", of::<VersionInfo>),
    get("/v1/status", "The whole picture", of::<MeshStatus>),
    get("/v1/apps/{app}", "One app", of::<AppStatus>),
    get("/v1/apps/{app}/plan", "The plan of an app and the generation of the next one", of::<PlanAt>),
    get("/v1/apps/{app}/budget", "The budget of an app and the generation of the next one", of::<BudgetAt>),
    get("/v1/apps/{app}/why", "Why an app is as it is, node by node", of::<Why>),
    get("/v1/apps/{app}/advice", "How much an app's replicas need, as was learned", of::<Advice>),
    post("/v1/records", "Submit one signed record in wire form", Some((BYTES, binary)), of::<Receipt>),
    get("/v1/records", "What this node holds, to be compared with what another does", of::<Held>),
    get("/v1/spores", "Every stored spore", of::<Vec<SporeInfo>>),
    post("/v1/spores", "Store a spore", Some((BYTES, binary)), of::<Stored>),
    get("/v1/spores/{digest}", "One stored spore", of::<SporeInfo>),
    post(
        "/v1/spores/gc",
        "Remove the spores that no plan names and that are older than a minute",
        None,
        of::<Collected>,
    ),
    Operation {
        query: Some(of::<EventQuery>),
        response: (LINES, of::<telemetry::Event>),
        ..get("/v1/events", "Events, one a line", of::<telemetry::Event>)
    },
    Operation {
        query: Some(of::<LogQuery>),
        response: (LINES, of::<LogLine>),
        ..get("/v1/logs/{app}", "What an app's replicas wrote, one line a line", of::<LogLine>)
    },
    Operation {
        query: Some(of::<TraceQuery>),
        response: (LINES, of::<Trace>),
        ..get("/v1/trace/{app}", "What an app's replicas do from now on, one thing a line", of::<Trace>)
    },
    Operation {
        query: Some(of::<UsageQuery>),
        ..get("/v1/usage", "What replicas use, node by node", of::<Vec<NodeUsage>>)
    },
    Operation {
        response: ("text/plain; version=0.0.4", text),
        ..get("/v1/metrics", "Metrics in the Prometheus text format", text)
    },
    get("/v1/nodes", "Every node of the mesh", of::<Vec<MemberStatus>>),
    get("/v1/settings", "Secrets and configs, without what they hold", of::<SettingsAt>),
    get("/v1/network", "This node's links to others", of::<NetworkStatus>),
    post("/v1/network/ping/{node}", "How long a node takes to answer", None, of::<Pong>),
    get("/v1/tickets", "The tickets that this issuer gave out", of::<Vec<TicketStatus>>),
    post("/v1/tickets", "Make a ticket for one node", Some((JSON, of::<TicketWish>)), of::<TicketMade>),
    post("/v1/tickets/remove", "Make a ticket void", Some((JSON, of::<types::PublicKey>)), of::<bool>),
    get("/v1/operators", "Whose plans are obeyed", of::<Vec<OperatorStatus>>),
    get("/v1/identities", "Who may vouch for publishers", of::<Vec<IdentityStatus>>),
    get("/v1/policies", "The rules over what may run", of::<Vec<PolicyStatus>>),
    get("/v1/records/{kind}/{name}", "What an operator said under a name", of::<RecordAt>),
    get("/v1/roots", "On whose word the mesh rests", of::<RootsAt>),
    get("/v1/conflicts", "What was written on two sides of a cut", of::<Vec<Conflict>>),
    get("/v1/written-by/{key}", "Which records a key wrote", of::<Written>),
    get("/v1/quarantine", "What this node ended over", of::<Vec<Quarantined>>),
    post("/v1/quarantine/release", "Let a record in again", Some((JSON, of::<types::Digest>)), of::<bool>),
    post("/v1/shutdown", "End this mesh, or hand it over", Some((JSON, of::<Shutdown>)), of::<VersionInfo>),
];

/// The document, ready to be committed.
#[must_use]
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let entry = paths.entry(operation.path).or_insert_with(|| json!({}));
        entry[operation.method] = describe(operation, &mut schemas);
    }
    let components: Map<String, Value> = schemas.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mycelium local API",
            "version": super::API_VERSION.to_string(),
            "description": "HTTP/1.1 on the Unix socket `mesh.sock` of the state folder, for its owner only.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": components },
    })
}

fn describe(operation: &Operation, schemas: &mut SchemaGenerator) -> Value {
    let mut parameters = path_parameters(operation.path);
    if let Some(query) = operation.query {
        parameters.extend(query_parameters(&query(schemas), schemas));
    }
    let (content, response) = operation.response;
    let error = of::<ErrorBody>(schemas);
    let mut described = json!({
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": "done", "content": { content: { "schema": response(schemas) } } },
            "default": { "description": "refused", "content": { JSON: { "schema": error } } },
        },
    });
    if let Some((content, request)) = operation.request {
        described["requestBody"] =
            json!({ "required": true, "content": { content: { "schema": request(schemas) } } });
    }
    described
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect()
}

/// A query's fields, from the definition that its schema refers to.
fn query_parameters(schema: &Value, schemas: &SchemaGenerator) -> Vec<Value> {
    let name = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()).unwrap_or_default();
    let fields = schemas
        .definitions()
        .get(name)
        .and_then(|d| d["properties"].as_object().cloned())
        .unwrap_or_default();
    fields
        .into_iter()
        .map(|(name, schema)| json!({ "name": name, "in": "query", "schema": schema }))
        .collect()
}

fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().to_value()
}

fn binary(_: &mut SchemaGenerator) -> Value {
    json!({ "type": "string", "format": "binary" })
}

fn text(_: &mut SchemaGenerator) -> Value {
    json!({ "type": "string" })
}
