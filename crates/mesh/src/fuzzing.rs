//! The parser of `mesh.toml` as a function of its text: for the fuzz target and its corpus, for nobody else.

use std::net::SocketAddr;

use crate::meshfile::MeshFile;

/// The name of an app, and the bounds it asks for.
pub type Asked = (String, Option<(u32, u32)>);

/// Reads the text of a `mesh.toml`: its apps. A host by name is refused,
/// since reading one asks the name service.
pub fn mesh_file(text: &str) -> Result<Vec<Asked>, String> {
    if let Some(host) = by_name(text) {
        return Err(format!("{host:?} would have to be looked up"));
    }
    let file = MeshFile::parse(text)?;
    file.app.iter().map(|(name, app)| Ok((name.to_string(), app.replicas()?))).collect()
}

fn by_name(text: &str) -> Option<String> {
    let table: toml::Table = text.parse().ok()?;
    let mesh = table.get("mesh")?;
    let listens = ["edge", "admin"].into_iter().filter_map(|field| mesh.get(field)?.as_str());
    let mut names = listens.filter(|text| !text.starts_with(':') && text.parse::<SocketAddr>().is_err());
    names.next().map(str::to_owned)
}
