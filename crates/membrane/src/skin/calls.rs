//! System calls: those that a program needs that is no part of the system, by seccomp (`seccomp(2)`).
//!
//! What is not listed does not exist for a workload (`ENOSYS`), so that a program that tries something newer falls back
//! to what it did before. Left out is what reaches into the machine (mounts, modules, time, kexec, BPF, performance
//! counters), into other processes (ptrace, their memory, their namespaces), the kernel's keys, and what has been the way
//! out of sandboxes more often than it is needed: io_uring, userfaultfd, new namespaces; and `openat2` and `sched_setattr`,
//! whose arguments a filter can't see, beside calls that do the same.

mod search;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    sock_filter,
};

use super::Skin;

/// The flags of `clone` that make a namespace.
const NAMESPACES: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET;
/// The kinds of a socket without its flags (`linux/net.h`).
const KIND: u64 = 0xf;
/// TCP, by default and by name. Not its multipath kind, whose connections Landlock's rules don't see.
const TCP: [i32; 2] = [0, libc::IPPROTO_TCP];
/// UDP, likewise.
const UDP: [i32; 2] = [0, libc::IPPROTO_UDP];
/// The bits of a mode that let a file run with the rights of its owner, or of its group.
const SET_ID: libc::mode_t = libc::S_ISUID | libc::S_ISGID;
/// The flags of `open` that make a file: O_CREAT, and O_TMPFILE without O_DIRECTORY.
const MAKES: libc::c_int = libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY);
/// Typing into a terminal as if its user did.
const TYPING: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// Calls, with their names.
macro_rules! named {
    ($($call:ident),* $(,)?) => { &[$((libc::$call, stringify!($call))),*] };
}

/// The names of the calls that there are for a workload, some with certain arguments only; `offline`, for one without a
/// network.
pub fn allowed_calls(offline: bool) -> impl Iterator<Item = &'static str> {
    let all = PLAIN.iter().chain(OLDER).chain(CHECKED).map(|(_, name)| *name);
    let modes = MODES.iter().map(|(_, name, _)| *name);
    let all = all.chain(modes).filter_map(|name| name.strip_prefix("SYS_"));
    all.filter(move |name| !(offline && *name == "socket"))
}

/// What a workload has of the network.
#[derive(Debug, Clone, Copy)]
enum Network {
    Nothing,
    Streams,
    Datagrams,
}

/// The filter, for what a skin lets it have of the network. There are three, made once.
pub(super) fn filter(skin: &Skin) -> Result<&'static [sock_filter], String> {
    static FILTERS: [OnceLock<Result<BpfProgram, String>>; 3] = [const { OnceLock::new() }; 3];
    let network = match &skin.reach {
        _ if skin.offline => Network::Nothing,
        Some(reach) if !reach.udp.is_empty() => Network::Datagrams,
        _ => Network::Streams,
    };
    FILTERS[network as usize].get_or_init(|| make(network)).as_deref().map_err(Clone::clone)
}

fn make(network: Network) -> Result<BpfProgram, String> {
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> = BTreeMap::new();
    let say = |error: seccompiler::BackendError| error.to_string();
    let none = SeccompCmpOp::MaskedEq(u64::from(NAMESPACES.cast_unsigned()));
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, none, 0).map_err(say)?;
    rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![condition]).map_err(say)?]);
    if !matches!(network, Network::Nothing) {
        rules.insert(libc::SYS_socket, sockets(matches!(network, Network::Datagrams)).map_err(say)?);
    }
    rules.insert(libc::SYS_sched_setscheduler, no_real_time().map_err(say)?);
    for (call, _, mode) in MODES {
        rules.insert(*call, modes(*mode).map_err(say)?);
    }
    let other = |call: &u64| SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *call);
    let others = TYPING.iter().map(other).collect::<Result<Vec<_>, _>>().map_err(say)?;
    rules.insert(libc::SYS_ioctl, vec![SeccompRule::new(others).map_err(say)?]);
    let own = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, 0).map_err(say)?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![own]).map_err(say)?]);
    let arch = std::env::consts::ARCH.try_into().map_err(say)?;
    let absent = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let filter = SeccompFilter::new(rules, absent, SeccompAction::Allow, arch);
    let filter: BpfProgram = filter.and_then(TryInto::try_into).map_err(say)?;
    let plain: Vec<_> = PLAIN.iter().chain(OLDER).map(|(call, _)| *call).collect();
    Ok(search::first(&plain, &filter))
}

/// How it may ask to be scheduled: as everybody, or behind.
fn no_real_time() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let policies = [libc::SCHED_OTHER, libc::SCHED_BATCH, libc::SCHED_IDLE];
    let is = |policy: i32| {
        let kept = SeccompCmpOp::MaskedEq(u64::from(!libc::SCHED_RESET_ON_FORK.cast_unsigned()));
        SeccompCondition::new(1, SeccompCmpArgLen::Dword, kept, u64::from(policy.cast_unsigned()))
    };
    policies.into_iter().map(|policy| SeccompRule::new(vec![is(policy)?])).collect()
}

