//! What wrapper and keeper say to each other, over one socket which is the keeper's stdin, as lines of text.
//!
//! Down: the deadline, in nanoseconds of `CLOCK_BOOTTIME`; the newest line counts, in either direction of time. The
//! end of the stream is the wrapper's death. Up: first `program PID`, then one of `started` and `failed ERRNO`. A
//! socket and not two pipes, so that stdout stays the program's.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::str::FromStr;

/// What the keeper reports, once each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    /// The process that is to become the program, which is also the id of its process group.
    Program(i32),
    /// It has become the program.
    Started,
    /// It could not, for this errno.
    Failed(i32),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(pid) => write!(f, "program {pid}"),
            Self::Started => f.write_str("started"),
            Self::Failed(errno) => write!(f, "failed {errno}"),
        }
    }
}

/// The other side does not speak this language.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine;

impl FromStr for Report {
    type Err = BadLine;

    fn from_str(line: &str) -> Result<Self, BadLine> {
        let number = |text: &str| text.parse().map_err(|_| BadLine);
        match line.split_once(' ') {
            None if line == "started" => Ok(Self::Started),
            Some(("program", pid)) => Ok(Self::Program(number(pid)?)),
            Some(("failed", errno)) => Ok(Self::Failed(number(errno)?)),
            _ => Err(BadLine),
        }
    }
}

/// One end of the socket; nothing here waits.
#[derive(Debug)]
pub(super) struct Link {
    socket: UnixStream,
    lines: Lines,
    outbox: Vec<u8>,
}

impl Link {
    pub(super) fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            lines: Lines::default(),
            outbox: Vec::new(),
        })
    }

    /// Takes in what has arrived; false if the other side is gone.
    pub(super) fn hear(&mut self) -> bool {
        // The longest line is a deadline of twenty digits.
        let mut buffer = [0; 256];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return false,
                Ok(length) => self.lines.rest.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                // What the other side left unread makes its end a reset connection.
                Err(_) => return false,
            }
        }
    }

    /// The next whole line that was heard.
    pub(super) fn next<T: FromStr>(&mut self) -> Option<Result<T, BadLine>> {
        self.lines.next()
    }

    /// What was heard after the last whole line.
    pub(super) fn rest(&self) -> &[u8] {
        &self.lines.rest
    }

    /// Whether the last line still waits for room in the socket.
    pub(super) fn is_full(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Says one line, or as much of it as there is room for; [`Link::flush`] says the rest. Not to be called while
    /// [`Link::is_full`].
    pub(super) fn say(&mut self, line: impl fmt::Display) {
        debug_assert!(!self.is_full(), "lines would pile up");
        self.outbox = format!("{line}\n").into_bytes();
        self.flush();
    }

    /// Says what is left of the last line, as far as there is room.
    pub(super) fn flush(&mut self) {
        while self.is_full() {
            match self.socket.write(&self.outbox) {
                Ok(length) => drop(self.outbox.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The other side is gone, which the next `hear` tells.
                Err(_) => self.outbox.clear(),
            }
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Cuts a stream into lines.
#[derive(Debug, Default)]
struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    fn next<T: FromStr>(&mut self) -> Option<Result<T, BadLine>> {
        let end = self.rest.iter().position(|&byte| byte == b'\n')?;
        let line: Vec<u8> = self.rest.drain(..=end).collect();
        let text = std::str::from_utf8(&line[..end]).map_err(|_| BadLine);
        Some(text.and_then(|text| text.parse().map_err(|_| BadLine)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_back_as_written() {
        for report in [Report::Program(4711), Report::Started, Report::Failed(2)] {
            assert_eq!(report.to_string().parse(), Ok(report));
        }
        for bad in ["", "started 1", "program", "program x", "failed"] {
            assert_eq!(bad.parse::<Report>(), Err(BadLine), "{bad:?}");
        }
    }

    #[test]
    fn a_full_socket_keeps_the_rest_of_a_line_and_never_waits() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut sender, mut receiver) = (Link::new(ours).unwrap(), Link::new(theirs).unwrap());
        let mut said = 0_u64;
        while !sender.is_full() {
            said += 1;
            sender.say(said);
        }
        let mut heard = 0;
        while heard < said {
            assert!(receiver.hear());
            while let Some(line) = receiver.next::<u64>() {
                heard += 1;
                assert_eq!(line, Ok(heard));
            }
            sender.flush();
        }
        drop(sender);
        assert!(!receiver.hear());
    }

    #[test]
    fn lines_are_cut_wherever_the_stream_is() {
        let mut lines = Lines::default();
        lines.rest.extend(b"12\n3");
        assert_eq!(lines.next(), Some(Ok(12_u64)));
        assert_eq!(lines.next::<u64>(), None);
        lines.rest.extend(b"4\nfive\n");
        assert_eq!(lines.next(), Some(Ok(34_u64)));
        assert_eq!(lines.next::<u64>(), Some(Err(BadLine)));
        assert_eq!(lines.next::<u64>(), None);
    }
}
