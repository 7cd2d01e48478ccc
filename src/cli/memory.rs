//! How the allocator treats large blocks.

/// For a job that streams: glibc raises the size from which it takes blocks from the system, and gives them back, to that of
/// the largest block it ever freed; the buffers of data files then stay behind as holes, and memory grows with the lines. A
/// fixed size ends that. Not for training, whose large blocks come and go thousands of times.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn give_back_large_blocks() {
    const BYTES: i32 = 4 << 20;
    // SAFETY: a setting of the allocator, which takes its own lock.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, BYTES) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn give_back_large_blocks() {}
