//! The functions that this driver implements, as C sees them; each says what answers it. Those of
//! memory are in `memory.rs`, those of green contexts in `green.rs`, those for other processes in `ipc.rs`, those of
//! captures and graphs in `graph.rs`; the table has all.

use std::ffi::{CStr, c_char, c_void};

use super::abi::{Argument, Callback, HostFunction, InOut, Out, Text};
use super::calls::{self, Function};
use super::codes::Code;
use super::entry::{self, driver_api};
use super::handle::{Handle, RawHandle};
use super::launch::Config;
use super::value_operation::Kind::{Wait, Write};
use super::value_operation::Operation;
use super::word::Width::{Bits32, Bits64};
use super::{context, device, errors, event, function, host_function, launch, limit, mem_op, module, primary, stream, thread, version};

mod graph;
mod green;
mod ipc;
mod memory;

pub use self::graph::*;
pub use self::green::*;
pub use self::ipc::*;
pub use self::memory::*;

/// The address of a driver function.
#[derive(Clone, Copy)]
pub(super) struct Address(pub(super) *const c_void);

// SAFETY: a function has one address on every thread, and nothing is read through it.
unsafe impl Send for Address {}
// SAFETY: as above.
unsafe impl Sync for Address {}

/// A row of the table: a function's name and address.
type Export = (&'static str, Address);

/// Every function of this driver with its address, by index.
pub(super) const EXPORTS: &[Export] = &join::<{ BEFORE_GRAPHS.len() + graph::OF_GRAPHS.len() }>(BEFORE_GRAPHS, graph::OF_GRAPHS);

const BEFORE_GRAPHS: &[Export] = &join::<{ BEFORE_IPC.len() + ipc::OF_IPC.len() }>(BEFORE_IPC, ipc::OF_IPC);

const BEFORE_IPC: &[Export] = &join::<{ FIRST.len() + green::OF_GREEN_CONTEXTS.len() }>(FIRST, green::OF_GREEN_CONTEXTS);

const FIRST: &[Export] = &join::<{ OTHERS.len() + memory::OF_MEMORY.len() }>(OTHERS, memory::OF_MEMORY);

const _: () = assert!(EXPORTS.len() <= calls::MAX_FUNCTIONS);

/// One table of two.
const fn join<const N: usize>(first: &[Export], second: &[Export]) -> [Export; N] {
    assert!(first.len() + second.len() == N);
    let mut table = [first[0]; N];
    let mut at = 0;
    while at < N {
        table[at] = if at < first.len() { first[at] } else { second[at - first.len()] };
        at += 1;
    }
    table
}

driver_api! {
    OTHERS from 0;

    /// Initialises the driver.
    [before_init] cuInit(flags: u32) => context::initialize(flags);

    /// The CUDA version that this driver implements.
    [before_init] cuDriverGetVersion(version: Out<i32>) => { version::answer(version); Ok(()) };

    /// The name of a result code.
    [before_init] cuGetErrorName(code: u32, name: Out<*const c_char>) => errors::name(code, name);

    /// The description of a result code.
    [before_init] cuGetErrorString(code: u32, text: Out<*const c_char>) => errors::text(code, text);

    // Devices.

    /// A device by its ordinal.
    cuDeviceGet(device: Out<i32>, ordinal: i32) => device::get(device, ordinal);

    /// How many devices there are.
    cuDeviceGetCount(count: Out<i32>) => { device::count(count); Ok(()) };

    /// A device's name.
    cuDeviceGetName(name: *mut c_char, length: i32, device: i32) => {
        // SAFETY: the caller passed an array of this length.
        device::name(unsafe { Text::new(name, length) }?, device)
    };

    /// A device's UUID.
    cuDeviceGetUuid(uuid: Out<[u8; 16]>, device: i32) => device::uuid(uuid, device);

    /// A device's UUID.
    cuDeviceGetUuid_v2(uuid: Out<[u8; 16]>, device: i32) => device::uuid(uuid, device);

    /// A device's place on the PCI bus.
    cuDeviceGetPCIBusId(id: *mut c_char, length: i32, device: i32) => {
        // SAFETY: the caller passed an array of this length.
        device::pci_bus_id(unsafe { Text::new(id, length) }?, device)
    };

    /// The device at a place on the PCI bus.
    cuDeviceGetByPCIBusId(device: Out<i32>, id: &CStr)
        => device::by_pci_bus_id(device, &id.to_string_lossy());

    /// A property of a device.
    cuDeviceGetAttribute(value: Out<i32>, attribute: u32, device: i32)
        => device::attribute(value, attribute, device);

    /// A device's memory.
    cuDeviceTotalMem_v2(bytes: Out<usize>, device: i32) => device::total_memory(bytes, device);

    /// A device's compute capability.
    cuDeviceComputeCapability(major: Out<i32>, minor: Out<i32>, device: i32)
        => device::compute_capability(major, minor, device);

    /// Whether kernels of a device can be let reach the memory of another.
    cuDeviceCanAccessPeer(can: Out<i32>, device: i32, peer: i32)
        => device::can_access_peer(can, device, peer);

    // Contexts.

    /// Retains the primary context of a device.
    cuDevicePrimaryCtxRetain(context: Option<Out<RawHandle>>, device: i32)
        => primary::retain(context, device);

    /// Releases the primary context of a device, and ends it with the last release.
    cuDevicePrimaryCtxRelease_v2(device: i32) => primary::release(device);

    /// Whether the primary context of a device is active, and its flags.
    cuDevicePrimaryCtxGetState(device: i32, flags: Out<u32>, active: Out<i32>)
        => primary::get_state(device, flags, active);

    /// Ends the primary context of a device.
    cuDevicePrimaryCtxReset_v2(device: i32) => primary::reset(device);

    /// Sets the flags of the primary context of a device.
    cuDevicePrimaryCtxSetFlags_v2(device: i32, flags: u32) => primary::set_flags(device, flags);

    /// Creates a context and makes it current.
    cuCtxCreate_v2(context: Out<RawHandle>, flags: u32, device: i32)
        => context::create(context, flags, device);

    /// Creates a context and makes it current; `params` must be null.
    cuCtxCreate_v4(context: Out<RawHandle>, params: *const c_void, flags: u32, device: i32) => {
        if params.is_null() { context::create(context, flags, device) } else { Err(entry::unsupported()) }
    };

    /// Destroys a created context.
    cuCtxDestroy_v2(context: Handle) => context::destroy(context);

    /// The current context.
    cuCtxGetCurrent(context: Out<RawHandle>) => context::get_current(context);

    /// Makes a context current.
    cuCtxSetCurrent(context: Handle) => context::set_current(context);

    /// Makes a context current, on top of the one that is.
    cuCtxPushCurrent_v2(context: Handle) => context::push(context);

    /// Makes current what was before.
    cuCtxPopCurrent_v2(context: Option<Out<RawHandle>>) => context::pop(context);

    /// The device of the current context.
    cuCtxGetDevice(device: Out<i32>) => context::device(device);

    /// A context's number, never reused.
    cuCtxGetId(context: Handle, id: Out<u64>) => context::id(context, id);

    /// The flags of the current context.
    cuCtxGetFlags(flags: Out<u32>) => context::flags(flags);

    /// A limit of the current context for device code.
    cuCtxGetLimit(value: Out<usize>, limit: u32) => limit::get(value, limit);

    /// Sets it.
    cuCtxSetLimit(limit: u32, value: usize) => limit::set(limit, value);

    /// The version of the interface that a context was made by.
    cuCtxGetApiVersion(context: Handle, version: Out<u32>)
        => context::api_version(context, version);

    /// Waits for all work of the current context.
    cuCtxSynchronize() => context::synchronize();

    /// Least and greatest priority of streams.
    cuCtxGetStreamPriorityRange(least: Option<Out<i32>>, greatest: Option<Out<i32>>)
        => context::priority_range(least, greatest);

    /// Lets kernels of the current context reach the memory of another.
    cuCtxEnablePeerAccess(peer: Handle, flags: u32) => context::enable_peer_access(peer, flags);

    /// Takes that back.
    cuCtxDisablePeerAccess(peer: Handle) => context::disable_peer_access(peer);

    // Streams.

    /// Creates a stream.
    cuStreamCreate(stream: Out<RawHandle>, flags: u32) => stream::create(stream, flags, 0);

    /// Creates a stream with a priority.
    cuStreamCreateWithPriority(stream: Out<RawHandle>, flags: u32, priority: i32)
        => stream::create(stream, flags, priority);

    /// Destroys a stream; its work is still done.
    cuStreamDestroy_v2(stream: Handle) => stream::destroy(stream);

    /// Whether a stream's work is done.
    cuStreamQuery(stream: Handle) => stream::query(stream);

    /// Waits for a stream's work.
    cuStreamSynchronize(stream: Handle) => stream::synchronize(stream);

    /// Lets a stream wait for the last record of an event.
    cuStreamWaitEvent(stream: Handle, event: Handle, flags: u32)
        => stream::wait_event(stream, event, flags);

    /// A stream's number, never reused.
    cuStreamGetId(stream: Handle, id: Out<u64>) => stream::id(stream, id);

    /// A stream's context.
    cuStreamGetCtx(stream: Handle, context: Out<RawHandle>) => stream::context(stream, context);

    /// A stream's device.
    cuStreamGetDevice(stream: Handle, device: Out<i32>) => stream::device(stream, device);

    /// A stream's flags.
    cuStreamGetFlags(stream: Handle, flags: Out<u32>) => stream::flags(stream, flags);

    /// A stream's priority.
    cuStreamGetPriority(stream: Handle, priority: Out<i32>)
        => stream::priority(stream, priority);

    /// Which captures the calling thread's calls may end.
    cuThreadExchangeStreamCaptureMode(mode: InOut<u32>) => {
        let before = thread::exchange_capture_mode(mode.get());
        mode.set(before);
        Ok(())
    };

    /// Lets a stream wait for a word of 32 bits.
    cuStreamWaitValue32_v2(stream: Handle, address: u64, value: u32, flags: u32)
        => mem_op::operate(stream, Operation { kind: Wait, width: Bits32, address, value: value.into(), flags });

    /// Lets a stream wait for a word of 64 bits.
    cuStreamWaitValue64_v2(stream: Handle, address: u64, value: u64, flags: u32)
        => mem_op::operate(stream, Operation { kind: Wait, width: Bits64, address, value, flags });

    /// Writes a word of 32 bits in stream order.
    cuStreamWriteValue32_v2(stream: Handle, address: u64, value: u32, flags: u32)
        => mem_op::operate(stream, Operation { kind: Write, width: Bits32, address, value: value.into(), flags });

    /// Writes a word of 64 bits in stream order.
    cuStreamWriteValue64_v2(stream: Handle, address: u64, value: u64, flags: u32)
        => mem_op::operate(stream, Operation { kind: Write, width: Bits64, address, value, flags });

    /// Waits for words and writes words, in order.
    cuStreamBatchMemOp_v2(stream: Handle, count: u32, params: *mut c_void, flags: u32) => {
        // SAFETY: the caller passed an array of so many operations.
        unsafe { mem_op::batch(stream, count, params.cast_const().cast(), flags) }
    };

    /// Calls a function in stream order.
    cuLaunchHostFunc(stream: Handle, function: Option<HostFunction>, user: *mut c_void)
        => host_function::launch(stream, function, user);

    /// Calls a function in stream order, and tells it the stream.
    cuStreamAddCallback(stream: Handle, function: Option<Callback>, user: *mut c_void, flags: u32)
        => host_function::add_callback(stream, function, user, flags);

    // Events.

    /// Creates an event.
    cuEventCreate(event: Option<Out<RawHandle>>, flags: u32) => event::create(event, flags);

    /// Destroys an event; what waits for it still does.
    cuEventDestroy_v2(event: Handle) => event::destroy(event);

    /// Records a stream's work in an event.
    cuEventRecord(event: Handle, stream: Handle) => event::record(event, stream, 0);

    /// Records a stream's work in an event.
    cuEventRecordWithFlags(event: Handle, stream: Handle, flags: u32)
        => event::record(event, stream, flags);

    /// Whether the work in an event is done.
    [before_init] cuEventQuery(event: Handle) => event::query(event);

    /// Waits for the work in an event.
    cuEventSynchronize(event: Handle) => event::synchronize(event);

    /// The time from one record to another in milliseconds.
    cuEventElapsedTime(milliseconds: Option<Out<f32>>, start: Handle, end: Handle)
        => event::elapsed(milliseconds, start, end);

    /// The time from one record to another in milliseconds.
    cuEventElapsedTime_v2(milliseconds: Option<Out<f32>>, start: Handle, end: Handle)
        => event::elapsed(milliseconds, start, end);

    // Kernels.

    /// Loads a module of PTX text.
    cuModuleLoadData(module: Out<RawHandle>, image: &CStr) => module::load(module, image);

    /// A kernel of a module.
    cuModuleGetFunction(function: Out<RawHandle>, module: Handle, name: &CStr)
        => module::function(function, module, name);

    /// Unloads a module; launched kernels still run.
    cuModuleUnload(module: Handle) => module::unload(module);

    /// An attribute of a kernel.
    cuFuncGetAttribute(value: Out<i32>, attribute: u32, function: Handle)
        => function::attribute(value, attribute, function);

    /// Launches a kernel.
    cuLaunchKernel(
        function: Handle, grid_x: u32, grid_y: u32, grid_z: u32, block_x: u32, block_y: u32, block_z: u32,
        shared_bytes: u32, stream: Handle, params: *mut *mut c_void, extra: *mut *mut c_void,
    ) => {
        let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
        // SAFETY: the caller passed a pointer for each parameter of the kernel.
        unsafe { launch::launch(Config { function, grid, block, shared_bytes, stream }, params, extra) }
    };
}
