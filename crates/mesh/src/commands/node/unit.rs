//! A systemd unit for this node: a restart of the unit leaves the workloads alone, a reload upgrades `mesh` under them.

use crate::context::Context;
use crate::daemon::program;
use crate::failure::Failure;

/// Prints the unit for the state that the command line names.
pub(super) fn print(context: &Context, edge: &[crate::listen::Listen]) -> Result<(), Failure> {
    let paths = context.paths()?;
    let edge: String = edge.iter().map(|edge| format!(" --edge {edge}")).collect();
    let state = match context.state_flag() {
        Some(_) => format!(" --state {}", paths.state.display()),
        None => String::new(),
    };
    let program = program()?;
    context.out.line(unit(&program.display().to_string(), &state, &edge))
}

/// `NotifyAccess=all`: a successor says that it is the main process from now on (`ExecReload`). `KillMode=process`: what the keeper holds is not the unit's to end. `Delegate`: the workloads' cgroups are ours; with a group of its own for `mesh`, since v2 wants no processes in one that is divided (before systemd 254 the keeper sees to that).
fn unit(program: &str, state: &str, edge: &str) -> String {
    format!(
        "[Unit]
Description=Mycelium node
Documentation=man:mesh(1)
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
NotifyAccess=all
ExecStart={program}{state} node run --keep-workloads{edge}
ExecReload={program}{state} upgrade
Restart=always
RestartSec=1
KillMode=process
Delegate=yes
DelegateSubgroup=main
LimitNOFILE=1048576
TasksMax=infinity
OOMScoreAdjust=-900

[Install]
WantedBy=multi-user.target"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_runs_the_node_of_its_state_and_leaves_workloads_alone() {
        let text = unit("/usr/bin/mesh", " --state /var/lib/mesh", " --edge :80");
        assert!(text.contains(
            "\nExecStart=/usr/bin/mesh --state /var/lib/mesh node run --keep-workloads --edge :80\n"
        ));
        assert!(text.contains("\nKillMode=process\n"));
    }
}
