//! Copies on streams: their order, whether they leave the stream busy, and when their memory may be
//! used again.

mod common;

use common::hold::Hold;
use common::words::Words;
use common::{device, returns_after_release, streams};
use cuda_streams::Result;

/// T18
#[test]
fn t018_a_chain_of_copies_over_the_host_keeps_its_order() -> Result<()> {
    let [stream] = streams();
    let (source, mut on_the_host, mut copy) = (Words::new(device(), 18), Words::on_the_host(), Words::new(device(), 0));
    let hold = Hold::new(&stream);
    source.copy_to_host(&stream, &mut on_the_host);
    copy.copy_from_host(&stream, &on_the_host);
    assert!(!stream.query()?);
    hold.release();
    stream.synchronize()?;
    assert_eq!(copy.read(), 18);
    Ok(())
}

/// T19: in both directions.
#[test]
fn t019_a_copy_leaves_the_stream_busy_and_synchronize_leaves_it_idle() -> Result<()> {
    let [stream] = streams();
    let (source, mut on_the_host, mut copy) = (Words::new(device(), 19), Words::on_the_host(), Words::new(device(), 0));
    let hold = Hold::new(&stream);
    source.copy_to_host(&stream, &mut on_the_host);
    assert!(!stream.query()?);
    returns_after_release(hold, || stream.synchronize())?;
    assert!(stream.query()?);

    let hold = Hold::new(&stream);
    copy.copy_from_host(&stream, &on_the_host);
    assert!(!stream.query()?);
    returns_after_release(hold, || stream.synchronize())?;
    assert!(stream.query()?);
    assert_eq!(copy.read(), 19);
    Ok(())
}

/// T11: what an allocator has to know of a block that another stream uses too.
#[test]
fn t011_memory_is_used_again_behind_its_last_use_on_another_stream() -> Result<()> {
    let [owner, user] = streams();
    let (old, new) = (Words::new(device(), 11), Words::new(device(), 12));
    let [mut block, mut seen] = [0; 2].map(|value| Words::new(device(), value));
    block.copy_from(&owner, &old);
    user.wait_stream(&owner)?;
    let hold = Hold::new(&user);
    seen.copy_from(&user, &block);
    let last_use = user.record_event()?;
    assert!(!last_use.query()?, "the block is in use");
    owner.wait_event(&last_use)?;
    block.copy_from(&owner, &new);
    assert!(!owner.query()?);
    hold.release();
    owner.synchronize()?;
    assert!(last_use.query()?, "the block is free");
    assert_eq!((seen.read(), block.read()), (11, 12));
    Ok(())
}

/// T21
#[test]
fn t021_pinned_memory_is_written_again_after_the_event_behind_its_copy() -> Result<()> {
    let [stream] = streams();
    let (mut on_the_host, mut seen) = (Words::on_the_host(), Words::new(device(), 0));
    on_the_host.as_mut_slice().expect("nobody uses it").fill(21);
    let hold = Hold::new(&stream);
    seen.copy_from_host(&stream, &on_the_host);
    let last_use = stream.record_event()?;
    assert!(!last_use.query()?, "the memory is in use");
    returns_after_release(hold, || last_use.synchronize())?;
    on_the_host.as_mut_slice().expect("nobody uses it any more").fill(22);
    assert_eq!(seen.read(), 21);
    Ok(())
}
