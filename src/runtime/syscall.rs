//! System calls that the ring does not cover, or that are cheaper made at once.
#![allow(unsafe_code)]

use super::buffer::BlockMut;
use super::core::RECEIVE_NOW_BLOCKS_MAX;
use smallvec::SmallVec;
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_len(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// A socket address as the kernel lays it out.
pub(super) struct RawAddress {
    storage: libc::sockaddr_storage,
    len: libc::socklen_t,
}

impl RawAddress {
    fn empty() -> Self {
        // SAFETY: plain data, for which all zeroes are valid.
        let storage = unsafe { zeroed() };
        Self { storage, len: size_of::<libc::sockaddr_storage>() as _ }
    }

    pub fn new(address: SocketAddr) -> Self {
        let mut raw = Self::empty();
        let target = &raw mut raw.storage;
        match address {
            SocketAddr::V4(v4) => {
                let inner = libc::sockaddr_in {
                    sin_family: libc::AF_INET as _,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                    sin_zero: [0; 8],
                };
                // SAFETY: sockaddr_storage is large and aligned enough for every family.
                unsafe { target.cast::<libc::sockaddr_in>().write(inner) };
                raw.len = size_of::<libc::sockaddr_in>() as _;
            }
            SocketAddr::V6(v6) => {
                let inner = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as _,
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: v6.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                    sin6_scope_id: v6.scope_id(),
                };
                // SAFETY: as above.
                unsafe { target.cast::<libc::sockaddr_in6>().write(inner) };
                raw.len = size_of::<libc::sockaddr_in6>() as _;
            }
        }
        raw
    }

    pub fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub fn len(&self) -> libc::socklen_t {
        self.len
    }

    fn parse(&self) -> io::Result<SocketAddr> {
        let source = &raw const self.storage;
        match i32::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says what the storage holds.
                let v4 = unsafe { &*source.cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Ok((IpAddr::V4(ip), u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let v6 = unsafe { &*source.cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                Ok((IpAddr::V6(ip), u16::from_be(v6.sin6_port)).into())
            }
            family => Err(io::Error::other(format!("address family {family} is not IP"))),
        }
    }
}

/// A TCP socket of the address's family: non-blocking, closed on exec.
pub(super) fn stream_socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no pointers.
    let fd = check(unsafe { libc::socket(family, kind, 0) })?;
    // SAFETY: just made; nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A listener that shares its port with nobody (no SO_REUSEPORT: two processes would silently
/// share clients). SO_REUSEADDR only lets a restart bind while old connections time out.
pub(super) fn listen(address: SocketAddr, backlog: u32) -> io::Result<OwnedFd> {
    let fd = stream_socket(address)?;
    set_option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    let raw = RawAddress::new(address);
    // SAFETY: the address outlives the call.
    check(unsafe { libc::bind(fd.as_raw_fd(), raw.as_ptr(), raw.len()) })?;
    // SAFETY: no pointers.
    check(unsafe { libc::listen(fd.as_raw_fd(), backlog.min(i32::MAX as u32) as i32) })?;
    Ok(fd)
}

fn set_option(fd: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    let pointer = (&raw const value).cast();
    // SAFETY: the value outlives the call and has the length given.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, pointer, 4) }).map(drop)
}

pub(super) fn set_up_stream(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: no pointers.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)
}

pub(super) fn set_write_patience(fd: BorrowedFd<'_>, ms: i32) -> io::Result<()> {
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, ms)
}

pub(super) fn set_buffers(
    fd: BorrowedFd<'_>,
    send: Option<u32>,
    receive: Option<u32>,
) -> io::Result<()> {
    for (name, value) in [(libc::SO_SNDBUF, send), (libc::SO_RCVBUF, receive)] {
        if let Some(value) = value {
            set_option(fd, libc::SOL_SOCKET, name, value.min(i32::MAX as u32) as i32)?;
        }
    }
    Ok(())
}

pub(super) fn shut_down(fd: BorrowedFd<'_>, how: Shutdown) {
    let how = match how {
        Shutdown::Read => libc::SHUT_RD,
        Shutdown::Write => libc::SHUT_WR,
        Shutdown::Both => libc::SHUT_RDWR,
    };
    // SAFETY: no pointers. An error means that the peer was faster.
    unsafe { libc::shutdown(fd.as_raw_fd(), how) };
}

