//! From a spore of the mesh's repo to what a plan says of it.

use mycelium::api::SporeInfo;
use spore::Manifest;

use crate::exit::Code;
use crate::failure::Failure;
use crate::plans::{Settings, Wish};

/// What to run, as the spore's manifest states it.
pub fn of_spore(info: &SporeInfo, settings: Settings) -> Result<Wish, Failure> {
    let unusable = |why: &str| {
        Failure::new(format_args!("the spore {} can't be used: {why}", info.digest.short()))
            .code(Code::Refused)
    };
    if let Some(error) = &info.error {
        return Err(unusable(error));
    }
    let text = serde_json::to_vec(&info.manifest).expect("plain data always serialises");
    let manifest = Manifest::from_slice(&text).map_err(|e| unusable(&e.to_string()))?;
    Ok(Wish {
        app: manifest.name,
        digest: info.digest,
        version: manifest.version,
        workload: manifest.workload,
        nutrients: manifest.nutrients.planned(),
        p99_budget_ms: manifest.slo.p99_budget_ms,
        is_routed: manifest.provides.iter().any(|what| *what != spore::Provides::Tcp),
        metric: manifest.scale,
        settings,
    })
}
