//! The kernel: `to = A * to + B * from + constant`, modulo 2^32, for each element. Kernels with other constants, or in
//! another order, give other results, and so does one that is left out.

use cudarc::driver::LaunchConfig;
use softcuda::{Kernel, ParamKind};

pub(crate) const NAME: &str = "step";

/// Both are odd: nothing of what was there before is lost.
const A: u32 = 1_664_525;
const B: u32 = 1_013_904_223;

/// What the kernel makes of an element.
pub(crate) fn step(to: u32, from: u32, constant: u32) -> u32 {
    to.wrapping_mul(A).wrapping_add(from.wrapping_mul(B)).wrapping_add(constant)
}

/// An element a thread.
pub(crate) fn shape(elements: u32) -> LaunchConfig {
    const THREADS: u32 = 256;
    LaunchConfig { grid_dim: (elements.div_ceil(THREADS), 1, 1), block_dim: (THREADS, 1, 1), shared_mem_bytes: 0 }
}

pub(crate) const PTX: &str = r"
.version 6.0
.target sm_50
.address_size 64

.visible .entry step(.param .u32 n, .param .u32 constant, .param .u64 from, .param .u64 to)
{
    .reg .pred  %done;
    .reg .u32   %n, %constant, %block, %threads, %thread, %i, %x, %y;
    .reg .u64   %from, %to, %offset;

    ld.param.u32            %n, [n];
    ld.param.u32            %constant, [constant];
    ld.param.u64            %from, [from];
    ld.param.u64            %to, [to];
    cvta.to.global.u64      %from, %from;
    cvta.to.global.u64      %to, %to;

    // i = number of this thread in the grid; if (i >= n) return
    mov.u32                 %block, %ctaid.x;
    mov.u32                 %threads, %ntid.x;
    mov.u32                 %thread, %tid.x;
    mad.lo.u32              %i, %block, %threads, %thread;
    setp.ge.u32             %done, %i, %n;
    @%done bra              end;

    // to[i] = A * to[i] + B * from[i] + constant
    mul.wide.u32            %offset, %i, 4;
    add.u64                 %from, %from, %offset;
    add.u64                 %to, %to, %offset;
    ld.global.u32           %x, [%from];
    ld.global.u32           %y, [%to];
    mad.lo.u32              %x, %x, 1013904223, %constant;
    mad.lo.u32              %y, %y, 1664525, %x;
    st.global.u32           [%to], %y;
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
            memory.read_write::<u32>(3, n);
        })
        .run(|launch| {
            let constant = launch.u32(1);
            for (from, to) in launch.slice::<u32>(2).iter().zip(launch.slice_mut::<u32>(3)) {
                *to = step(*to, *from, constant);
            }
        })
}
