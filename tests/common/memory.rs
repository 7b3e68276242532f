//! How much memory this process has.

/// What the process has in memory, in bytes; where nobody says, nothing.
pub(crate) fn resident() -> usize {
    const PAGE: usize = 4096;
    if cfg!(miri) || !cfg!(target_os = "linux") {
        return 0;
    }
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux says");
    let pages = text.split(' ').nth(1).expect("the second is what is resident");
    pages.parse::<usize>().expect("a number of pages") * PAGE
}
