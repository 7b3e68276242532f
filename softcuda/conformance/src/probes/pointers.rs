//! What the driver knows about an address.

use std::ffi::c_void;

use crate::code::Code;
use crate::driver::Handle;
use crate::fixture::{Fixture, NOWHERE, address, host, page};
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

/// `CU_POINTER_ATTRIBUTE_*`
const CONTEXT: u32 = 1;
const MEMORY_TYPE: u32 = 2;
const DEVICE_POINTER: u32 = 3;
const HOST_POINTER: u32 = 4;
const BUFFER_ID: u32 = 7;
const IS_MANAGED: u32 = 8;
const DEVICE_ORDINAL: u32 = 9;
const RANGE_START: u32 = 11;
const RANGE_SIZE: u32 = 12;
const MAPPED: u32 = 13;
const ACCESS_FLAGS: u32 = 16;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("address: of device memory", |f| {
        let memory = f.memory(64, 0);
        about(f, memory.address, memory.address)
    }),
    Probe::current("address: within device memory", |f| {
        let memory = f.memory(64, 0);
        about(f, memory.address + 4, memory.address)
    }),
    Probe::current("address: of memory allocated in stream order", |f| {
        let (stream, mut memory) = (f.stream(), 0);
        f.driver.cuMemAllocAsync(Some(&mut memory), 256, *stream);
        f.driver.cuStreamSynchronize(*stream);
        let outcome = about(f, memory, memory);
        f.driver.cuMemFreeAsync(memory, *stream);
        outcome
    }),
    Probe::current("address: of pinned memory", |f| {
        let memory = address(&f.pinned(64)[0]);
        about(f, memory, memory)
    }),
    Probe::current("address: within pinned memory", |f| {
        let words = f.pinned(64);
        about(f, address(&words[1]), address(&words[0]))
    }),
    Probe::current("address: of registered memory", |f| {
        let page = page();
        f.driver.cuMemHostRegister_v2(host(&page[0]), 256, 0);
        let outcome = about(f, address(&page[0]), address(&page[0]));
        f.driver.cuMemHostUnregister(host(&page[0]));
        outcome
    }),
    Probe::current("address: of managed memory", |f| {
        let mut memory = 0;
        f.driver.cuMemAllocManaged(Some(&mut memory), 256, 1);
        let outcome = about(f, memory, memory);
        f.driver.cuMemFree_v2(memory);
        outcome
    }),
    Probe::current("address: of memory of a second context", |f| {
        let (context, mut memory) = (f.second_context(), 0);
        f.within(context, || f.driver.cuMemAlloc_v2(Some(&mut memory), 256));
        let outcome = about(f, memory, memory);
        f.driver.cuCtxDestroy_v2(context);
        outcome
    }),
    Probe::current("address: of pageable memory", |f| about(f, address(&page()[0]), 0)),
    Probe::current("address: nowhere", |f| about(f, NOWHERE, 0)),
    Probe::current("address: null", |f| about(f, 0, 0)),
    Probe::current("address: of freed memory", |f| {
        let memory = f.memory(1 << 20, 0).into_address();
        f.driver.cuMemFree_v2(memory);
        about(f, memory, memory)
    }),
    Probe::current("address: attributes 0, 999, into nothing", |f| {
        let (memory, mut value) = (f.memory(1, 0), 0_u64);
        let get = |attribute, value| f.driver.cuPointerGetAttribute(value, attribute, memory.address);
        let value: *mut c_void = (&raw mut value).cast();
        [get(0, value), get(999, value), get(MEMORY_TYPE, std::ptr::null_mut())].into()
    }),
    Probe::current("address, attributes 1 to 21: of device memory", |f| codes(f, f.memory(64, 0).address)),
    Probe::current("address, attributes 1 to 21: of pinned memory", |f| codes(f, address(&f.pinned(64)[0]))),
    Probe::current("address, attributes 1 to 21: of memory in stream order", |f| {
        let (stream, mut memory) = (f.stream(), 0);
        f.driver.cuMemAllocAsync(Some(&mut memory), 256, *stream);
        f.driver.cuStreamSynchronize(*stream);
        let outcome = codes(f, memory);
        f.driver.cuMemFreeAsync(memory, *stream);
        outcome
    }),
    Probe::current("address, attributes 1 to 21: of registered memory", |f| {
        let page = page();
        f.driver.cuMemHostRegister_v2(host(&page[0]), 256, 0);
        let outcome = codes(f, address(&page[0]));
        f.driver.cuMemHostUnregister(host(&page[0]));
        outcome
    }),
    Probe::current("address, attributes 1 to 21: of managed memory", |f| {
        let mut memory = 0;
        f.driver.cuMemAllocManaged(Some(&mut memory), 256, 1);
        let outcome = codes(f, memory);
        f.driver.cuMemFree_v2(memory);
        outcome
    }),
    Probe::current("address, attributes 1 to 21: of pageable memory", |f| codes(f, address(&page()[0]))),
    Probe::current("address, bytes written: managed, mapped, access, type", |f| {
        let memory = f.memory(64, 0);
        let written = [IS_MANAGED, MAPPED, ACCESS_FLAGS, MEMORY_TYPE].map(|number| {
            let mut bytes = [0xa5_u8; 32];
            let code = f.driver.cuPointerGetAttribute(bytes.as_mut_ptr().cast(), number, memory.address);
            let count = bytes.iter().filter(|&&byte| byte != 0xa5).count();
            if code.is_success() { count.to_string() } else { f.driver.code_name(code) }
        });
        written.join(", ").into()
    }),
    Probe::current("address, several attributes: of device memory", |f| {
        let memory = f.memory(64, 0);
        several(f, memory.address, 4)
    }),
    Probe::current("address, several attributes: of pageable memory, nowhere", |f| {
        several(f, address(&page()[0]), 4).and(several(f, NOWHERE, 4))
    }),
    Probe::current("address, several attributes: none, null", |f| {
        let memory = f.memory(64, 0);
        let null = f.driver.cuPointerGetAttributes(1, std::ptr::null(), std::ptr::null(), memory.address);
        several(f, memory.address, 0).and(null)
    }),
    Probe::current("address: ids of two allocations", |f| {
        let (first, second) = (f.memory(64, 0), f.memory(64, 0));
        let id = |address| attribute(f, BUFFER_ID, address).1;
        let same = verdict(id(first.address) == id(first.address + 4), "the same within one");
        same.and(verdict(id(first.address) == id(second.address), "the same of both"))
    }),
    Probe::current("address range: of device memory, within it", |f| {
        let memory = f.memory(64, 0);
        range(f, memory.address, memory.address).and(range(f, memory.address + 4, memory.address))
    }),
    Probe::current("address range: of pinned memory", |f| {
        let words = f.pinned(64);
        range(f, address(&words[1]), address(&words[0]))
    }),
    Probe::current("address range: of managed memory", |f| {
        let mut memory = 0;
        f.driver.cuMemAllocManaged(Some(&mut memory), 256, 1);
        let outcome = range(f, memory, memory);
        f.driver.cuMemFree_v2(memory);
        outcome
    }),
    Probe::current("address range: nowhere, null, of pageable memory", |f| {
        range(f, NOWHERE, 0).and(range(f, 0, 0)).and(range(f, address(&page()[0]), 0))
    }),
    Probe::current("address range: into nothing", |f| {
        let memory = f.memory(1, 0);
        [f.driver.cuMemGetAddressRange_v2(None, None, memory.address), f.driver.cuMemGetAddressRange_v2(None, Some(&mut 0), memory.address)]
            .into()
    }),
    Probe::bare("no context: cuPointerGetAttribute", |f| {
        let memory = f.memory(1, 0);
        [MEMORY_TYPE, CONTEXT].map(|number| attribute(f, number, memory.address).0).into()
    }),
    Probe::bare("no context: cuPointerGetAttribute of pinned memory", |f| attribute(f, MEMORY_TYPE, address(&f.pinned(1)[0])).0.into()),
    Probe::bare("no context: cuPointerGetAttribute nowhere", |f| attribute(f, MEMORY_TYPE, NOWHERE).0.into()),
    Probe::bare("no context: cuMemGetAddressRange", |f| {
        f.driver.cuMemGetAddressRange_v2(Some(&mut 0), Some(&mut 0), f.memory(1, 0).address).into()
    }),
];

