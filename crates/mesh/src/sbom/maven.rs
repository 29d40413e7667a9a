//! `pom.xml`: the dependencies that a project names itself. What those lead to only Maven knows, and that is said.

use std::collections::BTreeMap;

use super::{Found, Library, encoded};

/// Reads a project.
pub(super) fn read(text: &str) -> Result<Found, String> {
    let mut properties: BTreeMap<String, String> = BTreeMap::new();
    let mut dependencies: Vec<BTreeMap<String, String>> = Vec::new();
    walk(text, |path, content| {
        let within: Vec<&str> = path.iter().map(String::as_str).collect();
        match within[..] {
            ["project", "properties", name] => {
                properties.insert(name.to_owned(), content.to_owned());
            }
            ["project", "dependencies", "dependency"] => dependencies.push(BTreeMap::new()),
            ["project", "dependencies", "dependency", field] => {
                if let Some(last) = dependencies.last_mut() {
                    last.insert(field.to_owned(), content.to_owned());
                }
            }
            ["project", field @ ("version" | "groupId")] => {
                properties.insert(format!("project.{field}"), content.to_owned());
            }
            _ => {}
        }
    })?;
    let used = dependencies
        .iter()
        .filter(|of| !matches!(of.get("scope").map(String::as_str), Some("test" | "provided")));
    let libraries = used.map(|of| library(of, &properties)).collect::<Result<_, _>>()?;
    Ok(Found {
        libraries,
        source: "pom.xml".to_owned(),
        covers: "the dependencies that the project names itself, without what those lead to".to_owned(),
    })
}

fn library(of: &BTreeMap<String, String>, properties: &BTreeMap<String, String>) -> Result<Library, String> {
    let field = |name: &str| of.get(name).map(|text| filled(text, properties));
    let (Some(group), Some(artifact)) = (field("groupId"), field("artifactId")) else {
        return Err("a dependency has no groupId or no artifactId".to_owned());
    };
    let version = field("version").filter(|version| !version.contains("${"));
    let at = version.as_deref().map(|version| format!("@{}", encoded(version))).unwrap_or_default();
    Ok(Library {
        purl: format!("pkg:maven/{}/{}{at}", encoded(&group), encoded(&artifact)),
        name: format!("{group}:{artifact}"),
        version,
        hash: None,
    })
}

/// `${name}` replaced where the project says by what.
fn filled(text: &str, properties: &BTreeMap<String, String>) -> String {
    let whole = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    whole.and_then(|name| properties.get(name)).map_or_else(|| text.to_owned(), Clone::clone)
}

/// Calls `found` for each element as it opens (with no content) and, if it holds text, as it closes (with that). No
/// more of XML than a project file has: elements, text, comments, declarations.
fn walk(text: &str, mut found: impl FnMut(&[String], &str)) -> Result<(), String> {
    let mut path: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let content = rest[..at].trim();
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").ok_or("a comment doesn't end")?.1;
            continue;
        }
        let (tag, after) = rest[1..].split_once('>').ok_or("an element doesn't end")?;
        rest = after;
        if tag.starts_with(['?', '!']) {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            if path.last().map(String::as_str) != Some(name.trim()) {
                return Err(format!("</{name}> ends what was not begun"));
            }
            if !content.is_empty() {
                found(&path, content);
            }
            path.pop();
            continue;
        }
        let name = tag.trim_end_matches('/').split_whitespace().next().unwrap_or_default();
        path.push(name.to_owned());
        if path.len() > 64 {
            return Err("its elements are nested deeper than 64".to_owned());
        }
        found(&path, "");
        if tag.ends_with('/') {
            path.pop();
        }
    }
    if path.is_empty() { Ok(()) } else { Err(format!("<{}> doesn't end", path.join("><"))) }
}
