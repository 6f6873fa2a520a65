//! Which system calls a program can make: all but those that reach past the walls of files and ports, or into the kernel.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Is, SeccompCondition,
    SeccompFilter, SeccompRule, apply_filter,
};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Calls that no program needs and that reach into other processes, past file permissions, or into the kernel.
const REFUSED: &[i64] = &[
    // Other processes' memory and descriptors.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Other views of the file system, and namespaces in which one would be root.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // Keys that the kernel holds for this user.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // The kernel and the machine.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Calls that programs try and can do without. `clone3` takes its flags where no filter sees them, and a ring of `io_uring`
/// makes calls that no filter sees.
const ABSENT: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];

/// Flags of `clone` that make a namespace.
const NAMESPACES: &[i32] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// The x86-64 kernel may know every call under a second number.
#[cfg(target_arch = "x86_64")]
const ALIASES: &[i64] = &[0, 0x4000_0000];
#[cfg(not(target_arch = "x86_64"))]
const ALIASES: &[i64] = &[0];

/// Limits the calls of this process and of all that it starts.
pub(super) fn limit(names: bool, network: bool) -> Result<(), Failure> {
    let mut refused = Rules::new();
    for call in REFUSED {
        add(&mut refused, *call, vec![]);
    }
    for flag in NAMESPACES {
        let flag = u64::from(flag.unsigned_abs());
        add(
            &mut refused,
            libc::SYS_clone,
            vec![rule(&[(0, Is::MaskedEq(flag), flag)])?],
        );
    }
    // Typing into the terminal that somebody else reads from.
    for request in [libc::TIOCSTI, libc::TIOCLINUX] {
        add(
            &mut refused,
            libc::SYS_ioctl,
            vec![rule(&[(1, Is::Eq, request)])?],
        );
    }
    add(&mut refused, libc::SYS_socket, sockets(names, network)?);
    if !network {
        // Connects without the call that is checked.
        let fast_open = 0x2000_0000;
        for (call, argument) in [
            (libc::SYS_sendto, 3),
            (libc::SYS_sendmsg, 2),
            (libc::SYS_sendmmsg, 3),
        ] {
            let rule = rule(&[(argument, Is::MaskedEq(fast_open), fast_open)])?;
            add(&mut refused, call, vec![rule]);
        }
    }
    let mut absent = Rules::new();
    for call in ABSENT {
        add(&mut absent, *call, vec![]);
    }
    let error = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    apply(absent, error(libc::ENOSYS))?;
    apply(refused, error(libc::EPERM))
}

/// Sockets that are refused. Local ones reach databases, agents and container engines that take a user at their word,
/// and no file permission stands between.
fn sockets(names: bool, network: bool) -> Result<Vec<SeccompRule>, Failure> {
    let [v4, v6, netlink] = [libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK].map(number);
    let mut rules = vec![rule(&[
        (0, Is::Ne, v4),
        (0, Is::Ne, v6),
        (0, Is::Ne, netlink),
    ])?];
    if network {
        return Ok(rules);
    }
    // Flags stand beside the type.
    let of_type = |family, kind: i32| [(0, Is::Eq, family), (1, Is::MaskedEq(0xf), number(kind))];
    for family in [v4, v6] {
        for kind in [libc::SOCK_RAW, libc::SOCK_SEQPACKET, libc::SOCK_RDM] {
            rules.push(rule(&of_type(family, kind))?);
        }
        if !names {
            rules.push(rule(&of_type(family, libc::SOCK_DGRAM))?);
        }
        // Streams of other protocols connect past the wall of TCP ports.
        let [family_is, stream] = of_type(family, libc::SOCK_STREAM);
        let tcp = number(libc::IPPROTO_TCP);
        rules.push(rule(&[
            family_is,
            stream,
            (2, Is::Ne, 0),
            (2, Is::Ne, tcp),
        ])?);
    }
    Ok(rules)
}

fn number(constant: i32) -> u64 {
    u64::from(constant.unsigned_abs())
}

/// A rule that holds when all of its conditions do: an argument's place, how it is compared, and with what.
fn rule(conditions: &[(u8, Is, u64)]) -> Result<SeccompRule, Failure> {
    let conditions = conditions
        .iter()
        .map(|(place, is, value)| SeccompCondition::new(*place, Width::Dword, is.clone(), *value));
    Ok(SeccompRule::new(conditions.collect::<Result<_, _>>()?)?)
}

fn add(rules: &mut Rules, call: i64, new: Vec<SeccompRule>) {
    for alias in ALIASES {
        rules
            .entry(call | alias)
            .or_default()
            .extend(new.iter().cloned());
    }
}

fn apply(rules: Rules, action: SeccompAction) -> Result<(), Failure> {
    let architecture = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, architecture)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(apply_filter(&program)?)
}
