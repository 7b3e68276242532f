//! The kernel: it takes every element of a chunk, the state of a random number generator, some rounds
//! further. The time that it takes is proportional to the rounds, and the host knows its result without
//! doing the rounds for every element.

use cudarc::driver::LaunchConfig;
use softcuda::{Kernel, ParamKind};

pub(crate) const NAME: &str = "advance";

/// One round of the generator, a linear congruential one: `x = A * x + C`, modulo 2^32.
const A: u32 = 1_664_525;
const C: u32 = 1_013_904_223;

/// What some rounds do, as one: `a * x + c`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jump {
    a: u32,
    c: u32,
}

impl Jump {
    pub(crate) fn of(rounds: u32) -> Self {
        let further = |jump: Self, _| Self { a: jump.a.wrapping_mul(A), c: jump.c.wrapping_mul(A).wrapping_add(C) };
        (0..rounds).fold(Self { a: 1, c: 0 }, further)
    }

    pub(crate) fn from(self, x: u32) -> u32 {
        self.a.wrapping_mul(x).wrapping_add(self.c)
    }
}

/// How many elements a thread has.
const VECTOR: u32 = 4;

/// For so many elements, a multiple of four.
pub(crate) fn shape(elements: u32) -> LaunchConfig {
    const THREADS: u32 = 256;
    let blocks = elements.div_ceil(VECTOR * THREADS);
    LaunchConfig { grid_dim: (blocks, 1, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 }
}

/// Four elements a thread, in a load and a store of 16 bytes. The number of elements is a multiple of
/// four.
pub(crate) const PTX: &str = r"
.version 6.0
.target sm_50
.address_size 64

.visible .entry advance(.param .u32 n, .param .u32 rounds, .param .u64 from, .param .u64 to)
{
    .reg .pred  %done, %more;
    .reg .u32   %n, %rounds, %block, %threads, %thread, %i, %first, %x0, %x1, %x2, %x3;
    .reg .u64   %from, %to, %offset;

    ld.param.u32            %n, [n];
    ld.param.u32            %rounds, [rounds];
    ld.param.u64            %from, [from];
    ld.param.u64            %to, [to];
    cvta.to.global.u64      %from, %from;
    cvta.to.global.u64      %to, %to;

    // i = number of this thread in the grid; if (4i >= n) return
    mov.u32                 %block, %ctaid.x;
    mov.u32                 %threads, %ntid.x;
    mov.u32                 %thread, %tid.x;
    mad.lo.u32              %i, %block, %threads, %thread;
    shl.b32                 %first, %i, 2;
    setp.ge.u32             %done, %first, %n;
    @%done bra              end;

    // x = from[4i..4i+4]
    mul.wide.u32            %offset, %i, 16;
    add.u64                 %from, %from, %offset;
    add.u64                 %to, %to, %offset;
    ld.global.v4.u32        {%x0, %x1, %x2, %x3}, [%from];

    // for (; rounds > 0; rounds -= 1) x = A * x + C
    setp.eq.u32             %done, %rounds, 0;
    @%done bra              store;
round:
    mad.lo.u32              %x0, %x0, 1664525, 1013904223;
    mad.lo.u32              %x1, %x1, 1664525, 1013904223;
    mad.lo.u32              %x2, %x2, 1664525, 1013904223;
    mad.lo.u32              %x3, %x3, 1664525, 1013904223;
    sub.u32                 %rounds, %rounds, 1;
    setp.ne.u32             %more, %rounds, 0;
    @%more bra              round;

    // to[4i..4i+4] = x
store:
    st.global.v4.u32        [%to], {%x0, %x1, %x2, %x3};
end:
    ret;
}
";

/// The same in Rust, for the software driver.
pub(crate) fn twin() -> Kernel {
    Kernel::new(NAME, [ParamKind::Int32, ParamKind::Int32, ParamKind::Pointer, ParamKind::Pointer])
        .declare(|launch, memory| {
            let n = launch.u32(0) as usize;
            memory.read::<u32>(2, n);
            memory.write::<u32>(3, n);
        })
        .run(|launch| {
            let rounds = launch.u32(1);
            for (from, to) in launch.slice::<u32>(2).iter().zip(launch.slice_mut::<u32>(3)) {
                *to = (0..rounds).fold(*from, |x, _| x.wrapping_mul(A).wrapping_add(C));
            }
        })
}
