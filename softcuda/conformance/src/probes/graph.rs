//! Graphs: what captures become, and what the driver tells of nodes and edges.

use std::ptr::null_mut;

use crate::driver::Handle;
use crate::fixture::{Fixture, host, page};
use crate::host_function::enqueue_repeated;
use crate::outcome::{Outcome, verdict};
use crate::probe::Probe;

pub(super) const PROBES: &[Probe] = &[
    Probe::current("graph: of nothing", |f| f.captured(|_| ()).shape()),
    Probe::current("graph: of three memsets", |f| {
        let memory = f.memory(1, 0);
        f.captured(|stream| three(f, memory.address, stream)).shape()
    }),
    Probe::current("graph: of a kernel", |f| {
        let memory = f.memory(1, 0);
        f.captured(|stream| f.kernels.fill(f.driver, memory.address, 7, stream)).shape()
    }),
    Probe::current("graph: of copies, pinned and pageable, both ways, on the device", |f| {
        let (memory, pinned, pageable) = (f.memory(2, 0), host(&f.pinned(1)[0]), host(&page()[0]));
        let graph = f.captured(|stream| {
            for memory_of_host in [pinned, pageable] {
                f.driver.cuMemcpyHtoDAsync_v2(memory.address, memory_of_host, 4, stream);
                f.driver.cuMemcpyDtoHAsync_v2(memory_of_host, memory.address, 4, stream);
            }
            f.driver.cuMemcpyDtoDAsync_v2(memory.address, memory.address + 4, 4, stream);
        });
        graph.shape()
    }),
    Probe::current("graph: of a memset and a copy of 0 bytes", |f| {
        let memory = f.memory(2, 0);
        let graph = f.captured(|stream| {
            f.driver.cuMemsetD8Async(memory.address, 7, 0, stream);
            f.driver.cuMemcpyDtoDAsync_v2(memory.address, memory.address + 4, 0, stream);
        });
        graph.shape()
    }),
    Probe::current("graph: of a host function", |f| f.captured(|stream| enqueue_repeated(f.driver, stream, || ())).shape()),
    Probe::current("graph: of an external record and an external wait", |f| {
        let (record, wait) = (f.event(0), f.event(0));
        let graph = f.captured(|stream| {
            f.driver.cuEventRecordWithFlags(*record, stream, 1);
            f.driver.cuStreamWaitEvent(stream, *wait, 1);
        });
        graph.shape()
    }),
    Probe::current("graph: of a value written, a value waited for", |f| {
        let memory = f.memory(1, 0);
        let graph = f.captured(|stream| {
            f.driver.cuStreamWriteValue32_v2(stream, memory.address, 1, 0);
            f.driver.cuStreamWaitValue32_v2(stream, memory.address, 1, 0);
        });
        graph.shape()
    }),
    Probe::current("graph: of a launch, a child", |f| {
        let memory = f.memory(1, 0);
        let child = f.executable(|stream| three(f, memory.address, stream));
        f.captured(|stream| child.launch(stream)).shape()
    }),
    Probe::current("graph: of records and waits that are not external", |f| {
        let (memory, event) = (f.memory(1, 0), f.event(0));
        let graph = f.captured(|stream| {
            f.driver.cuEventRecord(*event, stream);
            f.driver.cuMemsetD32Async(memory.address, 7, 1, stream);
            f.driver.cuStreamWaitEvent(stream, *event, 0);
            f.driver.cuMemsetD32Async(memory.address, 7, 1, stream);
        });
        graph.shape()
    }),
    Probe::current("graph: fork and join of two memsets, one behind", |f| {
        let (memory, other) = (f.memory(1, 0), f.stream());
        let graph = f.captured(|stream| {
            fork(f, memory.address, stream, *other);
            f.driver.cuMemsetD32Async(memory.address, 7, 1, stream);
        });
        graph.shape()
    }),
    Probe::current("graph: fork behind a memset, join of two", |f| {
        let (memory, other) = (f.memory(1, 0), f.stream());
        let graph = f.captured(|stream| {
            f.driver.cuMemsetD32Async(memory.address, 7, 1, stream);
            fork(f, memory.address, stream, *other);
        });
        graph.shape()
    }),
    Probe::current("graph: fork and join of nothing, between memsets", |f| {
        let (memory, other) = (f.memory(1, 0), f.stream());
        let graph = f.captured(|stream| {
            f.driver.cuMemsetD32Async(memory.address, 7, 1, stream);
            f.join(*other, stream);
            f.join(stream, *other);
            f.driver.cuMemsetD32Async(memory.address, 7, 1, stream);
        });
        graph.shape()
    }),
    Probe::current("graph: joined twice", |f| {
        let (memory, other) = (f.memory(1, 0), f.stream());
        let graph = f.captured(|stream| {
            f.join(*other, stream);
            f.driver.cuMemsetD32Async(memory.address, 7, 1, *other);
            f.join(stream, *other);
            f.join(stream, *other);
            f.driver.cuMemsetD32Async(memory.address, 7, 1, stream);
        });
        graph.shape()
    }),
    Probe::current("graph: nested forks and joins", |f| {
        let (memory, first, second) = (f.memory(1, 0), f.stream(), f.stream());
        let graph = f.captured(|stream| {
            f.driver.cuMemsetD32Async(memory.address, 7, 1, stream);
            f.join(*first, stream);
            f.driver.cuMemsetD32Async(memory.address, 7, 1, *first);
            f.join(*second, *first);
            for stream in [*first, *second, stream] {
                f.driver.cuMemsetD32Async(memory.address, 7, 1, stream);
            }
            f.join(*first, *second);
            f.join(stream, *first);
            f.driver.cuMemsetD32Async(memory.address, 7, 1, stream);
        });
        graph.shape()
    }),
    Probe::current("graph: a join of what is before anyway", |f| {
        let (memory, other) = (f.memory(1, 0), f.stream());
        let graph = f.captured(|stream| {
            f.driver.cuMemsetD32Async(memory.address, 7, 1, stream);
            f.join(*other, stream);
            f.driver.cuMemsetD32Async(memory.address, 7, 1, stream);
            f.join(stream, *other);
            f.driver.cuMemsetD32Async(memory.address, 7, 1, stream);
        });
        graph.shape()
    }),
    Probe::current("graph: three nodes, counted by too few, by too many places", |f| {
        let memory = f.memory(1, 0);
        let graph = f.captured(|stream| three(f, memory.address, stream));
        let places = |places: usize| {
            let (mut nodes, mut count) = ([Handle(1); 5], places);
            let code = f.driver.cuGraphGetNodes(*graph, nodes.as_mut_ptr(), Some(&mut count));
            let nodes = nodes.map(|node| match node.0 {
                0 => "null",
                1 => "-",
                _ => "node",
            });
            Outcome::from(code).and(format!("{count} [{}]", nodes.join(" ")))
        };
        places(0).and(places(2)).and(places(5))
    }),
    Probe::current("graph: roots of a fork", |f| {
        let (memory, other) = (f.memory(1, 0), f.stream());
        let graph = f.captured(|stream| fork(f, memory.address, stream, *other));
        let mut count = 99;
        let code = f.driver.cuGraphGetRootNodes(*graph, null_mut(), Some(&mut count));
        Outcome::from(code).and(count.to_string())
    }),
    Probe::current("graph: edges, counted by both functions", |f| {
        let memory = f.memory(1, 0);
        let graph = f.captured(|stream| three(f, memory.address, stream));
        let (mut first, mut second) = (99, 99);
        let codes = [
            f.driver.cuGraphGetEdges(*graph, null_mut(), null_mut(), Some(&mut first)),
            f.driver.cuGraphGetEdges_v2(*graph, null_mut(), null_mut(), null_mut(), Some(&mut second)),
        ];
        Outcome::from(codes).and(format!("{first}, {second}"))
    }),
    Probe::current("graph: edges into too few, too many places", |f| {
        let memory = f.memory(1, 0);
        let graph = f.captured(|stream| three(f, memory.address, stream));
        let places = |places: usize| {
            let (mut from, mut to, mut count) = ([Handle(1); 5], [Handle(1); 5], places);
            let code = f.driver.cuGraphGetEdges(*graph, from.as_mut_ptr(), to.as_mut_ptr(), Some(&mut count));
            let nodes = from.map(|node| {
                if node.0 > 1 {
                    "node"
                } else if node.0 == 0 {
                    "null"
                } else {
                    "-"
                }
            });
            Outcome::from(code).and(format!("{count} [{}]", nodes.join(" ")))
        };
        places(1).and(places(5))
    }),
    Probe::alone("null out parameter: cuGraphGetNodes, cuGraphGetEdges, the count", |d| {
        Fixture::alone(d, |f| {
            let graph = f.captured(|_| ());
            let codes = [
                d.cuGraphGetNodes(*graph, null_mut(), None),
                d.cuGraphGetEdges(*graph, null_mut(), null_mut(), None),
                d.cuGraphGetRootNodes(*graph, null_mut(), None),
            ];
            codes.into()
        })
    }),
    Probe::alone("null graph: nodes, edges, roots, clone, instantiate, destroy", |d| {
        Fixture::alone(d, |f| {
            let null = Handle::NULL;
            let codes = [
                d.cuGraphGetNodes(null, null_mut(), Some(&mut 0)),
                d.cuGraphGetEdges(null, null_mut(), null_mut(), Some(&mut 0)),
                d.cuGraphGetRootNodes(null, null_mut(), Some(&mut 0)),
                f.graph_of(null).clone_of().0,
                f.graph_of(null).instantiate().0,
                d.cuGraphDestroy(null),
            ];
            codes.into()
        })
    }),
    Probe::alone("null executable: launch, upload, destroy", |d| {
        Fixture::alone(d, |f| {
            let stream = f.stream();
            [d.cuGraphLaunch(Handle::NULL, *stream), d.cuGraphUpload(Handle::NULL, *stream), d.cuGraphExecDestroy(Handle::NULL)].into()
        })
    }),
    Probe::alone("null out parameter: cuGraphCreate", |d| Fixture::alone(d, |_| d.cuGraphCreate(None, 0).into())),
    Probe::alone("null out parameter: cuGraphClone", |d| Fixture::alone(d, |f| d.cuGraphClone(None, *f.empty_graph()).into())),
    Probe::alone("null out parameter: cuGraphInstantiateWithFlags", |d| {
        Fixture::alone(d, |f| d.cuGraphInstantiateWithFlags(None, *f.empty_graph(), 0).into())
    }),
    Probe::alone("null out parameter: cuGraphNodeGetType, a null node", |d| {
        Fixture::alone(d, |f| {
            let memory = f.memory(1, 0);
            let graph = f.captured(|stream| three(f, memory.address, stream));
            let null = d.cuGraphNodeGetType(Handle::NULL, Some(&mut 0));
            let Some(&node) = graph.nodes().first() else { return null.into() };
            [null, d.cuGraphNodeGetType(node, None)].into()
        })
    }),
    Probe::alone("graph: destroyed twice", |d| {
        Fixture::alone(d, |f| {
            let graph = f.captured(|_| ()).into_handle();
            [d.cuGraphDestroy(graph), d.cuGraphDestroy(graph)].into()
        })
    }),
    Probe::alone("graph: destroyed, then its nodes, instantiated, cloned", |d| {
        Fixture::alone(d, |f| {
            let graph = f.captured(|_| ()).into_handle();
            let destroy = d.cuGraphDestroy(graph);
            let gone = f.graph_of(graph);
            let nodes = d.cuGraphGetNodes(graph, null_mut(), Some(&mut 0));
            let outcome = Outcome::from([destroy, nodes, gone.instantiate().0, gone.clone_of().0]);
            let _ = gone.into_handle();
            outcome
        })
    }),
    Probe::alone("graph: executable destroyed twice", |d| {
        Fixture::alone(d, |f| {
            let executable = f.executable(|_| ()).into_handle();
            [d.cuGraphExecDestroy(executable), d.cuGraphExecDestroy(executable)].into()
        })
    }),
    Probe::alone("graph: executable destroyed, then launched", |d| {
        Fixture::alone(d, |f| {
            let executable = f.executable(|_| ()).into_handle();
            [d.cuGraphExecDestroy(executable), d.cuGraphLaunch(executable, *f.stream())].into()
        })
    }),
    Probe::current("graph: cloned, the original destroyed", |f| {
        let (memory, word, stream) = (f.memory(1, 0), f.pinned(1), f.stream());
        let graph = f.captured(|stream| three(f, memory.address, stream));
        let (code, clone) = graph.clone_of();
        drop(graph);
        let (instantiate, executable) = clone.instantiate();
        let codes = [code, instantiate, executable.launch(*stream), f.finish(*stream)];
        Outcome::from(codes).and(clone.shape()).and(f.read(memory.address, &word[0]).to_string())
    }),
    Probe::current("graph: instantiated with flags 0, 1, 2, 4, 8, 16", |f| {
        let graph = f.captured(|_| ());
        let one = |flags| {
            let mut executable = Handle::NULL;
            let code = f.driver.cuGraphInstantiateWithFlags(Some(&mut executable), *graph, flags);
            if code.is_success() {
                f.driver.cuGraphExecDestroy(executable);
            }
            code
        };
        [0, 1, 2, 4, 8, 16].map(one).into()
    }),
    Probe::current("graph: instantiated twice, by the older function", |f| {
        let graph = f.captured(|_| ());
        let (first, second) = (graph.instantiate(), graph.instantiate());
        let mut older = Handle::NULL;
        let code = f.driver.cuGraphInstantiate_v2(Some(&mut older), *graph, None, null_mut(), 0);
        if code.is_success() {
            f.driver.cuGraphExecDestroy(older);
        }
        Outcome::from([first.0, second.0, code]).and(verdict(*first.1 != *second.1, "another"))
    }),
    Probe::current("graph: created with flags 0, 1", |f| {
        let one = |flags| {
            let mut graph = Handle::NULL;
            let code = f.driver.cuGraphCreate(Some(&mut graph), flags);
            drop(f.graph_of(graph));
            code
        };
        [0, 1].map(one).into()
    }),
    Probe::bare("graph: no context, create, clone, destroy", |f| {
        let mut graph = Handle::NULL;
        let create = f.driver.cuGraphCreate(Some(&mut graph), 0);
        let graph = f.graph_of(graph);
        let (clone, _) = graph.clone_of();
        [create, clone, f.driver.cuGraphDestroy(graph.into_handle())].into()
    }),
];

/// Three memsets in line.
pub(super) fn three(f: &Fixture, address: u64, stream: Handle) {
    for value in 7..10 {
        f.driver.cuMemsetD32Async(address, value, 1, stream);
    }
}

/// A memset on each of two streams, the second forked and joined.
fn fork(f: &Fixture, address: u64, stream: Handle, other: Handle) {
    f.join(other, stream);
    for stream in [stream, other] {
        f.driver.cuMemsetD32Async(address, 7, 1, stream);
    }
    f.join(stream, other);
}
