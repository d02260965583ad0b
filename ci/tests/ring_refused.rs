//! Where io_uring is refused the program says by what, and the line that fixes it: the real program
//! under a seccomp filter that answers `io_uring_setup` with an error of our choice.
#![allow(unsafe_code, reason = "a process puts itself under a filter before it becomes the broker")]

mod process;

use process::{Process, eventually, free_address, highwater};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// An instruction of classic BPF.
const fn step(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// Lets everything pass but `io_uring_setup`, which fails with `error`.
fn filter(error: i32) -> [libc::sock_filter; 4] {
    // The number of the system call is the first word that the filter sees.
    [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_io_uring_setup as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | error as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

fn done(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts the calling process under the filter, and bounds the memory that it may lock.
fn confine(filter: &mut [libc::sock_filter; 4], memlock_bytes: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: memlock_bytes, rlim_max: memlock_bytes };
    // SAFETY: the limit is live for the call.
    done(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) })?;
    // SAFETY: no pointers.
    done(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program and its instructions are live for the call, which copies them.
    done(unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
    })
}

/// Starts the program where `io_uring_setup` fails so: it ends, and says all these words.
fn check(error: i32, memlock_bytes: u64, words: &[&str]) {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let data = folder.path().join("data");
    let mut command: Command = highwater();
    command.args(["serve", "--listen", &address.to_string(), "--data"]).arg(&data);
    let mut filter = filter(error);
    // SAFETY: between fork and exec it makes three system calls and touches no memory but its own.
    unsafe { command.pre_exec(move || confine(&mut filter, memlock_bytes)) };
    let mut broker = Process::launch(folder.path(), address, command);
    let status = broker.ended();
    let log = broker.log();
    assert!(!status.success() && status.code().is_some(), "{status}: {log}");
    for word in words {
        assert!(log.contains(word), "it says '{word}':\n{log}");
    }
    assert!(!log.contains("panicked") && !log.contains("ready "), "{log}");
}

#[test]
fn a_seccomp_filter_that_refuses_io_uring_is_named_with_the_way_out() {
    for error in [libc::EPERM, libc::ENOSYS] {
        let fix = "fix: docker run --security-opt seccomp=unconfined";
        check(error, 8 << 20, &["seccomp filter", "refuses io_uring", fix]);
    }
}

/// Takes from the calling process, and the program that it becomes, all memory that may be locked,
/// and the right to lock more.
fn lock_nothing() -> io::Result<()> {
    const CAP_IPC_LOCK: libc::c_ulong = 14;
    let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is live for the call.
    done(unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) })?;
    // SAFETY: no pointers.
    if unsafe { libc::geteuid() } == 0 {
        // SAFETY: no pointers.
        done(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0) })?;
    }
    Ok(())
}

/// The kernel's own refusal. Not every kernel charges a ring to this limit (one that does not lets the
/// broker start, and there is nothing to show), so the words are shown by an error of our choice, too.
#[test]
fn the_kernels_own_limit_of_locked_memory_is_named() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let mut command: Command = highwater();
    command.args(["serve", "--listen", &address.to_string(), "--data"]);
    command.arg(folder.path().join("data"));
    // SAFETY: between fork and exec it makes three system calls and touches no memory but its own.
    unsafe { command.pre_exec(lock_nothing) };
    let mut broker = Process::launch(folder.path(), address, command);
    let has_started = eventually("it starts, or says why not", || {
        let is_ready = broker.log().lines().any(|line| line.starts_with("ready "));
        (is_ready || !broker.runs()).then_some(is_ready)
    });
    if has_started {
        println!("this kernel does not charge rings to RLIMIT_MEMLOCK");
        return;
    }
    assert!(!broker.ended().success());
    let log = broker.log();
    for words in ["limit 0 bytes", "fix: ulimit -l unlimited", "LimitMEMLOCK=infinity"] {
        assert!(log.contains(words), "it says '{words}':\n{log}");
    }
}

#[test]
fn a_limit_of_locked_memory_is_named_with_its_size_and_the_way_out() {
    let words = ["limit 65536 bytes", "fix: ulimit -l unlimited", "LimitMEMLOCK=infinity"];
    check(libc::ENOMEM, 65536, &words);
}

#[test]
fn a_refusal_of_another_kind_is_told_as_it_came() {
    check(libc::EMFILE, 8 << 20, &["io_uring cannot be set up", "Too many open files"]);
}
