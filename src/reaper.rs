//! What must not end where it is given up: on a thread of the driver's, inside a function that the driver calls, where
//! no driver call is allowed. It ends later, in the order in which it was given up, on a thread that is there while
//! there is something to end.

use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::exceptions;
use crate::exit::AtWork;

type Task = Box<dyn FnOnce() + Send>;

struct Queue {
    tasks: VecDeque<Task>,
    /// Somebody does the tasks, until there are none: nobody else does, so that they keep their order.
    is_served: bool,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue { tasks: VecDeque::new(), is_served: false });
/// How many tasks wait: mostly none.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// Not in a forked child: another thread of its parent may have held the lock.
fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does it soon, on a thread that may call the driver. In a forked child never: what it holds is leaked.
pub(crate) fn later(task: impl FnOnce() + Send + 'static) {
    if exceptions::is_forked() {
        return mem::forget(task);
    }
    let mut queue = queue();
    queue.tasks.push_back(Box::new(task));
    WAITING.store(queue.tasks.len(), Ordering::Relaxed);
    if !queue.is_served {
        // Where no thread can be had, the next `drain` does it.
        queue.is_served = start();
    }
}

/// Drops it later.
pub(crate) fn drop_later(what: impl Send + 'static) {
    later(move || drop(what));
}

/// Does what is left because there was no thread to do it. To be called now and then, from where the driver may be
/// called.
pub(crate) fn drain() {
    if WAITING.load(Ordering::Relaxed) == 0 || exceptions::check().is_err() {
        return;
    }
    let mut queue = queue();
    if !mem::replace(&mut queue.is_served, true) {
        drop(queue);
        serve();
    }
}

/// Starts a thread that does the tasks; false if there is none to be had.
fn start() -> bool {
    thread::Builder::new().name("cuda-streams drops".into()).spawn(serve).is_ok()
}

/// Does the tasks until there are none, or the process exits: what is left then is never done.
fn serve() {
    while let Some(_at_work) = AtWork::begin() {
        let mut queue = queue();
        let Some(task) = queue.tasks.pop_front() else {
            queue.is_served = false;
            return;
        };
        WAITING.store(queue.tasks.len(), Ordering::Relaxed);
        drop(queue);
        contained(task);
    }
}

/// Calls `f`; a panic goes to the panic hook and no further.
fn contained(f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        // It may panic too.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
        dropped.unwrap_or_else(mem::forget);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread::{self, ThreadId};

    use super::*;
    use crate::exceptions::HostFunction;

    /// Tells, when it is dropped, its number and the thread.
    struct Told(u32, std::sync::mpsc::Sender<(u32, ThreadId)>);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.1.send((self.0, thread::current().id()));
        }
    }

    #[test]
    fn what_is_given_up_ends_elsewhere_and_in_order() {
        let (tell, told) = channel();
        let _inside = HostFunction::enter();
        for number in 0..100 {
            drop_later(Told(number, tell.clone()));
        }
        for number in 0..100 {
            let (told, thread) = told.recv().unwrap();
            assert_eq!(told, number);
            assert_ne!(thread, thread::current().id());
        }
    }

    #[test]
    fn a_panic_ends_nothing_else() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("a payload that panics");
            }
        }
        let (tell, told) = channel();
        later(|| panic!("on purpose"));
        later(|| std::panic::panic_any(Bomb));
        drop_later(Told(7, tell));
        assert_eq!(told.recv().unwrap().0, 7);
    }

    #[test]
    fn tasks_may_give_up_more() {
        let (tell, told) = channel();
        later(move || drop_later(Told(1, tell)));
        assert_eq!(told.recv().unwrap().0, 1);
    }

    #[test]
    fn threads_that_give_up_at_once_lose_nothing() {
        let (tell, told) = channel();
        thread::scope(|scope| {
            for number in 0..4 {
                let tell = tell.clone();
                scope.spawn(move || (0..50).for_each(|_| drop_later(Told(number, tell.clone()))));
            }
        });
        drop(tell);
        assert_eq!(told.iter().count(), 200);
    }

    /// As where no thread can be had.
    #[test]
    fn what_is_left_is_done_by_the_next_that_may() {
        let (tell, told) = channel();
        let give_up = || {
            let mut queue = queue();
            if mem::replace(&mut queue.is_served, true) {
                return false;
            }
            queue.tasks.push_back(Box::new({
                let what = Told(3, tell.clone());
                move || drop(what)
            }));
            WAITING.store(queue.tasks.len(), Ordering::Relaxed);
            queue.is_served = false;
            true
        };
        while !give_up() {
            thread::yield_now();
        }
        {
            let _inside = HostFunction::enter();
            drain();
        }
        assert!(told.try_recv().is_err(), "not inside a host function");
        drain();
        assert_eq!(told.try_recv(), Ok((3, thread::current().id())));
        drain();
    }
}
