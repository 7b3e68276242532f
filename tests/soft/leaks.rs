//! Nothing is leaked, whatever fails. In processes of their own, where nobody else creates anything.

use std::sync::Barrier;
use std::thread;

use cuda_streams::{Device, Error, Event};

use crate::common::child;
use crate::failures::fail_everything;
use crate::live::live;

#[test]
fn a_failure_of_any_driver_call_leaks_nothing() {
    child::run("leaks::a_failure_of_any_driver_call_leaks_nothing", child::same_environment, || fail_everything(true));
}

/// Of two threads that bind one event in two contexts one wins, and the other's event is given back.
#[test]
fn a_lost_race_to_bind_leaks_nothing() {
    child::run("leaks::a_lost_race_to_bind_leaks_nothing", child::same_environment, || {
        let streams = [0, 1].map(|ordinal| Device::get(ordinal).unwrap().stream().unwrap());
        let before = live();
        for _ in 0..100 {
            let (event, start) = (Event::new(), Barrier::new(4));
            let record = |index: usize| {
                start.wait();
                event.record(&streams[index % 2])
            };
            let record = &record;
            let results: Vec<_> = thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|index| scope.spawn(move || record(index))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let refused = results.iter().filter(|result| matches!(result, Err(Error::ContextMismatch(_)))).count();
            assert_eq!((results.iter().filter(|result| result.is_ok()).count(), refused), (2, 2), "{results:?}");
            event.synchronize().unwrap();
            assert_eq!(live().events, before.events + 1);
        }
        assert_eq!(live().events, before.events);
    });
}