/// No file gets to run with the rights of its owner or group, by a call with the mode there.
fn modes(mode: Mode) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let none = |argument, bits: libc::c_int| {
        let bits = SeccompCmpOp::MaskedEq(u64::from(bits.cast_unsigned()));
        SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, bits, 0)?])
    };
    let set_id = SET_ID.cast_signed();
    match mode {
        Mode::At(argument) => Ok(vec![none(argument, set_id)?]),
        // What makes no file needs no mode, and may have anything there.
        Mode::Behind(flags) => Ok(vec![none(flags, MAKES)?, none(flags + 1, set_id)?]),
    }
}

/// The sockets that there are: TCP, whose ports the rules name, and the kernel's answers to "which addresses are there?".
/// Nothing else has rules: no UDP but where programs at its group keep it to its reach, no local socket of another, which
/// a path leads to.
fn sockets(datagrams: bool) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let is = |argument, value: i32| {
        let value = u64::from(value.cast_unsigned());
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
    };
    let kind = |kind: i32| {
        let kind = u64::from(kind.cast_unsigned());
        SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(KIND), kind)
    };
    let (stream, datagram) = (|| kind(libc::SOCK_STREAM), || kind(libc::SOCK_DGRAM));
    let mut rules = vec![SeccompRule::new(vec![is(0, libc::AF_NETLINK)?, is(2, libc::NETLINK_ROUTE)?])?];
    for family in [libc::AF_INET, libc::AF_INET6] {
        for protocol in TCP {
            rules.push(SeccompRule::new(vec![is(0, family)?, stream()?, is(2, protocol)?])?);
        }
        for protocol in UDP.into_iter().filter(|_| datagrams) {
            rules.push(SeccompRule::new(vec![is(0, family)?, datagram()?, is(2, protocol)?])?);
        }
    }
    Ok(rules)
}

/// What every kernel has, whatever its arguments.
#[rustfmt::skip]
const PLAIN: &[(c_long, &str)] = named![
    SYS_accept, SYS_accept4, SYS_bind, SYS_brk, SYS_capget, SYS_chdir, SYS_clock_getres, SYS_clock_gettime,
    SYS_clock_nanosleep, SYS_close, SYS_close_range, SYS_connect, SYS_copy_file_range, SYS_dup, SYS_dup3,
    SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_eventfd2, SYS_execve,
    SYS_execveat, SYS_exit, SYS_exit_group, SYS_faccessat, SYS_faccessat2, SYS_fadvise64, SYS_fallocate,
    SYS_fchdir, SYS_fchown, SYS_fchownat, SYS_fcntl, SYS_fdatasync, SYS_fgetxattr, SYS_flistxattr, SYS_flock,
    SYS_fremovexattr, SYS_fsetxattr, SYS_fstat, SYS_fstatfs, SYS_fsync, SYS_ftruncate, SYS_futex,
    SYS_futex_waitv, SYS_get_mempolicy, SYS_get_robust_list, SYS_getcpu, SYS_getcwd, SYS_getdents64,
    SYS_getegid, SYS_geteuid, SYS_getgid, SYS_getgroups, SYS_getitimer, SYS_getpeername, SYS_getpgid,
    SYS_getpid, SYS_getppid, SYS_getpriority, SYS_getrandom, SYS_getresgid, SYS_getresuid, SYS_getrlimit,
    SYS_getrusage, SYS_getsid, SYS_getsockname, SYS_getsockopt, SYS_gettid, SYS_gettimeofday, SYS_getuid,
    SYS_getxattr, SYS_inotify_add_watch, SYS_inotify_init1, SYS_inotify_rm_watch, SYS_io_cancel,
    SYS_io_destroy, SYS_io_getevents, SYS_io_setup, SYS_io_submit, SYS_ioprio_get, SYS_ioprio_set, SYS_kill,
    SYS_landlock_add_rule, SYS_landlock_create_ruleset, SYS_landlock_restrict_self, SYS_lgetxattr, SYS_linkat,
    SYS_listen, SYS_listxattr, SYS_llistxattr, SYS_lremovexattr, SYS_lseek, SYS_lsetxattr, SYS_madvise,
    SYS_mbind, SYS_membarrier, SYS_memfd_create, SYS_mincore, SYS_mlock, SYS_mlock2, SYS_mlockall, SYS_mmap,
    SYS_mprotect, SYS_mq_getsetattr, SYS_mq_notify, SYS_mq_open, SYS_mq_timedreceive, SYS_mq_timedsend,
    SYS_mq_unlink, SYS_mremap, SYS_msgctl, SYS_msgget, SYS_msgrcv, SYS_msgsnd, SYS_msync, SYS_munlock,
    SYS_munlockall, SYS_munmap, SYS_nanosleep, SYS_newfstatat, SYS_pidfd_open, SYS_pidfd_send_signal,
    SYS_pipe2, SYS_pkey_alloc, SYS_pkey_free, SYS_pkey_mprotect, SYS_ppoll, SYS_prctl, SYS_pread64, SYS_preadv,
    SYS_preadv2, SYS_process_mrelease, SYS_pselect6, SYS_pwrite64, SYS_pwritev, SYS_pwritev2, SYS_read,
    SYS_readahead, SYS_readlinkat, SYS_readv, SYS_recvfrom, SYS_recvmmsg, SYS_recvmsg, SYS_remap_file_pages,
    SYS_removexattr, SYS_renameat, SYS_renameat2, SYS_restart_syscall, SYS_rseq, SYS_rt_sigaction,
    SYS_rt_sigpending, SYS_rt_sigprocmask, SYS_rt_sigqueueinfo, SYS_rt_sigreturn, SYS_rt_sigsuspend,
    SYS_rt_sigtimedwait, SYS_rt_tgsigqueueinfo, SYS_sched_get_priority_max, SYS_sched_get_priority_min,
    SYS_sched_getaffinity, SYS_sched_getattr, SYS_sched_getparam, SYS_sched_getscheduler,
    SYS_sched_rr_get_interval, SYS_sched_setaffinity, SYS_sched_setparam, SYS_sched_yield, SYS_seccomp,
    SYS_semctl, SYS_semget, SYS_semop, SYS_semtimedop, SYS_sendfile, SYS_sendmmsg, SYS_sendmsg, SYS_sendto,
    SYS_set_mempolicy, SYS_set_robust_list, SYS_set_tid_address, SYS_setfsgid, SYS_setfsuid, SYS_setgid,
    SYS_setgroups, SYS_setitimer, SYS_setpgid, SYS_setpriority, SYS_setregid, SYS_setresgid, SYS_setresuid,
    SYS_setreuid, SYS_setrlimit, SYS_setsid, SYS_setsockopt, SYS_setuid, SYS_setxattr, SYS_shmat, SYS_shmctl,
    SYS_shmdt, SYS_shmget, SYS_shutdown, SYS_sigaltstack, SYS_signalfd4, SYS_socketpair, SYS_splice,
    SYS_statfs, SYS_statx, SYS_symlinkat, SYS_sync, SYS_sync_file_range, SYS_syncfs, SYS_sysinfo, SYS_tee,
    SYS_tgkill, SYS_timer_create, SYS_timer_delete, SYS_timer_getoverrun, SYS_timer_gettime, SYS_timer_settime,
    SYS_timerfd_create, SYS_timerfd_gettime, SYS_timerfd_settime, SYS_times, SYS_tkill, SYS_truncate,
    SYS_umask, SYS_uname, SYS_unlinkat, SYS_utimensat, SYS_vmsplice, SYS_wait4, SYS_waitid, SYS_write,
    SYS_writev,
];

