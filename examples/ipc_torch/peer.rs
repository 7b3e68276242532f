//! The other process: questions go to its standard input, answers come from its standard output, a line
//! each. What else it prints is passed on.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// How long an answer may take: the first comes when PyTorch is loaded. Longer than the peer's own limit, so
/// that it can tell where it is stuck.
pub(crate) const TIME_OUT: Duration = Duration::from_secs(60);

/// What an answer begins with.
pub(crate) const MARK: &str = "peer: ";

pub(crate) struct Peer {
    process: Child,
    questions: ChildStdin,
    answers: Receiver<io::Result<String>>,
    asked: String,
    /// How long the peer may take to end, when it has nothing more to say.
    pub(crate) end: Duration,
}

impl Peer {
    /// Starts it. Its first answer is its own.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = spawned.map_err(|error| format!("{} does not start: {error}", command.get_program().display()))?;
        let (Some(questions), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the pipes of the peer are missing".into());
        };
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                match line.as_deref().map(|line| line.strip_prefix(MARK)) {
                    Ok(Some(answer)) => _ = sender.send(Ok(answer.to_owned())),
                    Ok(None) => eprintln!("{}", line.unwrap_or_default()),
                    Err(_) => return sender.send(line),
                }
            }
            Ok(())
        });
        Ok(Self { process, questions, answers, asked: "the start".to_owned(), end: TIME_OUT })
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask(&mut self, question: &str) -> Result<String> {
        question.clone_into(&mut self.asked);
        // A peer that has ended is told of below, with more about it.
        let _ = writeln!(self.questions, "{question}");
        self.answer()
    }

    /// The next answer.
    pub(crate) fn answer(&mut self) -> Result<String> {
        match self.answers.recv_timeout(TIME_OUT) {
            Ok(answer) => Ok(answer?),
            Err(RecvTimeoutError::Timeout) => Err(format!("the peer has not answered within {TIME_OUT:?} to: {}", self.asked).into()),
            Err(RecvTimeoutError::Disconnected) => {
                let status = self.ended()?;
                Err(format!("the peer has ended with {status} after: {}", self.asked).into())
            }
        }
    }

    /// Asks for something that has only one good answer.
    pub(crate) fn tell(&mut self, question: &str, good: &str) -> Result {
        let answer = self.ask(question)?;
        if answer == good { Ok(()) } else { Err(format!("the peer has answered `{answer}` to: {question}").into()) }
    }

    /// Waits until the process is gone. One that closes its output may live on.
    fn ended(&mut self) -> Result<ExitStatus> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            if began.elapsed() > self.end {
                self.process.kill()?;
                return Err(format!("the peer has not ended within {:?} after: {}", self.end, self.asked).into());
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends it.
    pub(crate) fn finish(mut self) -> Result {
        self.tell("close", "closed")?;
        let status = self.ended()?;
        if status.success() { Ok(()) } else { Err(format!("the peer has ended with {status}").into()) }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // One that is stuck does not end by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The 64 bytes of a handle.
pub(crate) fn bytes(hex: &str) -> Result<[u8; 64]> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8; 2]| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok();
    let (pairs, rest) = hex.as_bytes().as_chunks();
    let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
    let bytes = bytes.filter(|_| rest.is_empty()).ok_or_else(|| format!("these are no hexadecimal digits: {hex}"))?;
    Ok(bytes.as_slice().try_into().map_err(|_| format!("a handle has 64 bytes, not {}", bytes.len()))?)
}
