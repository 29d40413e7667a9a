//! What the errors of the organs mean for a person: which exit code they end with, and what to do next.

use std::error::Error;

use edge::EdgeError;
use mycelium::client::ClientError;
use mycelium::identity::IdentityError;
use mycelium::member::{JoinError, MemberError};
use mycelium::{NotOurs, StartError, TlsError};

use crate::exit::Code;
use crate::failure::Failure;

#[cfg(test)]
mod tests;

/// An error of any organ as a failure of a command.
pub fn explain(error: &(dyn Error + 'static)) -> Failure {
    if let Some(error) = error.downcast_ref::<ClientError>() {
        return client(error);
    }
    let failure = Failure::from_error(error);
    if !is_fragment(error) {
        return failure;
    }
    // The organs' messages are fragments that go on after "failed to".
    let failure = Failure { error: format!("failed to {}", failure.error), ..failure };
    if let Some(error) = error.downcast_ref::<StartError>() {
        return of_start(failure, error);
    }
    if let Some(error) = error.downcast_ref::<spore::SporeError>() {
        return of_spore(failure, error);
    }
    if let Some(error) = error.downcast_ref::<soul::KeyFileError>() {
        return of_key(failure, error);
    }
    if let Some(error) = error.downcast_ref::<MemberError>() {
        return of_member(failure, error);
    }
    if let Some(repo::Error::NotFound { .. }) = error.downcast_ref::<repo::Error>() {
        return failure.hint("`mesh repo list` shows what is there; `mesh publish FILE` stores a spore");
    }
    if let Some(soul::FindError::None { .. }) = error.downcast_ref::<soul::FindError>() {
        return failure.hint("`mesh trust list` shows whom this machine trusts");
    }
    failure
}

fn is_fragment(error: &(dyn Error + 'static)) -> bool {
    error.is::<spore::SporeError>()
        || error.is::<spore::PackError>()
        || error.is::<soul::KeyFileError>()
        || error.is::<soul::TrustError>()
        || error.is::<soul::FindError>()
        || error.is::<repo::Error>()
        || error.is::<IdentityError>()
        || error.is::<StartError>()
        || error.is::<mycelium::VaultError>()
        || error.is::<mycelium::RunError>()
        || error.is::<mycelium::member::MemberError>()
        || error.is::<soul::IssueError>()
        || error.is::<membrane::KeeperError>()
        || error.is::<fabric::DraftError>()
}

fn client(error: &ClientError) -> Failure {
    match error {
        ClientError::NotRunning(_) => not_running(error),
        ClientError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Failure::new(format_args!("failed to {error}"))
                .hint("only the user who started the mesh may talk to it")
        }
        ClientError::Io { .. } | ClientError::Protocol { .. } => {
            Failure::new(format_args!("failed to {error}"))
        }
        ClientError::Refused { status, body } => {
            let failure = Failure { hint: body.hint.clone(), ..Failure::new(&body.error) };
            if status.as_u16() == 403 { failure.code(Code::Refused) } else { failure }
        }
    }
}

fn not_running(error: &ClientError) -> Failure {
    let is_node = matches!(error, ClientError::NotRunning(state) if state.join("node.json").is_file());
    let hint =
        if is_node { "start it with `mesh node run`" } else { "start it with `mesh up` or `mesh run`" };
    Failure::new(error).code(Code::NotRunning).hint(hint)
}

fn of_start(failure: Failure, error: &StartError) -> Failure {
    match error {
        StartError::Running { .. } => failure
            .hint("`mesh status` shows it, `mesh down` ends it, `mesh upgrade` replaces it by this binary"),
        StartError::Edge(EdgeError::Taken { addr, .. }) => failure.hint(elsewhere("-edge", *addr)),
        StartError::Edge(EdgeError::Listen { source, addr }) => match source.kind() {
            std::io::ErrorKind::PermissionDenied => {
                failure.hint("ports below 1024 are not for everybody: take another, -edge :8080")
            }
            std::io::ErrorKind::AddrInUse => failure.hint(elsewhere("-edge", *addr)),
            _ => failure,
        },
        StartError::State { path, source } => match source.get_ref().and_then(|e| e.downcast_ref::<NotOurs>())
        {
            Some(NotOurs::Writable { .. }) => failure.hint(format!(
                "it says what runs and whom to trust: `chmod go-w {}` if all in it is yours, or --state DIR",
                path.display()
            )),
            Some(NotOurs::Owner { .. }) => failure.hint("start the mesh as that user, or with --state DIR"),
            None if path.ends_with("fabric.redb") && matches!(source.kind(), std::io::ErrorKind::Other | std::io::ErrorKind::InvalidData) => {
                failure.hint(format_args!(
                    "if the journal is damaged, move it away and start again: a node of many machines gets the \
                     records back from the others; on one machine deploy anew. {} is all that goes",
                    path.display()
                ))
            }
            None => failure,
        },
        StartError::Admin { address, source } if source.kind() == std::io::ErrorKind::AddrInUse => {
            failure.hint(elsewhere("-admin", *address))
        }
        StartError::Network(hyphae::StartError::Listen { address, source })
            if source.kind() == std::io::ErrorKind::AddrInUse =>
        {
            failure.hint(format_args!(
                "another program has UDP port {}; change it in node.json, or end that program",
                address.port()
            ))
        }
        StartError::Tls(TlsError::File { .. } | TlsError::Unusable { .. }) => failure.code(Code::Usage),
        StartError::Tls(TlsError::Kept(_)) => {
            failure.hint("remove both files, and the next start makes another")
        }
        StartError::Identity(IdentityError::Garbage { path, .. }) => failure
            .hint(format_args!("put {} back from a copy: it says whose plans are obeyed", path.display())),
        _ => failure,
    }
}

fn of_member(failure: Failure, error: &MemberError) -> Failure {
    match error {
        MemberError::Taken { .. } => {
            failure.hint("a machine is in one mesh; another one needs a state folder of its own: --state DIR")
        }
        MemberError::Running(_) => failure.hint("end it first: `mesh down`"),
        MemberError::Join(JoinError::Refused(soul::Reason::NameTaken | soul::Reason::OtherName)) => {
            failure.code(Code::Refused).hint("give this node another name: --name NAME")
        }
        MemberError::Join(JoinError::Refused(_)) => {
            failure.code(Code::Refused).hint("ask for a new ticket: `mesh ticket new` on an issuer")
        }
        MemberError::Join(JoinError::Unreachable { .. }) => failure
            .hint("the issuer must run, and UDP must reach it; `mesh net peers` there shows its addresses"),
        _ => failure,
    }
}

/// The next port, as a flag.
fn elsewhere(flag: &str, address: std::net::SocketAddr) -> String {
    let port = address.port().checked_add(1).unwrap_or(8080);
    let host = if address.ip().is_unspecified() { String::new() } else { host(address) };
    format!("end what listens there, or take another port: {flag} {host}:{port}")
}

fn host(address: std::net::SocketAddr) -> String {
    match address.ip() {
        std::net::IpAddr::V4(ip) => ip.to_string(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

fn of_spore(failure: Failure, error: &spore::SporeError) -> Failure {
    use spore::SporeError as E;
    match error {
        E::Read(_) | E::NotAFile | E::Exists(_) | E::Write { .. } => failure,
        _ => failure
            .code(Code::Refused)
            .hint("get it again from whoever made it; what it holds can't be relied on"),
    }
}

fn of_key(failure: Failure, error: &soul::KeyFileError) -> Failure {
    match error {
        soul::KeyFileError::NotFound { path } => {
            let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            if name == "operator" {
                return failure.hint(
                    "an operator signs this: type it where its key is (there, `mesh node init` or `mesh up` was typed), or \
                     make one here with `mesh keys new operator` and have it added there with `mesh operator add`",
                );
            }
            failure
                .hint(format_args!("`mesh keys new {name}` makes one; `mesh keys list` shows what there is"))
        }
        soul::KeyFileError::Exists { name, .. } => {
            failure.hint(format_args!("take another name, or use it as it is: --key {name}"))
        }
        _ => failure,
    }
}