/// What newer calls have replaced; only x86-64 still has them.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const OLDER: &[(c_long, &str)] = named![
    SYS_access, SYS_alarm, SYS_arch_prctl, SYS_chown, SYS_dup2, SYS_epoll_create, SYS_epoll_wait, SYS_eventfd,
    SYS_fork, SYS_futimesat, SYS_getdents, SYS_getpgrp, SYS_inotify_init, SYS_lchown, SYS_link, SYS_lstat,
    SYS_pause, SYS_pipe, SYS_poll, SYS_readlink, SYS_rename, SYS_rmdir, SYS_select, SYS_signalfd, SYS_stat,
    SYS_symlink, SYS_time, SYS_unlink, SYS_utime, SYS_utimes, SYS_vfork,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[(c_long, &str)] = &[];

/// Where a call has the mode of the file that it makes or changes.
#[derive(Debug, Clone, Copy)]
enum Mode {
    /// In this argument.
    At(u8),
    /// Behind this argument, which holds flags.
    Behind(u8),
}

/// Calls with a mode. Not those of newer kernels: what isn't listed doesn't exist.
const MODES: &[(c_long, &str, Mode)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, "SYS_chmod", Mode::At(1)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, "SYS_creat", Mode::At(1)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, "SYS_mkdir", Mode::At(1)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, "SYS_mknod", Mode::At(1)),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "SYS_open", Mode::Behind(1)),
    (libc::SYS_fchmod, "SYS_fchmod", Mode::At(1)),
    (libc::SYS_fchmodat, "SYS_fchmodat", Mode::At(2)),
    (libc::SYS_mkdirat, "SYS_mkdirat", Mode::At(2)),
    (libc::SYS_mknodat, "SYS_mknodat", Mode::At(2)),
    (libc::SYS_openat, "SYS_openat", Mode::Behind(2)),
];

/// The others whose arguments count.
const CHECKED: &[(c_long, &str)] =
    named![SYS_clone, SYS_ioctl, SYS_prlimit64, SYS_sched_setscheduler, SYS_socket,];
