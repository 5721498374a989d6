//! The system calls of a confined process: a filter that the kernel asks before each of them.
//!
//! The filter names what is permitted, not what is forbidden: a kernel learns new calls, and an
//! attacker knows them first. What decoding and recognising need is plain: memory, threads, time,
//! open files. A call that is not named does not exist (`ENOSYS`), which libraries take for an old
//! kernel and do without; in particular `clone3`, whose flags no filter can see, so that threads
//! are begun by `clone`. What is named and refused answers `EPERM`.
//!
//! Two filters, because one has a single answer. The first refuses by what a call is given, the second lets pass what
//! is named.

use std::{collections::BTreeMap, io};

use libc::{c_int, c_long};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

use super::Role;

/// Calls that are permitted whatever they are given: none of them reaches out of the process but by a descriptor or by a
/// path, and paths are Landlock's. None changes whose a file is, who may read it, or when it was made: the recording's
/// descriptor would allow that to its owner.
const PERMITTED: &[c_long] = &[
    // Open files.
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_pipe2,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_read,
    libc::SYS_readahead,
    libc::SYS_readv,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_write,
    libc::SYS_writev,
    // Paths.
    libc::SYS_chdir,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getcwd,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_readlinkat,
    libc::SYS_statfs,
    libc::SYS_statx,
    libc::SYS_umask,
    // Waiting.
    libc::SYS_clock_nanosleep,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    // Memory, threads.
    libc::SYS_brk,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_get_mempolicy,
    libc::SYS_get_robust_list,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mincore,
    libc::SYS_mlock,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_msync,
    libc::SYS_munlock,
    libc::SYS_munmap,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    // Its own signals.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigsuspend,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    // What it is, and what time it is.
    libc::SYS_capget,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_getcpu,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getitimer,
    libc::SYS_getpgid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getrandom,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    libc::SYS_getsid,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_sysinfo,
    libc::SYS_times,
    libc::SYS_uname,
];

/// The same by their older names, which newer processors do not have.
#[cfg(target_arch = "x86_64")]
const PERMITTED_OLDER: &[c_long] = &[
    libc::SYS_access,
    libc::SYS_arch_prctl,
    libc::SYS_dup2,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_eventfd,
    libc::SYS_getdents,
    libc::SYS_getpgrp,
    libc::SYS_lstat,
    libc::SYS_open,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_readlink,
    libc::SYS_select,
    libc::SYS_stat,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const PERMITTED_OLDER: &[c_long] = &[];

/// Calls that are refused with any arguments, as forbidden instead of unknown.
const REFUSED: &[c_long] = &[
    // The network, and every other socket.
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_socket,
    libc::SYS_socketpair,
    // Other processes.
    libc::SYS_execveat,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_tkill,
    // Other views of the system.
    libc::SYS_bpf,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_perf_event_open,
    libc::SYS_setns,
    libc::SYS_umount2,
    libc::SYS_unshare,
];

/// The same by their older names.
#[cfg(target_arch = "x86_64")]
const REFUSED_OLDER: &[c_long] = &[libc::SYS_fork, libc::SYS_vfork];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_OLDER: &[c_long] = &[];

/// Calls that are refused with some arguments.
const BY_ARGUMENT: &[c_long] = &[
    libc::SYS_clone,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_kill,
    libc::SYS_mmap,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_tgkill,
];

/// The flags that `clone` must have: a thread, never a process.
const THREAD: u64 = 0x0001_0000;

/// Flags that `clone` must not have: new namespaces (mounts, control groups, names, messages,
/// users, processes, network), which root could make together with a thread.
const NAMESPACES: [u64; 7] =
    [0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];

/// Operations permitted to `fcntl`: duplicates, flags, locks, the size of a pipe, seals. Not who
/// gets its signals.
const FCNTL: [u64; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 1030, 1031, 1032, 1034];

/// Operations permitted to `ioctl`: whether it is a terminal and how large, what waits to be read,
/// and the flags of a descriptor. Not the attributes of a file.
const IOCTL: [u64; 6] = [0x5401, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451];

/// Operations permitted to `prctl`: the name of a thread, no new privileges, the name of memory.
/// Not to outlive its parent.
const PRCTL: [u64; 5] = [15, 16, 38, 39, 0x5356_4d41];

/// The bit of memory that is shared: no limit of a process counts it.
const SHARED: u64 = 1;

/// Calls of the network among [`REFUSED`].
const NETWORK: [c_long; 12] = [
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_socket,
    libc::SYS_socketpair,
];

/// Families of sockets that a program with the network may make: IPv4, IPv6, and the kernel's list of addresses, which
/// looking up a name asks for. No socket of this machine's own services.
const FAMILIES: [u64; 3] = [2, 10, 16];

/// Installs the filters for this thread; returns that the kernel has them.
pub(super) fn apply_filters(role: Role) -> io::Result<bool> {
    let filters = match role {
        Role::Recogniser | Role::Ffmpeg => [
            build_filter(refused_calls().map_err(io::Error::other)?, libc::EPERM, true)?,
            build_filter(named_calls(role), libc::ENOSYS, false)?,
        ],
        // The flags of `clone3` cannot be seen: without it the C library takes `clone`.
        Role::Hook | Role::NetworkHook => [
            build_filter(
                calls_refused_to_hooks(role).map_err(io::Error::other)?,
                libc::EPERM,
                true,
            )?,
            build_filter([(libc::SYS_clone3, Vec::new())].into(), libc::ENOSYS, true)?,
        ],
    };
    for filter in filters {
        match apply_filter(&filter) {
            Ok(()) => {}
            Err(seccompiler::Error::Seccomp(error)) if is_missing(&error) => return Ok(false),
            Err(error) => return Err(super::system_error(&error)),
        }
    }
    Ok(true)
}

/// Returns what is refused to a program of the operator's and to those that it begins. It may do the rest: it is no
/// hostile code, and its files are Landlock's.
fn calls_refused_to_hooks(role: Role) -> Result<Rules, seccompiler::BackendError> {
    // A signal reaches no other program where Landlock knows scopes.
    let permitted: &[c_long] = if role.has_network() { &NETWORK } else { &[libc::SYS_recvfrom] };
    let mut rules: Rules = REFUSED
        .iter()
        .filter(|call| !permitted.contains(call) && **call != libc::SYS_tkill)
        .map(|call| (*call, Vec::new()))
        .collect();
    let namespaces = NAMESPACES.iter();
    let namespaces = namespaces.map(|flag| rule_when(&[(0, SeccompCmpOp::MaskedEq(*flag), *flag)]));
    rules.insert(libc::SYS_clone, namespaces.collect::<Result<_, _>>()?);
    let limit = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![limit])?]);
    if role.has_network() {
        rules.insert(libc::SYS_socket, vec![rule_unless(0, &FAMILIES)?]);
        // Nothing waits for calls.
        for call in [libc::SYS_listen, libc::SYS_accept, libc::SYS_accept4] {
            rules.insert(call, Vec::new());
        }
    }
    Ok(rules)
}

