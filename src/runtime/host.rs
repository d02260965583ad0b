//! What a core asks of its host once, at the start, and not through the ring.

use super::core::Core;
use super::syscall;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// A lock file that this process holds; let go when dropped.
#[derive(Debug)]
pub struct Lock {
    /// None in the simulated world, where every process has a host of its own.
    _file: Option<std::fs::File>,
}

impl Core {
    /// Takes a lock file, or says who holds it: the pid in the file.
    pub fn lock(&self, path: &Path) -> io::Result<Result<Lock, String>> {
        if self.is_simulated() {
            return Ok(Ok(Lock { _file: None }));
        }
        Ok(syscall::lock_file(path)?.map(|file| Lock { _file: Some(file) }))
    }

    /// Name of the file system that holds a path.
    pub fn file_system(&self, path: &Path) -> &'static str {
        if self.is_simulated() {
            return "simulated";
        }
        syscall::file_system_name(path).unwrap_or("unknown")
    }

    /// The mode of a folder that others than its owner may use.
    pub fn mode_for_others(&self, path: &Path) -> Option<u32> {
        if self.is_simulated() {
            return None;
        }
        let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then_some(mode)
    }

    fn is_simulated(&self) -> bool {
        self.driver(|driver| driver.simulated_clock().is_some())
    }
}
