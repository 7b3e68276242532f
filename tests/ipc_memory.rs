//! Memory across processes: this executable runs again as the other process.
#![cfg(not(miri))]

mod common;

use std::sync::Arc;

use common::contexts::SecondContext;
use common::hold::Hold;
use common::peer::{Link, Result, play};
use common::shared::{SharedWords, hear_event, say_event};
use common::{device, on_a_fresh_thread, returns_after_release, streams};
use cuda_streams::{Event, EventOptions, IpcMemHandle, IpcMemory, Stream};
use cudarc::driver::{CudaContext, CudaStream, DriverError, result, sys};

/// What cudarc works on.
fn cudarc() -> Result<Arc<CudaStream>> {
    // Ours comes first, so that both load one driver.
    Ok(CudaContext::new(device().ordinal() as usize)?.new_stream()?)
}

/// Data goes both ways through cudarc's view, ordered by an event for each direction.
#[test]
fn data_goes_both_ways_in_the_order_of_events() {
    const LEN: usize = 1000;
    fn numbers(from: u32) -> Vec<u32> {
        (from..).take(LEN).collect()
    }
    fn child(parent: &mut Link) -> Result {
        let stream = cudarc()?;
        let handle = parent.expect_memory();
        // SAFETY: the parent keeps the memory until this process ends, and takes turns with it.
        let memory = unsafe { IpcMemory::open(device(), handle) }?;
        assert!(memory.is_imported() && memory.ipc_handle()? == handle);
        assert_eq!((memory.device(), memory.context(), memory.bytes()), (device(), device().context()?, 2 << 20));
        let mut data = memory.into_cudarc::<u32>(&stream, LEN).map_err(|(_, error)| error)?;
        let (there, back) = (hear_event(parent), Event::interprocess());
        say_event_of(parent, &back)?;
        parent.expect("recorded");
        there.wait(&stream)?;
        let seen = stream.clone_dtod(&data.as_view())?;
        stream.memcpy_htod(&numbers(7000), &mut data.as_view_mut())?;
        back.record(&stream)?;
        parent.tell("recorded");
        assert_eq!(stream.clone_dtoh(&seen)?, numbers(5), "what the parent has written before its event");
        parent.expect_end();
        Ok(())
    }
    fn say_event_of(link: &mut Link, event: &Event<cuda_streams::Interprocess>) -> Result {
        event.bind(device())?;
        say_event(link, event);
        Ok(())
    }
    play("data_goes_both_ways_in_the_order_of_events", &[("child", child)], |cast| {
        let (stream, memory) = (cudarc()?, IpcMemory::new(device(), 4 * LEN)?);
        let mut child = cast.start("child");
        child.say("memory", memory.ipc_handle()?);
        let mut data = memory.into_cudarc::<u32>(&stream, LEN).map_err(|(_, error)| error)?;
        stream.memset_zeros(&mut data.as_view_mut())?;
        let new = stream.clone_htod(&numbers(5))?;
        let there = Event::interprocess();
        say_event_of(&mut child, &there)?;
        let back = hear_event(&mut child);
        stream.synchronize()?;
        let hold = Hold::new(&stream);
        stream.memcpy_dtod(&new, &mut data.as_view_mut())?;
        there.record(&stream)?;
        child.tell("recorded");
        child.expect("recorded");
        back.wait(&stream)?;
        let seen = stream.clone_dtod(&data.as_view())?;
        assert!(!back.query()?, "it is behind the event of this process");
        hold.release();
        assert_eq!(stream.clone_dtoh(&seen)?, numbers(7000), "what the child has written before its event");
        child.end();
        Ok(())
    });
}

/// T239: one handle, opened twice in a process.
#[test]
fn t239_one_handle_opened_twice_is_one_address_and_closed_twice() {
    fn child(parent: &mut Link) -> Result {
        let handle = parent.expect_memory();
        let open = || SharedWords::open(device(), handle);
        let (mut first, second) = (open()?, open()?);
        assert_eq!(first.memory().as_raw(), second.memory().as_raw());
        let [stream] = streams();
        first.copy_from(&stream, &SharedWords::new(device(), 8));
        stream.synchronize()?;
        assert_eq!(second.read(), 8);
        first.into_memory().close()?;
        assert_eq!(second.read(), 8, "the other one is open still");
        second.into_memory().close()?;
        let again = open()?;
        assert_eq!(again.read(), 8);
        parent.tell("written");
        parent.expect_end();
        Ok(())
    }
    play("t239_one_handle_opened_twice_is_one_address_and_closed_twice", &[("child", child)], |cast| {
        let data = SharedWords::new(device(), 1);
        let mut child = cast.start("child");
        data.say(&mut child);
        child.expect("written");
        assert_eq!(data.read(), 8);
        child.end();
        Ok(())
    });
}

