//! An OpenTelemetry collector, as workloads are told of it that may reach it.

use std::net::SocketAddr;

use membrane::Skin;
use types::NodeName;

use crate::core::Launch;

/// Where it is. A key that it may want is not told: an environment is no place for one.
#[derive(Debug, Clone)]
pub struct Collector {
    /// Every address of it.
    pub addresses: Vec<SocketAddr>,
    /// Its URL.
    pub url: String,
    /// What it speaks there, as `OTEL_EXPORTER_OTLP_PROTOCOL` has it.
    pub protocol: &'static str,
}

impl Collector {
    /// Whether a workload in this skin may connect to it.
    pub(crate) fn is_in_reach(&self, skin: Option<&Skin>) -> bool {
        let Some(skin) = skin else { return true };
        self.addresses.iter().any(|at| match (&skin.reach, &skin.connect) {
            (Some(reach), _) => {
                reach.tcp.iter().any(|(ip, port)| *port == at.port() && ip.is_none_or(|ip| ip == at.ip()))
            }
            (None, Some(ports)) => ports.contains(&at.port()),
            (None, None) => true,
        })
    }

    /// The variables by which OpenTelemetry's libraries know where to send what, and as whom.
    pub(crate) fn told(&self, launch: &Launch, node: &NodeName) -> Vec<(String, String)> {
        let (app, replica, version) = (&launch.app, &launch.id.replica, &launch.version);
        let attributes = format!(
            "service.version={version},service.instance.id={replica},mesh.app={app},mesh.node={node},\
             mesh.replica={replica}"
        );
        let pairs = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.url.clone()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", self.protocol.to_owned()),
            ("OTEL_SERVICE_NAME", app.to_string()),
            ("OTEL_RESOURCE_ATTRIBUTES", attributes),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