/// Returns whether the kernel was built without filters.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL))
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Builds a filter that answers `errno` to the calls that the rules name, or to all others.
fn build_filter(rules: Rules, errno: c_int, is_for_named: bool) -> io::Result<BpfProgram> {
    let error = SeccompAction::Errno(errno.unsigned_abs());
    let (named, others) =
        if is_for_named { (error, SeccompAction::Allow) } else { (SeccompAction::Allow, error) };
    let architecture = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let filter =
        SeccompFilter::new(rules, others, named, architecture).map_err(io::Error::other)?;
    filter.try_into().map_err(io::Error::other)
}

/// Returns every call that has a name here.
fn named_calls(role: Role) -> Rules {
    let by_role: &[c_long] = match role {
        // It is handed the descriptors of an ffmpeg that somebody else has started.
        Role::Recogniser => &[libc::SYS_recvmsg],
        Role::Ffmpeg | Role::Hook | Role::NetworkHook => &[libc::SYS_execve],
    };
    let all = [PERMITTED, PERMITTED_OLDER, REFUSED, REFUSED_OLDER, BY_ARGUMENT, by_role];
    all.concat().into_iter().map(|call| (call, Vec::new())).collect()
}

/// Returns the calls that are refused, with the arguments for which they are.
fn refused_calls() -> Result<Rules, seccompiler::BackendError> {
    let own = u64::from(std::process::id());
    let mut rules: Rules =
        [REFUSED, REFUSED_OLDER].concat().into_iter().map(|call| (call, Vec::new())).collect();
    let mut clone = vec![rule_when(&[(0, SeccompCmpOp::MaskedEq(THREAD), 0)])?];
    for namespace in NAMESPACES {
        clone.push(rule_when(&[(0, SeccompCmpOp::MaskedEq(namespace), namespace)])?);
    }
    rules.insert(libc::SYS_clone, clone);
    rules.insert(libc::SYS_mmap, vec![rule_when(&[(3, SeccompCmpOp::MaskedEq(SHARED), SHARED)])?]);
    for call in [libc::SYS_kill, libc::SYS_tgkill] {
        rules.insert(call, vec![rule_when(&[(0, SeccompCmpOp::Ne, own)])?]);
    }
    let limit = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![limit])?]);
    rules.insert(libc::SYS_fcntl, vec![rule_unless(1, &FCNTL)?]);
    rules.insert(libc::SYS_ioctl, vec![rule_unless(1, &IOCTL)?]);
    rules.insert(libc::SYS_prctl, vec![rule_unless(0, &PRCTL)?]);
    Ok(rules)
}

/// Returns the rule for a call with these arguments, of which the kernel takes 32 bits.
fn rule_when(
    conditions: &[(u8, SeccompCmpOp, u64)],
) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = |(argument, operator, value): &(u8, SeccompCmpOp, u64)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
    };
    SeccompRule::new(conditions.iter().map(condition).collect::<Result<_, _>>()?)
}

/// Returns the rule for a call whose argument is none of these.
fn rule_unless(argument: u8, values: &[u64]) -> Result<SeccompRule, seccompiler::BackendError> {
    rule_when(&values.iter().map(|value| (argument, SeccompCmpOp::Ne, *value)).collect::<Vec<_>>())
}
