//! What the kernel counts for a process: CPU time and memory, from /proc.

use super::error::LoadError;
use std::path::PathBuf;
use std::time::Duration;

/// Ticks of /proc a second; the kernel's promise to programs, whatever it uses itself.
const TICKS_PER_SECOND: u64 = 100;

/// CPU time that a process has used, in user mode and in the kernel, all threads.
pub fn cpu_time(pid: u32) -> Result<Duration, LoadError> {
    let path = PathBuf::from(format!("/proc/{pid}/stat"));
    let text = read(&path)?;
    // The name, in parentheses, may hold anything; fields 14 and 15 are user and system time.
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok());
    match (ticks(), ticks()) {
        (Some(user), Some(system)) => {
            let millis = user.saturating_add(system).saturating_mul(1000 / TICKS_PER_SECOND);
            Ok(Duration::from_millis(millis))
        }
        _ => Err(LoadError::Proc { path }),
    }
}

/// Bytes of memory that a process has resident.
pub fn resident_bytes(pid: u32) -> Result<u64, LoadError> {
    let path = PathBuf::from(format!("/proc/{pid}/status"));
    let text = read(&path)?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.map(|kib| kib.saturating_mul(1024)).ok_or(LoadError::Proc { path })
}

fn read(path: &PathBuf) -> Result<String, LoadError> {
    std::fs::read_to_string(path).map_err(|source| LoadError::File { path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_of_this_process_grows_and_that_of_none_is_an_error() {
        let before = cpu_time(std::process::id()).unwrap();
        let mut sum = 0u64;
        while cpu_time(std::process::id()).unwrap() == before {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(matches!(cpu_time(u32::MAX), Err(LoadError::File { .. })));
    }

    #[test]
    fn what_is_touched_is_resident_and_memory_of_no_process_is_an_error() {
        const BYTES: usize = 64 << 20;
        let touched = std::hint::black_box(vec![1_u8; BYTES]);
        assert!(resident_bytes(std::process::id()).unwrap() >= touched.len() as u64);
        assert!(matches!(resident_bytes(u32::MAX), Err(LoadError::File { .. })));
    }
}
