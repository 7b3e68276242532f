//! Host functions beside other work: at the end of pipelines of copies and kernels, and whatever can be called.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::hold::Hold;
use common::words::Words;
use common::{device, streams};
use cuda_streams::{Result, Stream};

fn an_item() -> usize {
    355
}

/// Consumed by its call, and of no type that can be copied.
fn consuming(text: String) -> impl FnOnce() -> String + Send + 'static {
    move || text + " and gone"
}

/// Launched, though what it was made in is left before it runs.
fn with_a_local(stream: &Stream, count: &Arc<AtomicUsize>) -> Result<cuda_streams::HostFn<usize>> {
    let (count, local) = (count.clone(), [3, 5, 5]);
    let closure = move || count.fetch_add(1, Ordering::Relaxed) + local.len();
    stream.launch_host_fn(closure)
}

/// T355: functions, closures, boxes, with and without a result, in their order.
#[test]
fn t355_whatever_can_be_called_once_can_be_launched() -> Result<()> {
    let [stream] = streams();
    let (count, mut called) = (Arc::new(AtomicUsize::new(0)), 0);
    let hold = Hold::new(&stream);
    let item = stream.launch_host_fn(an_item)?;
    let pointer = stream.launch_host_fn(an_item as fn() -> usize)?;
    let consumed = stream.launch_host_fn(consuming("here".to_owned()))?;
    let boxed: Box<dyn FnOnce() -> Vec<usize> + Send> = Box::new(|| vec![3, 5, 5]);
    let boxed = stream.launch_host_fn(boxed)?;
    let local = with_a_local(&stream, &count)?;
    let mutable = stream.launch_host_fn(move || {
        called += 1;
        called
    })?;
    let again = with_a_local(&stream, &count)?;
    let nothing = stream.launch_host_fn(|| ())?;
    assert_eq!(count.load(Ordering::Relaxed), 0, "the stream is held");
    hold.release();
    nothing.join()?;
    assert_eq!((item.join()?, pointer.join()?, consumed.join()?), (355, 355, "here and gone".to_owned()));
    assert_eq!((boxed.join()?, mutable.join()?), (vec![3, 5, 5], 1));
    assert_eq!((local.join()?, again.join()?), (3, 4), "in their order");
    Ok(())
}

/// T375: a copy, a kernel, a copy to the host and a function that reads it, on five streams at once.
#[test]
fn t375_pipelines_on_five_streams_end_in_their_own_functions() -> Result<()> {
    let streams: [Stream; 5] = streams();
    let sources: [Words; 5] = std::array::from_fn(|index| Words::new(device(), 375 + u32::try_from(index).expect("it is small")));
    let mut data = [(); 5].map(|()| Words::new(device(), 0));
    let mut on_the_host = [(); 5].map(|()| Words::on_the_host());
    let (mut holds, mut functions) = (Vec::new(), Vec::new());
    for (index, stream) in streams.iter().enumerate() {
        let address = on_the_host[index].as_slice().expect("nobody uses it").as_ptr().expose_provenance();
        data[index].copy_from(stream, &sources[index]);
        holds.push(Hold::new(stream));
        data[index].copy_to_host(stream, &mut on_the_host[index]);
        functions.push(stream.launch_host_fn(move || {
            // SAFETY: the memory outlives the function, and nobody writes it any more.
            unsafe { std::ptr::with_exposed_provenance::<u32>(address).read() }
        })?);
    }
    for (index, (hold, function)) in holds.into_iter().zip(functions).enumerate().rev() {
        assert!(!function.is_finished() && !streams[index].query()?, "its stream is held");
        hold.release();
        assert_eq!(function.join()?, 375 + u32::try_from(index).expect("it is small"), "the others are held");
    }
    device().synchronize()
}