/// What each attribute of an address answers; the number of those that are answered.
fn codes(f: &Fixture, address: u64) -> Outcome {
    let answers = (1..=21).map(|number| {
        // As much as any attribute takes.
        let mut value = [0_u64; 8];
        (number, f.driver.cuPointerGetAttribute(value.as_mut_ptr().cast(), number, address))
    });
    let (answered, refused): (Vec<_>, Vec<_>) = answers.partition(|(_, code)| code.is_success());
    let refused = refused.into_iter().map(|(number, code)| format!("{number} {}", f.driver.code_name(code)));
    let answered: Vec<u32> = answered.into_iter().map(|(number, _)| number).collect();
    Outcome::from(format!("{answered:?}")).and(refused.collect::<Vec<_>>().join(", "))
}

/// The first `count` of type, managed, ordinal and size by one call.
fn several(f: &Fixture, address: u64, count: u32) -> Outcome {
    let (attributes, mut values) = ([MEMORY_TYPE, IS_MANAGED, DEVICE_ORDINAL, RANGE_SIZE], [0_u64; 4]);
    let places = values.each_mut().map(|value| (&raw mut *value).cast::<c_void>());
    let code = f.driver.cuPointerGetAttributes(count, attributes.as_ptr(), places.as_ptr(), address);
    let [kind, managed, ordinal, bytes] = values;
    // The ordinal is an `int`.
    let ordinal = u32::try_from(ordinal & u64::from(u32::MAX)).unwrap_or_default().cast_signed();
    Outcome::from(code).and(format!("{kind}, {managed}, {ordinal}, {bytes}"))
}