/// T65: memory and events go through a queue for one, and neither side waits for ever.
#[test]
fn t065_memory_and_events_go_through_a_queue_for_one() {
    const ROUNDS: u32 = 100;
    fn consumer(parent: &mut Link) -> Result {
        let (mut seen, [stream]) = (SharedWords::new(device(), 0), streams());
        for round in 0..ROUNDS {
            let (data, filled) = (SharedWords::hear(parent), hear_event(parent));
            stream.wait_event(&filled)?;
            seen.copy_from(&stream, &data);
            stream.synchronize()?;
            assert_eq!(seen.read(), round);
            drop((data, filled));
            parent.tell("done");
        }
        parent.expect_end();
        Ok(())
    }
    play("t065_memory_and_events_go_through_a_queue_for_one", &[("consumer", consumer)], |cast| {
        let [stream] = streams();
        let mut consumer = cast.start("consumer");
        let mut in_flight = None;
        for round in 0..ROUNDS {
            let (mut data, source) = (SharedWords::new(device(), u32::MAX), SharedWords::new(device(), round));
            data.copy_from(&stream, &source);
            let filled = stream.record_event_with(EventOptions::new().interprocess())?;
            if in_flight.is_some() {
                consumer.expect("done");
            }
            data.say(&mut consumer);
            say_event(&mut consumer, &filled);
            in_flight = Some((data, source, filled));
        }
        consumer.expect("done");
        consumer.end();
        Ok(())
    });
}

/// T66: who receives memory may give it back long before who sent it.
#[test]
fn t066_received_memory_is_dropped_before_the_senders() {
    #[expect(clippy::unnecessary_wraps, reason = "as the other parts")]
    fn receiver(parent: &mut Link) -> Result {
        let received: Vec<_> = (0..4).map(|_| SharedWords::hear(parent)).collect();
        assert_eq!(received.iter().map(SharedWords::read).collect::<Vec<_>>(), [1, 2, 3, 4]);
        drop(received);
        parent.tell("dropped");
        let again: Vec<_> = (0..4).map(|_| SharedWords::hear(parent)).collect();
        assert_eq!(again.iter().map(SharedWords::read).collect::<Vec<_>>(), [1, 2, 3, 4]);
        drop(again);
        parent.expect_end();
        Ok(())
    }
    play("t066_received_memory_is_dropped_before_the_senders", &[("receiver", receiver)], |cast| {
        let sent = [1, 2, 3, 4].map(|value| SharedWords::new(device(), value));
        let mut receiver = cast.start("receiver");
        for data in &sent {
            data.say(&mut receiver);
        }
        receiver.expect("dropped");
        assert_eq!(sent.each_ref().map(SharedWords::read), [1, 2, 3, 4]);
        for data in &sent {
            data.say(&mut receiver);
        }
        receiver.end();
        assert_eq!(sent.each_ref().map(SharedWords::read), [1, 2, 3, 4]);
        Ok(())
    });
}

/// The driver waits for all work of the context, in both processes, and the docs say so.
#[test]
fn closing_waits_for_the_work_of_the_context() {
    fn close_behind(stream: &Stream, memory: IpcMemory) -> Result {
        let hold = Hold::new(stream);
        Ok(returns_after_release(hold, || memory.close())?)
    }
    fn drop_behind(stream: &Stream, memory: IpcMemory) {
        let hold = Hold::new(stream);
        returns_after_release(hold, || drop(memory));
    }
    fn child(parent: &mut Link) -> Result {
        let [stream] = streams();
        let handle = parent.expect_memory();
        let open = || SharedWords::open(device(), handle).map(SharedWords::into_memory);
        close_behind(&stream, open()?)?;
        drop_behind(&stream, open()?);
        parent.expect_end();
        Ok(())
    }
    play("closing_waits_for_the_work_of_the_context", &[("child", child)], |cast| {
        let ([stream], data) = (streams(), SharedWords::new(device(), 1));
        let mut child = cast.start("child");
        data.say(&mut child);
        child.end();
        close_behind(&stream, data.into_memory())?;
        drop_behind(&stream, IpcMemory::new(device(), 1)?);
        Ok(())
    });
}

