//! What this kernel has, and, where io_uring is refused, who refuses it and what fixes it.

use super::machine;
use super::ring::RingOptions;
use super::syscall;
use io_uring::opcode;
use std::fmt;
use std::io;

pub use super::syscall::{VolumeSpace, file_system_name, kernel_release, volume_space};

/// Features newer than the oldest kernel we run on; each can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// `cachestat(2)`, Linux 6.5.
    pub cachestat: bool,
    /// IORING_ENTER_NO_IOWAIT, Linux 6.15.
    pub no_iowait: bool,
}

impl Features {
    /// Names, as the setting that switches them off spells them.
    pub const NAMES: [&str; 2] = ["cachestat", "no-iowait"];

    /// What the kernel has, less what is switched off. `disabled` may name `all`.
    pub fn probe(disabled: &[String]) -> Self {
        let wanted = |name: &str| !disabled.iter().any(|off| off == name || off == "all");
        if !wanted("cachestat") {
            syscall::disable_cachestat();
        }
        let no_iowait = wanted("no-iowait")
            && io_uring::IoUring::new(2).is_ok_and(|ring| ring.params().is_feature_no_iowait());
        Self { cachestat: syscall::has_cachestat(), no_iowait }
    }
}

/// The ring's operations that the broker uses, and whether this kernel has each.
pub fn ring_operations() -> io::Result<Vec<(&'static str, bool)>> {
    let ring = io_uring::IoUring::new(2)?;
    let mut probe = io_uring::Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    Ok(OPERATIONS.iter().map(|&(name, code)| (name, probe.is_supported(code))).collect())
}

const OPERATIONS: &[(&str, u8)] = &[
    ("accept", opcode::Accept::CODE),
    ("async-cancel", opcode::AsyncCancel2::CODE),
    ("connect", opcode::Connect::CODE),
    ("fadvise", opcode::Fadvise::CODE),
    ("fallocate", opcode::Fallocate::CODE),
    ("fsync", opcode::Fsync::CODE),
    ("mkdirat", opcode::MkDirAt::CODE),
    ("openat", opcode::OpenAt::CODE),
    ("poll-add", opcode::PollAdd::CODE),
    ("read", opcode::Read::CODE),
    ("recv", opcode::Recv::CODE),
    ("renameat", opcode::RenameAt::CODE),
    ("sendmsg", opcode::SendMsg::CODE),
    ("statx", opcode::Statx::CODE),
    ("sync-file-range", opcode::SyncFileRange::CODE),
    ("unlinkat", opcode::UnlinkAt::CODE),
    ("writev", opcode::Writev::CODE),
];

