//! What the hosts of the two processes say to each other: bytes through a socket.
//!
//! Whoever listens asks again and again instead of sleeping: being woken would take longer than what is to be
//! measured. A process that has ended closes its end, which is an error here.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

/// How long one side waits for the other, on the host and on the device.
pub(crate) const TIME_OUT: Duration = Duration::from_secs(20);

/// One end of the socket.
pub(crate) struct Line {
    socket: UnixStream,
}

impl Line {
    /// This process's end, and the other process's, which is to be its standard input.
    pub(crate) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self::new(ours)?, theirs.into()))
    }

    /// The end that is this process's standard input.
    pub(crate) fn stdin() -> io::Result<Self> {
        Self::new(io::stdin().as_fd().try_clone_to_owned()?.into())
    }

    fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }

    /// Says all of it.
    pub(crate) fn say(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let began = Instant::now();
        while !bytes.is_empty() {
            match done(self.socket.write(bytes))? {
                0 => pause(began)?,
                said => bytes = &bytes[said..],
            }
        }
        Ok(())
    }

    /// Hears so many bytes.
    pub(crate) fn hear<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (mut bytes, mut heard, began) = ([0; N], 0, Instant::now());
        while heard < N {
            match self.hear_now(&mut bytes[heard..])? {
                0 => pause(began)?,
                more => heard += more,
            }
        }
        Ok(bytes)
    }

    /// Hears what has been said, no more than there is room for; perhaps nothing.
    pub(crate) fn hear_now(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.socket.read(bytes) {
            Ok(0) => Err(gone()),
            answer => done(answer),
        }
    }

    /// Says numbers.
    pub(crate) fn say_numbers(&mut self, numbers: &[u32]) -> io::Result<()> {
        numbers.iter().try_for_each(|number| self.say(&number.to_le_bytes()))
    }

    /// Hears so many numbers.
    pub(crate) fn hear_numbers<const N: usize>(&mut self) -> io::Result<[u32; N]> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = u32::from_le_bytes(self.hear()?);
        }
        Ok(numbers)
    }

    /// Waits until the other process closes its end, as it does when it ends.
    pub(crate) fn closed(&mut self) -> io::Result<()> {
        match self.hear::<1>() {
            Ok(_) => Err(io::Error::other("the other process says more than it should")),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// How many bytes have gone, none if now is not the time.
fn done(answer: io::Result<usize>) -> io::Result<usize> {
    answer.or_else(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(0),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => Err(gone()),
        _ => Err(error),
    })
}

/// Between two questions of which the first was asked when it `began`.
pub(crate) fn pause(began: Instant) -> io::Result<()> {
    if began.elapsed() > TIME_OUT {
        return Err(io::Error::new(ErrorKind::TimedOut, format!("the other process has kept this one waiting for {TIME_OUT:?}")));
    }
    thread::yield_now();
    Ok(())
}

fn gone() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the other process is gone")
}
