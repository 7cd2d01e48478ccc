//! The command line of `harmonize`; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    give_memory_back();
    harmonize::cli::main()
}

/// glibc raises the size from which it takes blocks from the system, and gives them back, to that of the largest block it
/// ever freed; buffers of data files then stay behind as holes, and memory grows with the lines. A fixed size ends that.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn give_memory_back() {
    const BYTES: i32 = 1 << 20;
    // SAFETY: a setting of the allocator, made before there is a second thread.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, BYTES) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_memory_back() {}
