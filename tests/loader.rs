//! Finding the driver among libraries that are none, and two drivers in one process. In child
//! processes, whose search path leads to copies of the software driver under the names of a real one.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, process};

use common::{child, device};
use cuda_streams::{AsEvent, Device, Error, Event, ExternalStream};
use cudarc::driver::CudaContext;

/// A folder with libraries in it.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let folder = env::temp_dir().join(format!("cuda-streams-{test}-{}", process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    /// A copy of the software driver, called `name`.
    fn with_driver(self, name: &str) -> Self {
        softcuda::install().expect("the software driver");
        let files = fs::read_dir("/proc/self/fd").expect("the open files").map(|entry| entry.expect("an open file").path());
        let is_driver = |path: &PathBuf| fs::read_link(path).is_ok_and(|target| target.to_string_lossy().contains("libsoftcuda.so"));
        let mut image = fs::read(files.into_iter().find(is_driver).expect("the driver's image")).expect("the image");
        // Not the name that each copy has inside: the loader would take two for one.
        let (inside, other) = (b"libcuda.so\0", b"libcopy.so\0");
        let places: Vec<_> = (0..image.len()).filter(|&place| image[place..].starts_with(inside)).collect();
        assert!(!places.is_empty(), "the driver has a name");
        for place in places {
            image[place..place + other.len()].copy_from_slice(other);
        }
        fs::write(self.0.join(name), image).expect("a copy");
        self
    }

    /// A copy of a library that is no driver, called `name`.
    fn with_other_library(self, name: &str) -> Self {
        let maps = fs::read_to_string("/proc/self/maps").expect("what is loaded");
        let paths = maps.lines().filter_map(|line| Some(Path::new(&line[line.find('/')?..])));
        let library = paths.into_iter().find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libgcc_s")));
        fs::copy(library.expect("a library of this process"), self.0.join(name)).expect("a copy");
        self
    }

    /// Lets a child look for a real driver, here first.
    fn is_searched_by(&self, command: &mut Command) {
        command.env("LD_LIBRARY_PATH", &self.0).env("SOFTCUDA", "real").env_remove("SOFTCUDA_EXPECT");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Why `name` was not taken.
fn refusal(error: &Error, name: &str) -> String {
    let Error::DriverNotFound { tried } = error else { panic!("{error:?}") };
    let attempt = tried.iter().find(|attempt| attempt.name == name);
    attempt.unwrap_or_else(|| panic!("{name} was not tried: {error}")).reason.clone()
}

#[test]
fn a_library_without_a_driver_in_it_is_told() {
    const TEST: &str = "a_library_without_a_driver_in_it_is_told";
    let mut folder = None;
    let prepare = |command: &mut Command| {
        let libraries = Folder::new(TEST).with_other_library("libcuda.so.1").with_other_library("libcuda.so");
        folder.insert(libraries).is_searched_by(command);
    };
    child::run(TEST, prepare, || {
        let error = Device::count().unwrap_err();
        for name in ["libcuda.so.1", "libcuda.so"] {
            assert_eq!(refusal(&error, name), "it exports no cuInit: not a driver");
        }
    });
}

#[test]
fn a_stub_is_not_taken_for_the_driver() {
    const TEST: &str = "a_stub_is_not_taken_for_the_driver";
    let mut folder = None;
    let prepare = |command: &mut Command| {
        let libraries = Folder::new(TEST).with_driver("libcuda.so.1").with_driver("libcuda.so");
        folder.insert(libraries).is_searched_by(command);
        command.env("SOFTCUDA_MODE", "stub");
    };
    child::run(TEST, prepare, || {
        for _ in 0..2 {
            let error = Device::count().unwrap_err();
            for name in ["libcuda.so.1", "libcuda.so"] {
                assert_eq!(refusal(&error, name), "it is the toolkit's link-time stub, not a driver");
            }
            assert!(error.to_string().contains("install the NVIDIA driver"), "{error}");
        }
    });
}

/// The versioned name is looked for first, and what is wrong under it does not end the search.
#[test]
fn the_search_goes_on_behind_a_library_that_is_none() {
    const TEST: &str = "the_search_goes_on_behind_a_library_that_is_none";
    let mut folder = None;
    let prepare = |command: &mut Command| {
        let libraries = Folder::new(TEST).with_other_library("libcuda.so.1").with_driver("libcuda.so");
        folder.insert(libraries).is_searched_by(command);
    };
    child::run(TEST, prepare, || {
        assert_eq!(Device::count(), Ok(2));
        assert!(device().name().unwrap().starts_with("Software CUDA device"));
    });
}

/// cudarc looks for the name without a version first, and finds another driver than this crate.
#[test]
fn two_drivers_in_one_process_are_told() {
    const TEST: &str = "two_drivers_in_one_process_are_told";
    let mut folder = None;
    let prepare = |command: &mut Command| {
        let libraries = Folder::new(TEST).with_driver("libcuda.so.1").with_driver("libcuda.so");
        folder.insert(libraries).is_searched_by(command);
    };
    child::run(TEST, prepare, || {
        let theirs = CudaContext::new(0).unwrap().new_stream().unwrap();
        let error = Event::new().record(&theirs).unwrap_err();
        assert_eq!(error, Error::TwoDrivers { device: 0 });
        assert!(error.to_string().contains("cudarc has loaded another library"), "{error}");
        let their_event = theirs.record_event(None).unwrap();
        assert_eq!(their_event.as_event().query(), Err(Error::TwoDrivers { device: 0 }));
        assert_eq!(ExternalStream::try_from(theirs.clone()).map(drop), Err(Error::TwoDrivers { device: 0 }));
        assert_eq!(Event::new().wait(&theirs).map(|()| true), Ok(true), "an event without a record is not waited for");
        let ours = device().stream().unwrap();
        assert_eq!(ours.query(), Ok(true), "this crate's driver works");
    });
}
