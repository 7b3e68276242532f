//! Contexts: one for each device, current only for as long as a closure runs.

mod common;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::hold::Hold;
use common::words::Words;
use common::{contexts, device, on_a_fresh_thread, raw, returns_after_release, streams};
use cuda_streams::{Event, Result};

#[test]
fn a_device_has_one_context() -> Result<()> {
    let device = device();
    let context = device.context()?;
    assert_eq!(context, device.context()?);
    assert_eq!(context.device(), device);
    assert_eq!(HashSet::from([context, device.context()?, device.stream()?.context()]).len(), 1);
    assert!(!context.as_raw().is_null());
    assert_eq!(context.as_raw(), device.context()?.as_raw());
    Ok(())
}

#[test]
fn a_context_shows_its_device_and_id() -> Result<()> {
    let context = device().context()?;
    assert_eq!(context.id(), device().context()?.id());
    assert_ne!(context.id(), Some(0), "no context has this id");
    assert_eq!(format!("{context:?}"), format!("Context {{ device: 0, id: {:?} }}", context.id()));
    Ok(())
}

#[test]
fn with_current_makes_it_current_for_the_closure_only() -> Result<()> {
    let context = device().context()?;
    on_a_fresh_thread(|| {
        let (inside, nested) = context.with_current(|| (contexts::current(), context.with_current(contexts::current)))?;
        assert!(!inside.is_null());
        assert_eq!(inside, context.as_raw());
        assert_eq!(nested?, context.as_raw());
        assert!(contexts::current().is_null());
        Ok(())
    })
}

#[test]
fn with_current_restores_the_context_of_somebody_else() -> Result<()> {
    let context = device().context()?;
    let second = contexts::SecondContext::new(device());
    second.with_current(|| {
        assert_ne!(context.as_raw(), second.as_raw());
        assert_eq!(context.with_current(contexts::current)?, context.as_raw());
        assert_eq!(contexts::current(), second.as_raw());
        Ok(())
    })
}

/// Also if the closure changes it by itself.
#[test]
fn with_current_restores_what_the_closure_changes() -> Result<()> {
    let context = device().context()?;
    let second = contexts::SecondContext::new(device());
    on_a_fresh_thread(|| {
        assert_eq!(context.with_current(contexts::clear)?, raw::SUCCESS);
        assert!(contexts::current().is_null());
        if raw::has_ids() {
            second.with_current(|| context.with_current(contexts::clear))?;
            context.with_current(|| context.with_current(contexts::pop))??;
        } else {
            // The driver cannot tell whether what was current still lives.
            let changed = || context.with_current(contexts::clear).map(|_| contexts::current());
            assert_eq!(context.with_current(changed)??, std::ptr::null_mut());
        }
        assert!(contexts::current().is_null());
        Ok(())
    })
}

#[test]
fn with_current_restores_on_panic() -> Result<()> {
    let context = device().context()?;
    on_a_fresh_thread(|| {
        let panic = catch_unwind(AssertUnwindSafe(|| {
            context.with_current(|| {
                assert!(!contexts::current().is_null());
                std::panic::resume_unwind(Box::new("thrown inside"));
            })
        }));
        assert_eq!(*panic.unwrap_err().downcast::<&str>().unwrap(), "thrown inside");
        assert!(contexts::current().is_null());
    });
    Ok(())
}

#[test]
fn synchronize_waits_for_all_streams() -> Result<()> {
    let [first, second] = streams();
    let (source, mut copy) = (Words::new(device(), 7), Words::new(device(), 0));
    let hold = Hold::new(&first);
    let mark = second.record_event()?;
    second.wait_stream(&first)?;
    copy.copy_from(&second, &source);
    let end = second.record_event()?;
    let context = device().context()?;
    returns_after_release(hold, || context.synchronize())?;
    assert!(mark.query()? && end.query()? && first.query()?);
    assert_eq!(copy.read(), 7);
    Ok(())
}

#[test]
fn synchronizing_the_device_waits_as_well() -> Result<()> {
    let [stream] = streams();
    let hold = Hold::new(&stream);
    let end = Event::new();
    end.record(&stream)?;
    assert!(!end.query()?);
    returns_after_release(hold, || device().synchronize())?;
    assert!(end.query()?);
    Ok(())
}

/// Nothing of this crate is in it, so it stays theirs to keep.
#[cfg(not(miri))]
#[test]
fn synchronizing_the_device_does_not_keep_a_context_of_somebody_else() {
    let test = "synchronizing_the_device_does_not_keep_a_context_of_somebody_else";
    common::child::run(test, common::child::same_environment, || {
        let device = device();
        let theirs = cudarc::driver::CudaContext::new(device.ordinal() as usize).unwrap();
        on_a_fresh_thread(|| {
            device.synchronize().unwrap();
            assert!(contexts::current().is_null());
        });
        assert!(device.is_active().unwrap());
        drop(theirs);
        assert!(!device.is_active().unwrap());
    });
}

#[test]
fn priorities_are_a_range_with_the_default_in_it() -> Result<()> {
    let priorities = device().context()?.stream_priorities()?;
    assert!(priorities.contains(&0), "{priorities:?}");
    assert_eq!(*priorities.end(), 0, "the least priority is the default");
    assert!(*priorities.start() < 0, "every device since compute capability 3.5 has priorities");
    assert_eq!(priorities, device().context()?.stream_priorities()?);
    Ok(())
}
