//! Destructors of user objects: on which thread, and in which call.

mod support;

use std::sync::mpsc::channel;

use cudarc::driver::sys::CUresult::CUDA_SUCCESS;
use softcuda::Scope;
use support::context;
use support::graph::user_object;
use support::user_object::release;

#[test]
fn one_on_the_callers_thread_takes_none_of_the_driver() {
    let _context = context(0);
    let _scope = Scope::enter();
    let (tell, told) = channel();
    let object = user_object(move || tell.send(softcuda::live().threads).expect("the test waits"));
    assert_eq!(release(object, 1), CUDA_SUCCESS);
    assert_eq!(told.recv(), Ok(0));
}
