//! What this process used, where the system says so (Linux); elsewhere nothing is known.

/// CPU-seconds of all threads together since the process began, to a hundredth.
pub fn cpu_secs() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name, which may hold spaces: fields 14 and 15 of proc(5), in hundredths of a second.
    let times = stat.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
    let ticks: u64 = times.map(|t| t.parse::<u64>()).sum::<Result<_, _>>().ok()?;
    Some(ticks as f64 / 100.0)
}

/// The most memory that it held at once since it began, or since [`forget_peak`].
pub fn peak_memory_bytes() -> Option<u64> {
    status_bytes("VmHWM:")
}

/// The memory that it holds now.
pub fn memory_bytes() -> Option<u64> {
    status_bytes("VmRSS:")
}

/// A line of proc(5), status, which is in KiB.
fn status_bytes(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

/// From now on the peak is that of what comes; where the system cannot do this, nothing happens.
pub fn forget_peak() {
    // proc(5), clear_refs: 5 sets the peak to what is held now.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Other tests of the process may take memory at the same time, so the block is large.
    #[test]
    fn a_block_that_was_held_shows_in_the_peak_until_that_is_forgotten() {
        const BLOCK: u64 = 1 << 28;
        let block = vec![1u8; BLOCK as usize];
        assert!(block.iter().map(|b| u64::from(*b)).sum::<u64>() == BLOCK);
        let (peak, held) = (peak_memory_bytes().unwrap(), memory_bytes().unwrap());
        assert!(peak > BLOCK && held > BLOCK && held <= peak, "{peak} {held}");
        drop(block);
        forget_peak();
        assert!(peak_memory_bytes().unwrap() < peak);
        assert!(cpu_secs().unwrap() > 0.0);
    }
}