/// Why io_uring cannot be had, and what to do.
#[derive(Debug)]
pub struct Refusal {
    pub error: io::Error,
    pub cause: Cause,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The kernel is older than Linux 6.1 (its release).
    KernelTooOld(String),
    /// `kernel.io_uring_disabled` has this value.
    Disabled(u8),
    /// A seccomp filter is active and refuses the call.
    Seccomp,
    /// Too little memory may be locked (limit in bytes).
    Memlock(u64),
    Unknown,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = &self.error;
        match &self.cause {
            Cause::KernelTooOld(release) => write!(
                f,
                "io_uring with deferred task work needs Linux 6.1; this is {release} ({error})\n  \
                 fix: boot a newer kernel (Debian 12 and later, Ubuntu 24.04 and later, RHEL 10)"
            ),
            Cause::Disabled(value) => write!(
                f,
                "io_uring is switched off on this host: kernel.io_uring_disabled={value} ({error})\n  \
                 fix: sysctl -w kernel.io_uring_disabled=0"
            ),
            Cause::Seccomp => write!(
                f,
                "a seccomp filter of this container refuses io_uring ({error})\n  \
                 fix: docker run --security-opt seccomp=unconfined ..., or a profile that allows \
                 io_uring_setup, io_uring_enter and io_uring_register"
            ),
            Cause::Memlock(bytes) => write!(
                f,
                "the kernel may not lock enough memory for the rings: limit {bytes} bytes ({error})\n  \
                 fix: ulimit -l unlimited, or LimitMEMLOCK=infinity in the systemd unit"
            ),
            Cause::Unknown => write!(f, "io_uring cannot be set up: {error}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Tries a ring as the cores will use it.
pub fn check_ring(options: &RingOptions) -> Result<(), Refusal> {
    machine::try_ring(options).map_err(|error| {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cause = diagnose(
            error.raw_os_error().unwrap_or(0),
            &kernel_release(),
            &read("/proc/sys/kernel/io_uring_disabled"),
            &read("/proc/self/status"),
            &read("/proc/self/limits"),
        );
        Refusal { error, cause }
    })
}

fn diagnose(error: i32, release: &str, disabled: &str, status: &str, limits: &str) -> Cause {
    let mut version = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (version.next().unwrap_or(0), version.next().unwrap_or(0));
    let is_filtered = status.lines().any(|line| line.split_whitespace().eq(["Seccomp:", "2"]));
    let memlock = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max locked memory"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    match (error, disabled.trim().parse().unwrap_or(0), memlock) {
        (libc::EPERM, disabled @ 1.., _) => Cause::Disabled(disabled),
        (libc::EPERM | libc::ENOSYS | libc::EACCES, _, _) if is_filtered => Cause::Seccomp,
        (libc::ENOSYS | libc::EINVAL, _, _) if version < (6, 1) => {
            Cause::KernelTooOld(release.to_string())
        }
        (libc::ENOMEM, _, Some(bytes)) => Cause::Memlock(bytes),
        _ => Cause::Unknown,
    }
}

/// Memory that this process may use, in bytes: the machine's, or less where its cgroup says so.
/// `None` where the kernel does not tell.
pub fn memory_bytes() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let group = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = group.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let max = std::fs::read_to_string(format!("/sys/fs/cgroup{path}/memory.max"));
    memory_of(&meminfo, &max.unwrap_or_default())
}

fn memory_of(meminfo: &str, cgroup_max: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    // "max" is no number: no limit.
    let limit = cgroup_max.trim().parse::<u64>().ok();
    [kib.map(|kib| kib * 1024), limit].into_iter().flatten().min()
}

/// Size of one CPU's L2 cache in bytes; 1 MiB where the kernel does not say.
pub fn l2_cache_bytes() -> usize {
    let size = std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cache/index2/size");
    let kib = size.ok().and_then(|text| text.trim().strip_suffix('K')?.parse::<usize>().ok());
    kib.unwrap_or(1024) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_the_machine_s_or_what_its_cgroup_leaves() {
        let meminfo = "MemTotal:       2048 kB\nMemFree:  1 kB\n";
        assert_eq!(memory_of(meminfo, "max\n"), Some(2 << 20));
        assert_eq!(memory_of(meminfo, "1048576\n"), Some(1 << 20));
        assert_eq!(memory_of(meminfo, ""), Some(2 << 20));
        assert_eq!(memory_of("", ""), None);
    }

    #[test]
    fn each_refusal_names_its_cause_and_its_fix() {
        let filtered = "Name:\tx\nSeccomp:\t2\n";
        let limits = "Max locked memory         65536                65536                bytes\n";
        let cases = [
            (libc::EPERM, "6.8.0", "2\n", "", Cause::Disabled(2), "sysctl"),
            (libc::EPERM, "6.8.0", "0\n", filtered, Cause::Seccomp, "seccomp"),
            (libc::ENOSYS, "6.8.0", "", filtered, Cause::Seccomp, "io_uring_setup"),
            (
                libc::EINVAL,
                "5.15.0-91-generic",
                "0",
                "",
                Cause::KernelTooOld("5.15.0-91-generic".into()),
                "6.1",
            ),
            (libc::ENOMEM, "6.8.0", "0", "", Cause::Memlock(65536), "ulimit -l"),
            (libc::EIO, "6.8.0", "0", "", Cause::Unknown, "cannot"),
        ];
        for (error, release, disabled, status, expected, word) in cases {
            let cause = diagnose(error, release, disabled, status, limits);
            assert_eq!(cause, expected);
            let refusal = Refusal { error: io::Error::from_raw_os_error(error), cause };
            assert!(refusal.to_string().contains(word), "{refusal}");
        }
    }
}