/// Imported memory is closed in its own context, whose work that waits for, and what is current stays so.
#[test]
fn imported_memory_is_closed_whichever_context_is_current() {
    fn child(parent: &mut Link) -> Result {
        let handle = parent.expect_memory();
        let open = || SharedWords::open(device(), handle).map(SharedWords::into_memory);
        let ([stream], second) = (streams(), SecondContext::new(device()));
        let is_open = |address| device().context()?.with_current(|| is_memory(address));
        let memory = open()?;
        let address = memory.as_raw();
        assert!(is_open(address)?);
        let hold = Hold::new(&stream);
        second.with_current(|| returns_after_release(hold, || drop(memory)));
        assert!(!is_open(address)?, "the close has failed");
        let (memory, hold) = (open()?, Hold::new(&stream));
        second.with_current(|| returns_after_release(hold, || memory.close()))?;
        let memory = open()?;
        let address = memory.as_raw();
        on_a_fresh_thread(|| drop(memory));
        assert!(!is_open(address)?, "it needs a context to be current");
        parent.expect_end();
        Ok(())
    }
    play("imported_memory_is_closed_whichever_context_is_current", &[("child", child)], |cast| {
        let data = SharedWords::new(device(), 1);
        let mut child = cast.start("child");
        data.say(&mut child);
        child.end();
        assert_eq!(data.read(), 1);
        Ok(())
    });
}

/// Whether the driver knows memory at this address, in the current context.
fn is_memory(address: u64) -> bool {
    let (mut base, mut bytes) = (0, 0);
    // SAFETY: the out pointers are live locals, and the driver judges the address.
    unsafe { sys::cuMemGetAddressRange_v2(&raw mut base, &raw mut bytes, address) }.result().is_ok()
}

/// Small allocations, of which the driver has several in a block: what is exported is found at its offset.
#[test]
fn memory_of_others_is_found_at_its_offset() {
    const BYTES: usize = 1024;
    const INSIDE: usize = 256;
    fn child(parent: &mut Link) -> Result {
        for _ in 0..2 {
            let handle = parent.expect_memory();
            let offset: usize = parent.expect("offset").parse()?;
            // SAFETY: the parent keeps the memory until this process ends, and does not write to it.
            let memory = unsafe { IpcMemory::open(device(), handle) }?;
            assert!(memory.bytes() >= offset + BYTES - INSIDE);
            let mut bytes = [0_u8; BYTES - INSIDE];
            // SAFETY: the memory has so many bytes behind the offset.
            let copy = || unsafe { result::memcpy_dtoh_sync(&mut bytes, memory.as_raw() + offset as u64) };
            memory.context().with_current(copy)??;
            assert!(bytes.iter().all(|byte| *byte == bytes[0]), "they are of more than one allocation: {bytes:?}");
            parent.say("saw", bytes[0]);
        }
        parent.expect_end();
        Ok(())
    }
    fn allocate(value: u8) -> std::result::Result<u64, DriverError> {
        // SAFETY: a context is current.
        let pointer = unsafe { result::malloc_sync(BYTES) }?;
        // SAFETY: so many bytes were allocated.
        unsafe { result::memset_d8_sync(pointer, value, BYTES) }?;
        Ok(pointer)
    }
    play("memory_of_others_is_found_at_its_offset", &[("child", child)], |cast| {
        let context = device().context()?;
        let (first, second) = context.with_current(|| Ok::<_, DriverError>((allocate(5)?, allocate(6)?)))??;
        context.synchronize()?;
        let mut child = cast.start("child");
        for (pointer, value) in [(first, "5"), (second, "6")] {
            // SAFETY: the memory lives until the child has ended, which is told what of it is there.
            let (handle, offset) = unsafe { IpcMemHandle::export(pointer + INSIDE as u64) }?;
            assert!(offset >= INSIDE);
            child.say("memory", handle);
            child.say("offset", offset);
            assert_eq!(child.expect("saw"), value);
        }
        child.end();
        for pointer in [first, second] {
            // SAFETY: allocated above, and nobody uses it any more.
            context.with_current(|| unsafe { result::free_sync(pointer) })??;
        }
        Ok(())
    });
}
