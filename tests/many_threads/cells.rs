//! Pieces of device memory, each with what is to be in it and what the work on it comes after.

use std::ffi::{CString, c_void};
use std::sync::{Mutex, MutexGuard};

use cuda_streams::{AsStream as _, Context, Event, Result, Stream};
use cudarc::driver::{result, sys};

use super::kernel;

/// In a cell, all of one value.
const ELEMENTS: u32 = match () {
    () if cfg!(miri) => 2,
    // On a real device a kernel of several blocks.
    () if cfg!(debug_assertions) => 32,
    () => 515,
};

/// What comes after the work on a cell, to be waited for by the next.
pub(crate) enum Last {
    /// Nothing: the host has waited.
    Done,
    /// The cell's own event, which other threads ask and wait for meanwhile.
    Shared,
    /// An event of this once.
    Event(Event),
    /// All there is on the stream of this number.
    Stream(usize),
}

pub(crate) struct Cell {
    /// Recorded by who has the state.
    pub(crate) event: Event,
    state: Mutex<State>,
}

pub(crate) struct State {
    memory: sys::CUdeviceptr,
    /// What is in the memory when all work is done.
    value: u32,
    pub(crate) last: Last,
}

impl Cell {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread has failed with it")
    }
}

/// The cells, and the kernel that works on them.
pub(crate) struct Cells {
    context: Context,
    kernel: sys::CUfunction,
    pub(crate) all: Vec<Cell>,
}

// SAFETY: the handle of a function may be used from any thread.
unsafe impl Send for Cells {}
// SAFETY: as above.
unsafe impl Sync for Cells {}

impl Cells {
    pub(crate) fn new(context: Context, count: u32) -> Result<Self> {
        kernel::twin().register();
        let image = CString::new(kernel::PTX).expect("no zero inside");
        let name = CString::new(kernel::NAME).expect("no zero inside");
        let cells = context.with_current(|| {
            // SAFETY: a context is current, and the image is PTX text that ends in a zero byte.
            let module = unsafe { result::module::load_data(image.as_ptr().cast()) }.expect("the PTX loads");
            // SAFETY: the module was loaded just now and is never unloaded.
            let kernel = unsafe { result::module::get_function(module, name) }.expect("the PTX has the kernel");
            Self { context, kernel, all: (0..count).map(cell).collect() }
        })?;
        // Copies from pageable memory may go on behind the calls.
        context.synchronize()?;
        Ok(cells)
    }

    /// Enqueues a kernel that changes `to` by what is in `from`. A context is current.
    pub(crate) fn step(&self, stream: &Stream, to: &mut State, from: &State, constant: u32) {
        let (mut elements, mut number, mut source, mut target) = (ELEMENTS, constant, from.memory, to.memory);
        let parameters: &mut [*mut c_void] =
            &mut [(&raw mut elements).cast(), (&raw mut number).cast(), (&raw mut source).cast(), (&raw mut target).cast()];
        let shape = kernel::shape(ELEMENTS);
        let stream = stream.as_stream().as_raw().cast();
        // SAFETY: these are the parameters that the PTX declares, and `elements` elements are behind both pointers.
        unsafe { result::launch_kernel(self.kernel, shape.grid_dim, shape.block_dim, 0, stream, parameters) }
            .expect("the kernel is launched");
        to.value = kernel::step(to.value, from.value, constant);
    }

    /// Checks what is in the cells, when all work is done.
    pub(crate) fn check(&self) -> Result<()> {
        for (number, cell) in self.all.iter().enumerate() {
            let (state, mut values) = (cell.state(), [0; ELEMENTS as usize]);
            // SAFETY: the memory has as many elements, and nothing works on it.
            let copied = self.context.with_current(|| unsafe { result::memcpy_dtoh_sync(&mut values, state.memory) })?;
            copied.expect("the cell is read");
            assert_eq!(values, [state.value; ELEMENTS as usize], "cell {number}");
        }
        Ok(())
    }
}

impl Drop for Cells {
    fn drop(&mut self) {
        for cell in &self.all {
            let Ok(state) = cell.state.lock() else { continue };
            // SAFETY: allocated in `cell`, and nobody uses it any more; the driver waits for work.
            let _ = self.context.with_current(|| unsafe { result::free_sync(state.memory) });
        }
    }
}

/// With this value. A context is current.
fn cell(value: u32) -> Cell {
    let values = [value; ELEMENTS as usize];
    // SAFETY: a context is current.
    let memory = unsafe { result::malloc_sync(size_of_val(&values)) }.expect("device memory");
    // SAFETY: the memory was allocated just now, as large as the values.
    unsafe { result::memcpy_htod_sync(memory, &values) }.expect("the memory is filled");
    Cell { event: Event::new(), state: Mutex::new(State { memory, value, last: Last::Done }) }
}
