//! The order of what was captured: with each launch, between branches, and with what is on other streams.

mod common;

use common::hold::Hold;
use common::words::Words;
use common::{device, streams};
use cuda_streams::{AsStream, CaptureMode, CaptureScope, Error, Event, EventOptions, Graph, GraphExec, Result, Stream};

fn words(value: u32) -> Words {
    Words::new(device(), value)
}

fn capture(stream: &Stream, work: impl FnOnce(&CaptureScope<'_>) -> Result<()>) -> Result<Graph> {
    stream.capture(CaptureMode::default(), work)
}

fn instantiate(graph: &Graph) -> Result<GraphExec> {
    // SAFETY: the tests keep the memory of the captured copies until the launches are over.
    unsafe { graph.instantiate() }
}

fn launch(graph: &mut GraphExec, stream: impl AsStream) -> Result<()> {
    // SAFETY: as in `instantiate`.
    unsafe { graph.launch(stream) }
}

/// An event whose records in a capture are part of each launch.
fn external() -> Event {
    EventOptions::new().external(true).build()
}

/// So that one can be captured: the first of a process loads its kernel and allocates memory.
fn prepare_holds(stream: &Stream) -> Result<()> {
    Hold::new(stream).release();
    stream.synchronize()
}

#[test]
fn t028_another_stream_waits_for_the_launch_and_sees_what_it_wrote() -> Result<()> {
    let [stream, other] = streams();
    let (source, mut data, mut seen) = (words(28), words(0), words(0));
    let graph = capture(&stream, |scope| {
        data.copy_from(scope, &source);
        Ok(())
    })?;
    stream.synchronize()?;
    assert_eq!(data.read(), 0, "nothing runs before the launch");
    let mut graph = instantiate(&graph)?;
    let hold = Hold::new(&stream);
    launch(&mut graph, &stream)?;
    other.wait_stream(&stream)?;
    seen.copy_from(&other, &data);
    assert!(!other.query()?, "it does not wait for the launch");
    hold.release();
    other.synchronize()?;
    assert_eq!((data.read(), seen.read()), (28, 28));
    Ok(())
}

#[test]
fn t034_two_graphs_run_beside_each_other_and_are_joined() -> Result<()> {
    let [first, second, joined] = streams();
    let (sources, mut data, mut seen) = ([words(1), words(2)], [words(0), words(0)], [words(0), words(0)]);
    let copy = |stream: &Stream, index: usize, data: &mut [Words; 2]| -> Result<GraphExec> {
        let graph = capture(stream, |scope| {
            data[index].copy_from(scope, &sources[index]);
            Ok(())
        });
        instantiate(&graph?)
    };
    let (mut left, mut right) = (copy(&first, 0, &mut data)?, copy(&second, 1, &mut data)?);
    let hold = Hold::new(&first);
    launch(&mut left, &first)?;
    launch(&mut right, &second)?;
    second.synchronize()?;
    assert_eq!(data[1].read(), 2, "a graph waits for no other");
    joined.wait_stream(&first)?;
    joined.wait_stream(&second)?;
    for (seen, data) in seen.iter_mut().zip(&data) {
        seen.copy_from(&joined, data);
    }
    assert!(!joined.query()? && !first.query()?);
    hold.release();
    joined.synchronize()?;
    assert_eq!(seen.map(|seen| seen.read()), [1, 2]);
    Ok(())
}

/// T35, T253: the fork and the join are edges, and no nodes.
#[test]
fn t035_branches_run_beside_each_other_and_the_join_waits_for_both() -> Result<()> {
    let [stream, side] = streams();
    prepare_holds(&stream)?;
    let source = words(35);
    let [mut first, mut left, mut right, mut last, mut end] = [(); 5].map(|()| words(0));
    let (forked, free, joined) = (Event::new(), external(), external());
    let mut hold = None;
    let graph = capture(&stream, |scope| {
        first.copy_from(scope, &source);
        scope.record(&forked)?;
        side.wait_event(&forked)?;
        assert!(stream.is_capturing()? && side.is_capturing()?);
        hold = Some(Hold::new(scope));
        left.copy_from(scope, &first);
        right.copy_from(&side, &first);
        side.record(&free)?;
        scope.wait_stream(&side)?;
        last.copy_from(scope, &left);
        end.copy_from(scope, &right);
        scope.record(&joined)
    })?;
    assert!(!stream.is_capturing()? && !side.is_capturing()?);
    // Copies, the hold and records; first to end on the one branch, on the other from the first copy to the join.
    assert_eq!((graph.node_count()?, graph.edge_count()?), (5 + 1 + 2, 5 + 3));
    let mut graph = instantiate(&graph)?;
    launch(&mut graph, &stream)?;
    free.synchronize()?;
    assert!(!joined.query()?, "the join waits for one branch only");
    assert!(side.query()?, "the launch is work of the stream that it was launched on");
    hold.expect("it was captured").release();
    stream.synchronize()?;
    assert!(joined.query()?);
    assert_eq!([&first, &left, &right, &last, &end].map(Words::read), [35; 5]);
    Ok(())
}

#[test]
fn t252_a_chain_is_uploaded_and_runs_in_its_order() -> Result<()> {
    let [stream] = streams();
    let (source, [mut first, mut second, mut third]) = (words(252), [(); 3].map(|()| words(0)));
    let graph = capture(&stream, |scope| {
        first.copy_from(scope, &source);
        second.copy_from(scope, &first);
        third.copy_from(scope, &second);
        Ok(())
    })?;
    assert_eq!((graph.node_count()?, graph.edge_count()?), (3, 2));
    let mut graph = instantiate(&graph)?;
    graph.upload(&stream)?;
    stream.synchronize()?;
    assert_eq!(first.read(), 0, "the upload runs nothing");
    launch(&mut graph, &stream)?;
    stream.synchronize()?;
    assert_eq!([&first, &second, &third].map(Words::read), [252; 3]);
    Ok(())
}

/// A stream that has joined may be joined back by another that has.
#[test]
fn t254_every_stream_that_has_joined_is_joined_back_on_some_way() -> Result<()> {
    let [stream, outer, inner] = streams();
    let (source, [mut first, mut second, mut beside, mut third]) = (words(254), [(); 4].map(|()| words(0)));
    let graph = capture(&stream, |scope| {
        outer.wait_stream(scope)?;
        first.copy_from(&outer, &source);
        inner.wait_stream(&outer)?;
        second.copy_from(&inner, &first);
        beside.copy_from(&outer, &first);
        outer.wait_stream(&inner)?;
        scope.wait_stream(&outer)?;
        third.copy_from(scope, &second);
        Ok(())
    })?;
    assert_eq!((graph.node_count()?, graph.edge_count()?), (4, 4));
    let mut graph = instantiate(&graph)?;
    launch(&mut graph, &stream)?;
    stream.synchronize()?;
    assert_eq!([&beside, &third].map(Words::read), [254; 2]);

    let [mut first, mut second] = [(); 2].map(|()| words(0));
    let nested = capture(&stream, |scope| {
        outer.wait_stream(scope)?;
        inner.wait_stream(&outer)?;
        first.copy_from(&outer, &source);
        second.copy_from(&inner, &source);
        scope.wait_stream(&outer)
    });
    assert_eq!(nested.map(drop), Err(Error::CaptureUnjoined), "the inner one is not");
    let direct = capture(&stream, |scope| {
        outer.wait_stream(scope)?;
        inner.wait_stream(&outer)?;
        first.copy_from(&outer, &source);
        second.copy_from(&inner, &source);
        scope.wait_stream(&inner)?;
        scope.wait_stream(&outer)
    })?;
    assert_eq!((direct.node_count()?, direct.edge_count()?), (2, 0));
    Ok(())
}

/// T255: what one launch wrote the next one reads. A capture after the end of one begins another graph.
#[test]
fn t255_launches_run_one_after_the_other_and_the_stream_is_captured_again() -> Result<()> {
    let [stream] = streams();
    let (source, [mut first, mut second, mut third]) = (words(255), [(); 3].map(|()| words(0)));
    let graph = capture(&stream, |scope| {
        third.copy_from(scope, &second);
        second.copy_from(scope, &first);
        first.copy_from(scope, &source);
        Ok(())
    })?;
    let mut shift = instantiate(&graph)?;
    let hold = Hold::new(&stream);
    for _ in 0..2 {
        launch(&mut shift, &stream)?;
    }
    hold.release();
    stream.synchronize()?;
    assert_eq!([&first, &second, &third].map(Words::read), [255, 255, 0], "each launch moves it by one");
    let another = capture(&stream, |scope| {
        first.copy_from(scope, &third);
        Ok(())
    })?;
    assert_eq!((another.node_count()?, graph.node_count()?), (1, 3));
    launch(&mut instantiate(&another)?, &stream)?;
    launch(&mut shift, &stream)?;
    stream.synchronize()?;
    assert_eq!([&first, &second, &third].map(Words::read), [255, 0, 255], "with the other graph in between");
    Ok(())
}
