//! Pinning, and the CPU time of threads: also of one that is another's.
#![allow(unsafe_code)]

use std::io;
use std::time::Duration;

/// The CPU clock of one thread; readable from every thread of the process while that one lives.
#[derive(Clone, Copy, Debug)]
pub struct ThreadClock(libc::clockid_t);

impl ThreadClock {
    /// The calling thread's.
    pub fn here() -> io::Result<Self> {
        let mut id = 0;
        // SAFETY: no arguments; it cannot fail.
        let me = unsafe { libc::pthread_self() };
        // SAFETY: the thread is this one, the target a live local.
        let error = unsafe { libc::pthread_getcpuclockid(me, &raw mut id) };
        if error == 0 { Ok(Self(id)) } else { Err(io::Error::from_raw_os_error(error)) }
    }
}

/// CPU time of the clock's thread so far.
pub fn read(clock: ThreadClock) -> io::Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the target is a live local.
    check(unsafe { libc::clock_gettime(clock.0, &raw mut time) })?;
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Pins the calling thread.
pub fn pin(id: usize) -> io::Result<()> {
    if core_affinity::set_for_current(core_affinity::CoreId { id }) {
        Ok(())
    } else {
        Err(io::Error::other(format!("cannot pin a thread to CPU {id}")))
    }
}

/// The server's CPU and the client's: the first two that we may use.
pub fn two() -> io::Result<(usize, usize)> {
    let cpus = core_affinity::get_core_ids().unwrap_or_default();
    match cpus.as_slice() {
        [] => Err(io::Error::other("no CPU is allowed to this process")),
        [only] => Ok((only.id, only.id)),
        [first, second, ..] => Ok((first.id, second.id)),
    }
}

/// The result of a system call.
pub fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