pub(super) fn local_address(fd: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let mut raw = RawAddress::empty();
    let (address, len) = ((&raw mut raw.storage).cast(), &raw mut raw.len);
    // SAFETY: both pointers are to live memory of the sizes given.
    check(unsafe { libc::getsockname(fd.as_raw_fd(), address, len) })?;
    raw.parse()
}

pub(super) fn peer_address(fd: &OwnedFd) -> io::Result<SocketAddr> {
    let mut raw = RawAddress::empty();
    let (address, len) = ((&raw mut raw.storage).cast(), &raw mut raw.len);
    // SAFETY: both pointers are to live memory of the sizes given.
    check(unsafe { libc::getpeername(fd.as_raw_fd(), address, len) })?;
    raw.parse()
}

pub(super) fn pwritev(fd: RawFd, iovecs: &[libc::iovec], at: u64) -> io::Result<usize> {
    // SAFETY: the iovecs point at memory of the gather, which the caller holds.
    check_len(unsafe { libc::pwritev(fd, iovecs.as_ptr(), iovecs.len() as i32, at as i64) })
}

pub(super) fn sendfile(socket: RawFd, file: RawFd, at: u64, len: usize) -> io::Result<usize> {
    let mut at = at as i64;
    // SAFETY: the offset is a live local.
    check_len(unsafe { libc::sendfile(socket, file, &raw mut at, len) })
}

/// Reads what is in the page cache; `WouldBlock` where the disk would have to be asked first.
pub(super) fn read_now(fd: RawFd, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let iovec = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: the iovec covers a live buffer that nobody else uses.
    check_len(unsafe { libc::preadv2(fd, &raw const iovec, 1, at as i64, libc::RWF_NOWAIT) })
}

/// Receives into the blocks one after the other, from `start` of the first on, at most `max` bytes;
/// does not wait. 0 at the end of the stream.
pub(super) fn receive_now(
    fd: RawFd,
    blocks: &mut [BlockMut],
    start: usize,
    max: usize,
) -> io::Result<usize> {
    let (mut skip, mut left) = (start, max);
    let mut iovecs = SmallVec::<[libc::iovec; RECEIVE_NOW_BLOCKS_MAX]>::new();
    for block in blocks {
        let part = &mut block.as_mut_slice()[skip..];
        let len = part.len().min(left);
        iovecs.push(libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: len });
        (skip, left) = (0, left - len);
    }
    // SAFETY: plain data, for which all zeroes are valid.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = iovecs.as_mut_ptr();
    message.msg_iovlen = iovecs.len() as _;
    // SAFETY: the iovecs cover parts of live blocks, which this call has for itself.
    check_len(unsafe { libc::recvmsg(fd, &raw mut message, libc::MSG_DONTWAIT) })
}

pub(super) fn truncate(fd: RawFd, len: u64) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::ftruncate(fd, len as i64) }).map(drop)
}

pub(super) fn empty_statx() -> Box<libc::statx> {
    // SAFETY: plain data, for which all zeroes are valid.
    Box::new(unsafe { zeroed() })
}

/// Whole pages of zeroed memory that stay until the process ends.
pub(super) fn map_pages(len: usize) -> io::Result<*mut u8> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: an anonymous mapping at an address of the kernel's choice.
    let base = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
    if base == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(base.cast()) }
}

/// Set once `cachestat` (Linux 6.5) is known to be missing or was switched off.
static NO_CACHESTAT: AtomicBool = AtomicBool::new(false);

/// Switches `cachestat` off, as on a kernel without it.
pub(super) fn disable_cachestat() {
    NO_CACHESTAT.store(true, Ordering::Relaxed);
}

/// Whether the kernel has `cachestat`, and it is not switched off.
pub(super) fn has_cachestat() -> bool {
    !NO_CACHESTAT.load(Ordering::Relaxed)
        && matches!(cachestat(-1, 0, 1), Err(error) if error.raw_os_error() == Some(libc::EBADF))
}

