//! Which core a thread is measured on.

/// Keeps this thread on a core of its own, the same one for each thread with this index, so that rows differ by their calls
/// and not by where the system has put them. As long as there are enough whole ones, no two share a physical core. Does
/// nothing where threads cannot be kept.
pub(crate) fn pin(index: usize) {
    #[cfg(target_os = "linux")]
    if let Some(core) = linux::cores().get(index) {
        linux::keep_on(*core);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = index;
}

#[cfg(target_os = "linux")]
mod linux {
    use std::cmp::Reverse;
    use std::fs;
    use std::mem::{self, MaybeUninit};

    use libc::{CPU_ISSET, CPU_SET, CPU_SETSIZE, cpu_set_t};

    /// Those that this thread may run on, in the order in which they are used: one of each physical core, then the others;
    /// the last ones first, since the first ones mostly have the interrupts.
    pub(super) fn cores() -> Vec<usize> {
        let mut set = MaybeUninit::<cpu_set_t>::zeroed();
        // SAFETY: the set is a live local of this size; 0 is this thread.
        let answer = unsafe { libc::sched_getaffinity(0, mem::size_of::<cpu_set_t>(), set.as_mut_ptr()) };
        if answer != 0 {
            return Vec::new();
        }
        // SAFETY: a set of bits, all zero before the call.
        let set = unsafe { set.assume_init() };
        let most = usize::try_from(CPU_SETSIZE).expect("a number of cores");
        // SAFETY: within the size of the set.
        let mut cores: Vec<usize> = (0..most).filter(|core| unsafe { CPU_ISSET(*core, &set) }).collect();
        cores.sort_by_cached_key(|core| (!is_first_of_its_physical_core(*core), Reverse(*core)));
        cores
    }

    fn is_first_of_its_physical_core(core: usize) -> bool {
        let siblings = fs::read_to_string(format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"));
        // `0,8` or `0-1`
        siblings.is_ok_and(|list| list.split([',', '-', '\n']).next() == Some(&core.to_string()))
    }

    pub(super) fn keep_on(core: usize) {
        // SAFETY: no core is in a set of zeros.
        let mut set = unsafe { MaybeUninit::<cpu_set_t>::zeroed().assume_init() };
        // SAFETY: within the size of the set, as `cores` says.
        unsafe { CPU_SET(core, &mut set) };
        // SAFETY: the set is a live local of this size; 0 is this thread.
        let answer = unsafe { libc::sched_setaffinity(0, mem::size_of::<cpu_set_t>(), &raw const set) };
        assert_eq!(answer, 0, "core {core} is one that this thread may use");
    }
}
