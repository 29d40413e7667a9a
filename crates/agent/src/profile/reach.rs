//! From a profile to what one launch may reach.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use genome::Transport;
use membrane::Skin;
use membrane::bpf::Reach;

use super::{Confinement, Files};

/// What is known of one launch.
pub(crate) struct Place<'a> {
    /// What it is called, as a machine of its own.
    pub(crate) name: &'a str,
    /// Its own folder, with the bundle.
    pub(crate) dir: &'a Path,
    /// Its own folder for data, if it has one.
    pub(crate) data: Option<&'a Path>,
    /// What runs it when it isn't native.
    pub(crate) interpreter: Option<&'a Path>,
    /// Its own port; 0 for none.
    pub(crate) port: u16,
    /// The URL of the node's edge, if it has one.
    pub(crate) edge: &'a str,
    /// What the plan lets it reach.
    pub(crate) reach: &'a [genome::Reach],
    /// Whether this machine knows more of a place than TCP and a port.
    pub(crate) exact: bool,
}

/// What a workload may reach; `None` for all.
pub(crate) fn skin(confinement: &Confinement, place: &Place) -> Option<Skin> {
    let Confinement::Profile(profile) = confinement else { return None };
    let mut run = Files::there(&profile.files.run);
    run.push(place.dir.to_owned());
    if let Some(program) = place.interpreter {
        let known = run.iter().any(|folder| program.starts_with(folder));
        run.extend((!known).then(|| brought_along(program)).into_iter().flatten());
    }
    if profile.own.run {
        run.extend(place.data.map(Path::to_owned));
    }
    let edge = place_of(place.edge).filter(|_| profile.network.edge);
    let listen: Vec<u16> = Some(place.port).filter(|port| *port != 0).into_iter().collect();
    let of = |transport| {
        let listed = place.reach.iter().filter(move |listed| listed.transport == transport);
        listed.map(|listed| (listed.address, listed.port))
    };
    let tcp: Vec<_> = of(Transport::Tcp).chain(edge).collect();
    Some(Skin {
        run,
        read: Files::there(&profile.files.read),
        write: Files::there(&profile.files.write),
        own: place.data.map(Path::to_owned).into_iter().collect(),
        connect: Some(tcp.iter().map(|(_, port)| *port).collect()),
        reach: place.exact.then(|| Reach { tcp, udp: of(Transport::Udp).collect(), listen: listen.clone() }),
        offline: !profile.network.edge && place.port == 0 && place.reach.is_empty(),
        listen,
        host_name: place.name.chars().take(64).collect(),
        tmp_mb: profile.own.tmp_mb,
        by: profile.kept.by,
    })
}

/// What a confined workload finds in its environment in place of what it can't reach.
pub(crate) fn environment(
    confinement: &Confinement,
    machine: &[(String, String)],
    data: Option<&Path>,
    room: bool,
) -> Vec<(String, String)> {
    if *confinement == Confinement::Unconfined {
        return machine.to_vec();
    }
    let own = |name: &str| matches!(name, "HOME" | "TMPDIR");
    let mut all: Vec<_> = machine.iter().filter(|(name, _)| !own(name)).cloned().collect();
    let tmp = if room { Some(Path::new("/tmp")) } else { data };
    let pairs = [("HOME", data.or(tmp)), ("TMPDIR", tmp)];
    all.extend(
        pairs.into_iter().filter_map(|(name, path)| Some((name.to_owned(), path?.display().to_string()))),
    );
    all
}

impl Files {
    /// Those of a list that are on this machine.
    #[must_use]
    pub fn there(patterns: &[String]) -> Vec<PathBuf> {
        patterns.iter().flat_map(|pattern| found(pattern)).filter(|path| path.exists()).collect()
    }
}

fn found(pattern: &str) -> Vec<PathBuf> {
    let Some(begin) = pattern.strip_suffix('*') else { return vec![pattern.into()] };
    let (folder, begin) = begin.rsplit_once('/').unwrap_or(("", begin));
    let folder = if folder.is_empty() { "/" } else { folder };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let fits = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(begin.as_bytes()))
    };
    let mut all: Vec<_> = entries.map(|entry| entry.path()).filter(fits).collect();
    all.sort();
    all
}

/// What an interpreter needs that lies outside of the machine's own folders: what it was installed in, under each of its
/// names. Never a person's home folder, or all homes: then the program's own folder.
fn brought_along(program: &Path) -> Vec<PathBuf> {
    let homes =
        [Path::new("/"), Path::new("/home"), Path::new("/root"), Path::new("/var"), Path::new("/srv")];
    let whole = |folder: &Path| {
        homes.contains(&folder)
            || folder.parent() == Some(Path::new("/home"))
            || std::env::home_dir().is_some_and(|home| home.starts_with(folder))
    };
    let installed = |program: &Path| {
        let bin = program.parent()?;
        bin.parent().filter(|folder| !whole(folder)).or(Some(bin)).map(Path::to_owned)
    };
    let real = program.canonicalize().ok();
    let mut all: Vec<_> =
        [Some(program.to_owned()), real].into_iter().flatten().filter_map(|p| installed(&p)).collect();
    all.dedup();
    all
}

/// The address, if it is one, and the port of a URL that names one.
fn place_of(url: &str) -> Option<(Option<IpAddr>, u16)> {
    let (host, port) = url.rsplit_once(':')?;
    let host = host.rsplit('/').next()?.trim_start_matches('[').trim_end_matches(']');
    Some((host.parse().ok(), port.trim_end_matches('/').parse().ok()?))
}
