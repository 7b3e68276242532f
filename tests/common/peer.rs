//! Other processes to share with: this test executable runs again and plays a part in a test.
//!
//! The two talk in lines, over the peer's stdin and stdout. Who waits for a line waits no longer than
//! [`TIME_OUT`], and whatever else the peer has written is in the message of a panic.

use std::fmt::Display;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{env, error, thread};

use cuda_streams::{IpcEventHandle, IpcMemHandle};

/// How long a process waits for a line of the other.
const TIME_OUT: Duration = Duration::from_secs(50);

/// Tells a peer which test it is in and which part it plays.
const PEER: &str = "CUDA_STREAMS_PEER";

/// A line begins with this: libtest writes on stdout, too.
const MARK: char = '@';

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn error::Error>>;

/// What a peer does, talking to the process that has started it.
pub(crate) type Part = fn(&mut Link) -> Result;

/// Plays `scenario`, which starts peers for the parts; or, in such a peer, its part. `test` is the path of the
/// test that calls this.
pub(crate) fn play(test: &'static str, parts: &[(&str, Part)], scenario: impl FnOnce(&Cast) -> Result) {
    let chosen = env::var(PEER).ok();
    let outcome = match chosen.as_deref().and_then(|peer| peer.strip_prefix(test)?.strip_prefix(' ')) {
        Some(name) => {
            super::choose_driver();
            let (_, part) = parts.iter().find(|(part, _)| *part == name).expect("a part of this test");
            part(&mut Link::to_the_parent())
        }
        None => scenario(&Cast { test }),
    };
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Starts the peers of a test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cast {
    test: &'static str,
}

impl Cast {
    /// A new process that plays this part.
    pub(crate) fn start(self, part: &str) -> Peer {
        let mut command = Command::new(env::current_exe().expect("the path of this executable"));
        command.args([self.test, "--exact", "--nocapture", "--test-threads=1"]).env(PEER, format!("{} {part}", self.test));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("this executable runs again");
        let (sender, lines) = mpsc::channel();
        let readers = vec![read(child.stdout.take().expect("a pipe"), sender.clone()), read(child.stderr.take().expect("a pipe"), sender)];
        let to = Box::new(child.stdin.take().expect("a pipe"));
        Peer { link: Link { other: part.to_owned(), lines, to, noise: String::new() }, child, readers }
    }
}

/// What one process hears of the other, and says to it.
pub(crate) struct Link {
    other: String,
    lines: Receiver<String>,
    to: Box<dyn Write>,
    /// What else the other one has written.
    noise: String,
}

impl Link {
    fn to_the_parent() -> Self {
        let (sender, lines) = mpsc::channel();
        read(io::stdin(), sender);
        Self { other: "the parent".to_owned(), lines, to: Box::new(io::stdout()), noise: String::new() }
    }

    /// Says a word, with something that belongs to it.
    pub(crate) fn say(&mut self, word: &str, what: impl Display) {
        let line = format!("\n{MARK}{word} {what}\n");
        let said = self.to.write_all(line.as_bytes()).and_then(|()| self.to.flush());
        said.unwrap_or_else(|error| self.fail(&format!("does not listen to `{word}`: {error}")));
    }

    /// Says several words, nothing belonging to them.
    pub(crate) fn tell(&mut self, word: &str) {
        self.say(word, "");
    }

    /// Waits for this word; what belongs to it.
    pub(crate) fn expect(&mut self, word: &str) -> String {
        match self.hear() {
            Ok(line) => match line.split_once(' ') {
                Some((heard, what)) if heard == word => what.to_owned(),
                _ => self.fail(&format!("says `{line}` where `{word}` was expected")),
            },
            Err(why) => self.fail(&format!("{why} where `{word}` was expected")),
        }
    }

    pub(crate) fn expect_event(&mut self) -> IpcEventHandle {
        IpcEventHandle::from_bytes(bytes(&self.expect("event")))
    }

    pub(crate) fn expect_memory(&mut self) -> IpcMemHandle {
        IpcMemHandle::from_bytes(bytes(&self.expect("memory")))
    }

    /// Waits until the other has nothing to say any more.
    pub(crate) fn expect_end(&mut self) {
        match self.hear() {
            Err("ended") => (),
            Err(why) => self.fail(&format!("{why} where its end was expected")),
            Ok(line) => self.fail(&format!("says `{line}` where its end was expected")),
        }
    }

    fn hear(&mut self) -> std::result::Result<String, &'static str> {
        loop {
            match self.lines.recv_timeout(TIME_OUT) {
                Ok(line) => match line.strip_prefix(MARK) {
                    Some(line) => return Ok(line.to_owned()),
                    None => self.noise.extend([line.as_str(), "\n"]),
                },
                Err(RecvTimeoutError::Disconnected) => return Err("ended"),
                Err(RecvTimeoutError::Timeout) => return Err("was silent"),
            }
        }
    }

    #[track_caller]
    fn fail(&self, why: &str) -> ! {
        panic!("{} {why}; what it has written:\n{}", self.other, self.noise)
    }
}

/// A process that this one has started. Dropped, it is killed, unless it has [ended](Self::end).
pub(crate) struct Peer {
    link: Link,
    child: Child,
    readers: Vec<JoinHandle<()>>,
}

impl Peer {
    /// Tells the peer that nothing more comes, and waits until its part is over.
    ///
    /// # Panics
    ///
    /// If it has failed.
    pub(crate) fn end(mut self) {
        self.link.to = Box::new(io::sink());
        self.link.expect_end();
        let status = self.wait();
        if !status.success() || !self.link.noise.contains("1 passed") {
            self.link.fail(&format!("ended in {status}"));
        }
    }

    /// Kills it by SIGKILL, and waits until it is gone.
    pub(crate) fn kill(mut self) -> ExitStatus {
        self.child.kill().expect("the peer is a child of this process");
        self.wait()
    }

    /// Waits until it is gone, and nothing of it is left in this process.
    fn wait(&mut self) -> ExitStatus {
        self.link.to = Box::new(io::sink());
        let status = self.child.wait().expect("the peer is a child of this process");
        self.readers.drain(..).for_each(|reader| reader.join().expect("it only reads"));
        status
    }

    /// Waits until the peer has ended, in whichever way, or is silent, and kills it then: what it has said, and how
    /// it ended.
    pub(crate) fn until_its_end(mut self) -> (Vec<String>, ExitStatus) {
        self.link.to = Box::new(io::sink());
        let said = std::iter::from_fn(|| self.link.hear().ok()).collect();
        let _ = self.child.kill();
        (said, self.wait())
    }
}

impl std::ops::Deref for Peer {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.link
    }
}

impl std::ops::DerefMut for Peer {
    fn deref_mut(&mut self) -> &mut Link {
        &mut self.link
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Of one that has ended, neither finds anything to do.
        let _ = self.child.kill();
        self.wait();
    }
}

/// Reads lines on a thread, so that who waits for one can stop waiting.
fn read(from: impl Read + Send + 'static, to: Sender<String>) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(io::Result::ok).filter(|line| !line.is_empty()) {
            // Who does not listen any more has ended.
            let _ = to.send(line);
        }
    })
}

/// 64 bytes, of 128 hexadecimal digits.
fn bytes(hex: &str) -> [u8; 64] {
    let (digits, _) = hex.as_bytes().as_chunks::<2>();
    assert_eq!(digits.len(), 64, "{hex}");
    std::array::from_fn(|index| {
        let digits = str::from_utf8(&digits[index]).expect("digits");
        u8::from_str_radix(digits, 16).expect("digits")
    })
}
