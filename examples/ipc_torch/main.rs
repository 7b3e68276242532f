//! How do Rust and PyTorch, in two processes, order work on the same memory of a GPU?
//!
//! Each side exports events that the other opens, waits for and records: first PyTorch's
//! (`event.ipc_handle()`), then this crate's (`torch.cuda.Event.from_ipc_handle`). In every round one process
//! fills memory late, the other makes `2 * x + 1` of it, and the first compares. Rounds without the wait must
//! turn out wrong. `peer.py` beside this file is PyTorch's side, and is in the executable:
//!
//! ```text
//! cargo run --release --example ipc_torch [PYTHON]
//! ```
//!
//! needs a GPU, and a Python with PyTorch (`python3`, if none is named).

mod kernel;
mod peer;
mod session;

use std::env;
use std::error::Error;
use std::process::{Command, ExitCode};

use cuda_streams::{Device, driver_version};
use peer::Peer;
use session::{Session, Wait};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const ROUNDS: i32 = 100;
/// Without the wait.
const CONTROLS: i32 = 10;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result {
    softcuda::choose()?;
    let (device, (major, minor)) = (Device::get(0)?, driver_version()?);
    println!("device: {}, driver: CUDA {major}.{minor}", device.name()?);

    let mut python = Command::new(env::args_os().nth(1).unwrap_or_else(|| "python3".into()));
    python.args(["-u", "-c", include_str!("peer.py")]);
    let mut peer = Peer::start(python)?;
    let hello = peer.answer()?;
    let version = hello.strip_prefix("ready ").ok_or_else(|| format!("there is no PyTorch to share with: {hello}"))?;
    println!("peer: {version}");

    Session::with(device, peer, |session| {
        rounds("events of PyTorch, which fills", |rounds, wait| session.double(rounds, wait))?;
        rounds("events of Rust, which fills", |rounds, wait| session.fill(rounds, wait))
    })?;
    println!("passed");
    Ok(())
}

fn rounds(name: &str, mut run: impl FnMut(i32, Wait) -> Result<i32>) -> Result {
    let right = run(ROUNDS, Wait::OnTheDevice)?;
    println!("{name}: {right} of {ROUNDS} rounds right");
    if right != ROUNDS {
        return Err("wrong data".into());
    }
    let wrong = CONTROLS - run(CONTROLS, Wait::Never)?;
    println!("{name}, without the wait: {wrong} of {CONTROLS} rounds wrong, as it must be");
    if wrong == 0 {
        return Err("the wait makes no difference: this shows nothing".into());
    }
    Ok(())
}
