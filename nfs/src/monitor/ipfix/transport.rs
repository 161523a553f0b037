//! How messages get to a collector.

use std::fs::File;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a collector may keep the writer waiting, and how often one that is away is tried.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where messages go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Destination {
    Udp(SocketAddr),
    Tcp(SocketAddr),
    File(PathBuf),
}

/// The way there.
pub(super) struct Transport {
    to: Destination,
    link: Link,
    /// When the next attempt to connect may be made.
    next_attempt: Option<Instant>,
}

enum Link {
    Down,
    Udp(UdpSocket),
    Tcp(TcpStream),
    File(File),
}

impl Transport {
    /// Nothing is opened yet.
    pub(super) fn new(to: Destination) -> Transport {
        Transport { to, link: Link::Down, next_attempt: None }
    }

    /// Makes sure of a way; true when it is a new one, `None` when there is none. The error is of a file.
    pub(super) fn connect(&mut self) -> io::Result<Option<bool>> {
        if !matches!(self.link, Link::Down) {
            return Ok(Some(false));
        }
        if self.next_attempt.is_some_and(|next| Instant::now() < next) {
            return Ok(None);
        }
        let link = match &self.to {
            Destination::Udp(to) => udp(to).map(Link::Udp),
            Destination::Tcp(to) => tcp(to).map(Link::Tcp),
            // What is missing in the end of a file, nobody can ask for again.
            Destination::File(path) => Ok(Link::File(File::options().create(true).append(true).open(path)?)),
        };
        match link {
            Ok(link) => {
                self.link = link;
                Ok(Some(true))
            }
            Err(_) => {
                self.next_attempt = Some(Instant::now() + PATIENCE);
                Ok(None)
            }
        }
    }

    /// Sends a message: whether it went out, as far as can be known. The error is of a file.
    pub(super) fn send(&mut self, message: &[u8]) -> io::Result<bool> {
        match &mut self.link {
            Link::Down => Ok(false),
            // "Connection refused" is about a message before this one.
            Link::Udp(socket) => Ok(socket.send(message).or_else(|_| socket.send(message)).is_ok()),
            Link::Tcp(stream) => {
                let sent = stream.write_all(message).is_ok();
                if !sent {
                    // A part of the message may be out: only another connection can go on.
                    (self.link, self.next_attempt) = (Link::Down, Some(Instant::now() + PATIENCE));
                }
                Ok(sent)
            }
            Link::File(file) => file.write_all(message).map(|()| true),
        }
    }

    /// What is sent may be lost on the way without a word.
    pub(super) fn is_lossy(&self) -> bool {
        matches!(self.to, Destination::Udp(_))
    }
}

fn udp(to: &SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = if to.is_ipv4() { ([0; 4], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    Ok(socket)
}

fn tcp(to: &SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(to, PATIENCE)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
