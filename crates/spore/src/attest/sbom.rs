//! The SBOM: a CycloneDX document in JSON (ECMA-424), read as far as policies and people ask.

use serde::Serialize;
use serde_json::Value;

/// The versions of CycloneDX whose documents are taken.
pub const SPEC_VERSIONS: [&str; 6] = ["1.2", "1.3", "1.4", "1.5", "1.6", "1.7"];
/// The most components that are read.
const MAX_COMPONENTS: usize = 65_536;

/// An SBOM that is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Sbom {
    /// The whole document.
    pub document: Value,
    /// Every component, those within others after them.
    pub components: Vec<Component>,
}

/// One thing that a program is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Component {
    /// What kind of thing: `library`, `file`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its version, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its package URL (ECMA-427), where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// The identifiers, expressions or names of its licences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<String>,
}

impl Sbom {
    /// Reads a document; says what is wrong with it otherwise.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let document = types::json::parse(bytes).map_err(|e| e.to_string())?;
        let text = |field: &str| document.get(field).and_then(Value::as_str);
        if text("bomFormat") != Some("CycloneDX") {
            return Err("its \"bomFormat\" is not \"CycloneDX\"".to_owned());
        }
        match text("specVersion") {
            Some(version) if SPEC_VERSIONS.contains(&version) => {}
            other => {
                let known = SPEC_VERSIONS.join(", ");
                return Err(format!(
                    "its \"specVersion\" is {:?}, which is none of {known}",
                    other.unwrap_or_default()
                ));
            }
        }
        let mut components = Vec::new();
        collect(&document, "components", &mut components)?;
        Ok(Self { document, components })
    }
}

/// Depth is bounded by the strict reader.
fn collect(holder: &Value, place: &str, into: &mut Vec<Component>) -> Result<(), String> {
    let Some(list) = holder.get("components") else { return Ok(()) };
    let list = list.as_array().ok_or_else(|| format!("{place} is no list"))?;
    for (at, component) in list.iter().enumerate() {
        let place = format!("{place}[{at}]");
        let field = |name: &str| match component.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(format!("{place}.{name} is no text")),
        };
        let needed = |name: &str| {
            field(name)?.filter(|t| !t.is_empty()).ok_or_else(|| format!("{place} has no {name}"))
        };
        if into.len() == MAX_COMPONENTS {
            return Err(format!("it has more than {MAX_COMPONENTS} components"));
        }
        into.push(Component {
            kind: needed("type")?,
            name: needed("name")?,
            version: field("version")?,
            purl: field("purl")?,
            licenses: licenses(component),
        });
        collect(component, &format!("{place}.components"), into)?;
    }
    Ok(())
}

fn licenses(component: &Value) -> Vec<String> {
    let all = component.get("licenses").and_then(Value::as_array);
    let said = |choice: &Value| {
        let named = |field: &str| choice.pointer(field).and_then(Value::as_str).map(str::to_owned);
        named("/expression").or_else(|| named("/license/id")).or_else(|| named("/license/name"))
    };
    all.into_iter().flatten().filter_map(said).collect()
}
