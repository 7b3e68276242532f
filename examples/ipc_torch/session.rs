//! The rounds: one process fills the shared memory late, the other makes `2 * x + 1` of it, and the first
//! compares. Their streams wait for each other's events; the hosts only tell that an event has been recorded.

use std::error::Error;
use std::mem;
use std::time::Duration;

use cuda_streams::{Device, Event, EventOptions, Interprocess, IpcEventHandle, IpcMemory, IpcSlice, Stream};

use super::kernel::Affine;
use super::peer::{self, Peer};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// How many numbers are shared.
pub(crate) const COUNT: usize = 1 << 18;

/// How late a fill is: several time slices of a GPU that two processes take turns on, so that a round without
/// its wait is wrong.
const LATE: Duration = Duration::from_millis(50);

/// How long this side waits for its stream.
const TIME_OUT: Duration = Duration::from_secs(10);

/// Whether the one who doubles waits for the fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    OnTheDevice,
    /// Not at all: the data must turn out to be wrong, or the rounds show nothing.
    Never,
}

pub(crate) struct Session {
    peer: Peer,
    device: Device,
    stream: Stream,
    affine: Affine,
    data: IpcSlice<i32>,
}

impl Session {
    /// Shares memory with a peer, lets `drive` use it, and ends the peer.
    ///
    /// An error leaks the memory: freeing it would wait for work that may be waiting for a process that is gone.
    pub(crate) fn with<T>(device: Device, peer: Peer, drive: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let mut session = Self::start(device, peer)?;
        let result = drive(&mut session);
        let Self { peer, affine, data, .. } = session;
        match result {
            Ok(value) => peer.finish().map(|()| value),
            Err(error) => {
                mem::forget((affine, data));
                Err(error)
            }
        }
    }

    fn start(device: Device, mut peer: Peer) -> Result<Self> {
        let stream = device.stream()?;
        let affine = Affine::load(device, &stream)?;
        let memory = IpcMemory::new(device, COUNT * size_of::<i32>())?;
        peer.tell(&format!("memory {} {COUNT}", memory.ipc_handle()?), "opened")?;
        let data = memory.into_cudarc(&affine.stream, COUNT).map_err(|(_, error)| error)?;
        Ok(Self { peer, device, stream, affine, data })
    }

    /// The peer has the events and fills, this process doubles. How many rounds are right.
    pub(crate) fn double(&mut self, rounds: i32, wait: Wait) -> Result<i32> {
        let handles = self.peer.ask("export")?;
        let (filled, doubled) = handles.split_once(' ').ok_or("the peer has two events")?;
        let [filled, doubled] = [self.open(filled)?, self.open(doubled)?];
        let mut right = 0;
        for round in 0..rounds {
            self.peer.tell(&format!("fill {round}"), "recorded")?;
            if wait == Wait::OnTheDevice {
                self.stream.wait_event(&filled)?;
            }
            self.affine.launch(Duration::ZERO, 2, 1, &mut self.data)?;
            self.stream.record(&doubled)?;
            match &*self.peer.ask(&format!("compare {}", 2 * round + 1))? {
                "right" => right += 1,
                "wrong" => {}
                other => return Err(format!("the peer has answered `{other}` in round {round}").into()),
            }
            self.settle()?;
        }
        Ok(right)
    }

    /// This process has the events and fills, the peer doubles. How many rounds are right.
    pub(crate) fn fill(&mut self, rounds: i32, wait: Wait) -> Result<i32> {
        let event = || self.device.event(EventOptions::new().interprocess());
        let [filled, doubled] = [event()?, event()?];
        self.peer.tell(&format!("import {} {}", filled.ipc_handle()?, doubled.ipc_handle()?), "imported")?;
        let question = if wait == Wait::OnTheDevice { "double" } else { "double without waiting" };
        let mut right = 0;
        for round in 0..rounds {
            self.affine.launch(LATE, 0, round, &mut self.data)?;
            self.stream.record(&filled)?;
            self.peer.tell(question, "recorded")?;
            self.stream.wait_event(&doubled)?;
            self.settle()?;
            let result = self.affine.stream.clone_dtoh(&self.data.as_view())?;
            right += i32::from(result.iter().all(|x| *x == 2 * round + 1));
        }
        self.peer.tell("forget", "forgotten")?;
        Ok(right)
    }

    /// An event of the peer's.
    fn open(&self, handle: &str) -> Result<Event<Interprocess>> {
        let handle = IpcEventHandle::from_bytes(peer::bytes(handle)?);
        // SAFETY: the peer has exported it, on the device that both processes use, and keeps it until it is told
        // to close; until then nothing of this one waits for it any more.
        Ok(unsafe { Event::from_ipc_handle(self.device, handle) }?)
    }

    /// Waits until all work of this process is done.
    fn settle(&self) -> Result {
        let is_done = self.stream.synchronize_timeout(TIME_OUT)?;
        if is_done { Ok(()) } else { Err(format!("the stream has waited for the peer's event for {TIME_OUT:?}").into()) }
    }
}