#[repr(C)]
struct CacheStat {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// Pages of the range that are in the page cache.
fn cachestat(fd: RawFd, at: u64, len: u64) -> io::Result<u64> {
    const SYS_CACHESTAT: libc::c_long = 451;
    let range = [at, len];
    let mut stat = MaybeUninit::<CacheStat>::zeroed();
    // SAFETY: both pointers are to live memory with the kernel's layout.
    let result =
        unsafe { libc::syscall(SYS_CACHESTAT, fd, range.as_ptr(), stat.as_mut_ptr(), 0_u32) };
    check(result as libc::c_int)?;
    // SAFETY: zeroed and plain data.
    Ok(unsafe { stat.assume_init() }.cached)
}

/// Bytes between two probes of a large range: the read-ahead of one miss is rarely longer.
const PROBE_STRIDE: u64 = 256 << 10;

/// Whether a send of the range would not wait for the disk. `cachestat` counts pages that are
/// still being read, so one-byte reads that refuse to wait follow: first, last, and between.
pub(super) fn is_resident(fd: RawFd, at: u64, len: u64) -> bool {
    const PAGE: u64 = 4096;
    if len == 0 {
        return true;
    }
    if !NO_CACHESTAT.load(Ordering::Relaxed) {
        let pages = (at + len).div_ceil(PAGE) - at / PAGE;
        match cachestat(fd, at, len) {
            Ok(cached) if cached < pages => return false,
            Ok(_) => {}
            Err(_) => disable_cachestat(),
        }
    }
    let stride = (len / 2).clamp(1, PROBE_STRIDE) as usize;
    can_read_now(fd, at + len - 1)
        && (at..at + len - 1).step_by(stride).all(|at| can_read_now(fd, at))
}

fn can_read_now(fd: RawFd, at: u64) -> bool {
    let mut byte = 0_u8;
    let iovec = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: the iovec points at a live byte.
    let read = unsafe { libc::preadv2(fd, &raw const iovec, 1, at as i64, libc::RWF_NOWAIT) };
    match check_len(read) {
        Ok(count) => count == 1,
        // A file system without NOWAIT reads cannot be asked; cachestat has answered already.
        Err(error) => {
            error.raw_os_error() == Some(libc::EOPNOTSUPP) && !NO_CACHESTAT.load(Ordering::Relaxed)
        }
    }
}

/// An event counter. Blocking, so that a ring read waits for it instead of failing.
pub(super) fn event_fd() -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })?;
    // SAFETY: just made; nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn ring_event_fd(fd: BorrowedFd<'_>) {
    let one = 1_u64;
    // SAFETY: eight bytes of a live local. A full counter is as good as a rung bell.
    unsafe { libc::write(fd.as_raw_fd(), (&raw const one).cast(), 8) };
}

/// Name of the file system that holds the path, as mount tables spell it.
pub fn file_system_name(path: &std::path::Path) -> io::Result<&'static str> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut stat = MaybeUninit::<libc::statfs>::zeroed();
    // SAFETY: the path is NUL-terminated, the target live.
    check(unsafe { libc::statfs(path.as_ptr(), stat.as_mut_ptr()) })?;
    // SAFETY: zeroed plain data that the call has filled.
    let kind = unsafe { stat.assume_init() }.f_type;
    Ok(match kind as u64 & 0xffff_ffff {
        0xef53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x0102_1994 => "tmpfs",
        0x794c_7630 => "overlay",
        0x2fc1_2fc1 => "zfs",
        0xf2f5_2010 => "f2fs",
        0x6969 => "nfs",
        0x6573_5546 => "fuse",
        _ => "unknown",
    })
}

/// Space on the volume that holds a path, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeSpace {
    pub total: u64,
    /// What a process without privileges may still take.
    pub usable: u64,
}

pub fn volume_space(path: &std::path::Path) -> io::Result<VolumeSpace> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut stat = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the path is NUL-terminated, the target live.
    check(unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) })?;
    // SAFETY: zeroed plain data that the call has filled.
    let stat = unsafe { stat.assume_init() };
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Ok(VolumeSpace { total: bytes(stat.f_blocks), usable: bytes(stat.f_bavail) })
}

/// `(sysname release, machine)` of the running kernel.
pub fn kernel_release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_string()
}

/// Takes the folder's lock file, or says who holds it: the pid in the file.
pub fn lock_file(path: &std::path::Path) -> io::Result<Result<std::fs::File, String>> {
    use std::io::{Read, Seek, Write};
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    // SAFETY: no pointers.
    let locked = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
    match check(locked) {
        Ok(_) => {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())?;
            Ok(Ok(file))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            Ok(Err(holder.trim().to_string()))
        }
        Err(error) => Err(error),
    }
}
