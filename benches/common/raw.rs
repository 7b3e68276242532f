//! Driver functions as plain pointers in a static table: what a wrapper of one costs at least.

use std::ffi::c_uint;
use std::ptr;
use std::sync::OnceLock;

use cudarc::driver::sys::{self, CUevent, CUstream};

pub(crate) const SUCCESS: c_uint = 0;
pub(crate) const NOT_READY: c_uint = 600;

macro_rules! table {
    ($(fn $name:ident($($type:ty),*);)* optional { fn $late:ident($($late_type:ty),*); }) => {
        #[expect(non_snake_case, reason = "the driver's names")]
        pub(crate) struct Raw {
            $(pub(crate) $name: unsafe extern "C" fn($($type),*) -> c_uint,)*
            pub(crate) $late: Option<unsafe extern "C" fn($($late_type),*) -> c_uint>,
        }

        impl Raw {
            fn bind() -> Self {
                // SAFETY: this only opens the driver, which this crate has opened before.
                let library = unsafe { sys::culib() };
                Self {
                    $($name: {
                        // SAFETY: the C function of this name has these parameters and returns an enum, read as its integer.
                        let symbol = unsafe { library.get(concat!(stringify!($name), "\0").as_bytes()) };
                        *symbol.expect("every driver has this function")
                    },)*
                    $late: {
                        // SAFETY: as above.
                        let symbol = unsafe { library.get(concat!(stringify!($late), "\0").as_bytes()) };
                        symbol.ok().map(|symbol| *symbol)
                    },
                }
            }
        }
    };
}

table! {
    fn cuEventCreate(*mut CUevent, c_uint);
    fn cuEventDestroy_v2(CUevent);
    fn cuEventQuery(CUevent);
    fn cuEventRecord(CUevent, CUstream);
    fn cuEventSynchronize(CUevent);
    fn cuStreamCreate(*mut CUstream, c_uint);
    fn cuStreamDestroy_v2(CUstream);
    fn cuStreamWaitEvent(CUstream, CUevent, c_uint);
    optional { fn cuEventElapsedTime_v2(*mut f32, CUevent, CUevent); } // since 12.8
}

impl Raw {
    /// The functions of the driver that both crates use.
    pub(crate) fn get() -> &'static Self {
        static RAW: OnceLock<Raw> = OnceLock::new();
        RAW.get_or_init(Self::bind)
    }

    /// An untimed event in the current context.
    #[inline]
    pub(crate) fn create(&self) -> CUevent {
        let mut event = ptr::null_mut();
        // SAFETY: the out pointer is a live local.
        let code = unsafe { (self.cuEventCreate)(&raw mut event, sys::CUevent_flags::CU_EVENT_DISABLE_TIMING as c_uint) };
        assert_eq!(code, SUCCESS);
        event
    }

    /// # Safety
    ///
    /// The event is alive, and not used from now on.
    #[inline]
    pub(crate) unsafe fn destroy(&self, event: CUevent) {
        // SAFETY: the caller says so.
        assert_eq!(unsafe { (self.cuEventDestroy_v2)(event) }, SUCCESS);
    }

    /// # Safety
    ///
    /// Event and stream are alive and of one context.
    #[inline]
    pub(crate) unsafe fn record(&self, event: CUevent, stream: CUstream) {
        // SAFETY: the caller says so.
        assert_eq!(unsafe { (self.cuEventRecord)(event, stream) }, SUCCESS);
    }

    /// # Safety
    ///
    /// Event and stream are alive.
    #[inline]
    pub(crate) unsafe fn wait(&self, stream: CUstream, event: CUevent) {
        // SAFETY: the caller says so; flags must be 0.
        assert_eq!(unsafe { (self.cuStreamWaitEvent)(stream, event, 0) }, SUCCESS);
    }

    /// Whether the event is complete.
    ///
    /// # Safety
    ///
    /// The event is alive.
    #[inline]
    pub(crate) unsafe fn query(&self, event: CUevent) -> bool {
        // SAFETY: the caller says so.
        let code = unsafe { (self.cuEventQuery)(event) };
        assert!(code == SUCCESS || code == NOT_READY);
        code == SUCCESS
    }

    /// # Safety
    ///
    /// The event is alive.
    #[inline]
    pub(crate) unsafe fn synchronize(&self, event: CUevent) {
        // SAFETY: the caller says so.
        assert_eq!(unsafe { (self.cuEventSynchronize)(event) }, SUCCESS);
    }

    /// A non-blocking stream in the current context.
    #[inline]
    pub(crate) fn create_stream(&self) -> CUstream {
        let mut stream = ptr::null_mut();
        // SAFETY: the out pointer is a live local.
        let code = unsafe { (self.cuStreamCreate)(&raw mut stream, sys::CUstream_flags::CU_STREAM_NON_BLOCKING as c_uint) };
        assert_eq!(code, SUCCESS);
        stream
    }

    /// # Safety
    ///
    /// The stream is alive, and not used from now on.
    #[inline]
    pub(crate) unsafe fn destroy_stream(&self, stream: CUstream) {
        // SAFETY: the caller says so.
        assert_eq!(unsafe { (self.cuStreamDestroy_v2)(stream) }, SUCCESS);
    }

    /// The milliseconds between two complete events.
    ///
    /// # Panics
    ///
    /// If the driver is too old to have the function.
    ///
    /// # Safety
    ///
    /// The events are alive.
    #[inline]
    pub(crate) unsafe fn elapsed(&self, start: CUevent, end: CUevent) -> f32 {
        let function = self.cuEventElapsedTime_v2.expect("a driver of CUDA 12.8 or later");
        let mut millis = 0.0;
        // SAFETY: the caller says so; the out pointer is a live local.
        assert_eq!(unsafe { function(&raw mut millis, start, end) }, SUCCESS);
        millis
    }
}