/// One attribute of an address, in the low bytes of a word.
fn attribute(f: &Fixture, number: u32, address: u64) -> (Code, u64) {
    let mut value = 0_u64;
    let code = f.driver.cuPointerGetAttribute((&raw mut value).cast(), number, address);
    (code, value)
}

/// All that can be told of an address in memory that begins at `start`.
fn about(f: &Fixture, address: u64, start: u64) -> Outcome {
    let show = |name: &str, number: u32, tell: &dyn Fn(u64) -> String| {
        let (code, value) = attribute(f, number, address);
        let told = if code.is_success() { tell(value) } else { f.driver.code_name(code) };
        Outcome::from(format!("{name} {told}"))
    };
    let number = |value: u64| value.to_string();
    // The ordinal is an `int`, with -2 for the host.
    let ordinal = |value: u64| u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default().cast_signed().to_string();
    let flag = |value: u64| (value & 0xff).to_string();
    let owner = |value: u64| {
        match Handle(usize::try_from(value).unwrap_or_default()) {
            Handle::NULL => "none",
            context if context == f.primary => "primary",
            _ => "another",
        }
        .to_owned()
    };
    let place = |value: u64| {
        match value {
            0 => "null",
            value if value == address => "it",
            value if value == start => "the start",
            _ => "elsewhere",
        }
        .to_owned()
    };
    show("context", CONTEXT, &owner)
        .and(show("type", MEMORY_TYPE, &number))
        .and(show("device", DEVICE_POINTER, &place))
        .and(show("host", HOST_POINTER, &place))
        .and(show("managed", IS_MANAGED, &flag))
        .and(show("ordinal", DEVICE_ORDINAL, &ordinal))
        .and(show("range", RANGE_START, &place))
        .and(show("bytes", RANGE_SIZE, &number))
        .and(show("mapped", MAPPED, &flag))
}

/// The allocation around an address.
fn range(f: &Fixture, address: u64, start: u64) -> Outcome {
    let (mut base, mut bytes) = (0, 0);
    match f.driver.cuMemGetAddressRange_v2(Some(&mut base), Some(&mut bytes), address) {
        Code::SUCCESS => Outcome::from(Code::SUCCESS).and(verdict(base == start, "its start")).and(bytes.to_string()),
        code => code.into(),
    }
}
