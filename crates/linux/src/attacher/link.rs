//! The control socket between supervisor and attacher: datagrams with file descriptors.
//!
//! A request is `id`, the init's pid in its container, and its pidfd; a reply is `id`, a kind, a sentence, and for
//! success the session and the agent's pidfd. Both ends are the same executable, so the layout is nobody else's.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use crate::program::Program;

/// Longest datagram: the header and a sentence.
const MAX_DATAGRAM_BYTES: usize = 1024;

/// Why the attacher did not bring an agent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The container's init has ended.
    Gone,
    /// The system does not let this process enter the container.
    NotPermitted,
    /// A step failed otherwise.
    Failed,
}

/// An agent that runs in its container.
#[derive(Debug)]
pub struct Attached {
    /// The supervisor's end of the session.
    pub session: OwnedFd,
    /// The agent's process (pidfd_open(2)).
    pub agent: OwnedFd,
}

/// What came of one request.
#[derive(Debug)]
pub struct Reply {
    /// The request's id.
    pub id: u64,
    /// The agent, or why there is none, with the step that failed in words.
    pub result: Result<Attached, (Refusal, String)>,
}

/// A request as the attacher gets it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: u64,
    /// The init's pid where the agent will run.
    pub(super) init_pid: u32,
    pub(super) init: OwnedFd,
}

/// The supervisor's end of the control socket. Blocking: one thread receives, any thread sends.
#[derive(Debug)]
pub struct Link(OwnedFd);

impl Link {
    /// Asks for an agent in the container whose init is `init`, known as `init_pid` in its own pid namespace.
    ///
    /// # Errors
    /// The system's; `EPIPE` and `ECONNRESET` mean that the attacher has ended.
    pub fn request(&self, id: u64, init_pid: u32, init: BorrowedFd<'_>) -> rustix::io::Result<()> {
        let bytes = [&id.to_le_bytes()[..], &init_pid.to_le_bytes()].concat();
        send(self.0.as_fd(), &bytes, &[init], SendFlags::NOSIGNAL)
    }

    /// Whether the attacher has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let mut fds = [PollFd::new(&self.0, PollFlags::empty())];
        poll(&mut fds, Some(&Timespec::default())).is_ok()
            && fds[0].revents().contains(PollFlags::HUP)
    }

    /// Waits for the next reply; None when the attacher has ended.
    ///
    /// # Errors
    /// The system's.
    pub fn receive(&self) -> rustix::io::Result<Option<Reply>> {
        loop {
            let Some((bytes, fds)) = receive(self.0.as_fd(), RecvFlags::empty())? else {
                return Ok(None);
            };
            // What does not parse cannot come from an attacher of this build.
            if let Some(reply) = parse_reply(&bytes, fds) {
                return Ok(Some(reply));
            }
        }
    }
}

/// The command that starts the attacher from this very executable, and the link to it. Its standard input is the
/// control socket and its standard output the agent's program: so no descriptor number has to be agreed on. Its
/// environment is empty, because for an instant the agent's process is a copy of it.
///
/// # Errors
/// The system's, where sockets or descriptors have run out.
pub fn command(program: &Program, subcommand: &str) -> std::io::Result<(Command, Link)> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let mut command = Command::new("/proc/self/exe");
    command.arg(subcommand).env_clear().current_dir("/");
    command
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::from(program.as_fd().try_clone_to_owned()?));
    Ok((command, Link(ours)))
}

/// The attacher's side: the next request; None when the supervisor has gone.
pub(super) fn next_request(control: BorrowedFd<'_>) -> rustix::io::Result<Option<Request>> {
    loop {
        let Some((bytes, fds)) = receive(control, RecvFlags::empty())? else {
            return Ok(None);
        };
        if let Some(request) = parse_request(&bytes, fds) {
            return Ok(Some(request));
        }
    }
}

/// The attacher's side: answers a request. Never waits: a supervisor that is stopped must not hold the attacher up.
pub(super) fn reply(control: BorrowedFd<'_>, reply: &Reply) -> rustix::io::Result<()> {
    let mut bytes = reply.id.to_le_bytes().to_vec();
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    match &reply.result {
        Ok(attached) => {
            bytes.push(0);
            send(
                control,
                &bytes,
                &[attached.session.as_fd(), attached.agent.as_fd()],
                flags,
            )
        }
        Err((refusal, why)) => {
            bytes.push(match refusal {
                Refusal::Gone => 1,
                Refusal::NotPermitted => 2,
                Refusal::Failed => 3,
            });
            bytes.extend(why.bytes().take(MAX_DATAGRAM_BYTES - bytes.len()));
            send(control, &bytes, &[], flags)
        }
    }
}

fn parse_request(bytes: &[u8], fds: Vec<OwnedFd>) -> Option<Request> {
    let (id, rest) = bytes.split_first_chunk::<8>()?;
    let init_pid = u32::from_le_bytes(rest.try_into().ok()?);
    Some(Request {
        id: u64::from_le_bytes(*id),
        init_pid,
        init: fds.into_iter().next()?,
    })
}

fn parse_reply(bytes: &[u8], fds: Vec<OwnedFd>) -> Option<Reply> {
    let (id, rest) = bytes.split_first_chunk::<8>()?;
    let (&kind, why) = rest.split_first()?;
    let refused = |refusal| Err((refusal, String::from_utf8_lossy(why).into_owned()));
    let result = match kind {
        0 => {
            let [session, agent] = <[OwnedFd; 2]>::try_from(fds).ok()?;
            Ok(Attached { session, agent })
        }
        1 => refused(Refusal::Gone),
        2 => refused(Refusal::NotPermitted),
        3 => refused(Refusal::Failed),
        _ => return None,
    };
    Some(Reply {
        id: u64::from_le_bytes(*id),
        result,
    })
}

/// Sends one datagram with descriptors (unix(7), SCM_RIGHTS).
pub(super) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
    flags: SendFlags,
) -> rustix::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(fds));
    }
    rustix::io::retry_on_intr(|| sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, flags))?;
    Ok(())
}

/// Receives one datagram with descriptors; None at the end.
pub(super) fn receive(
    socket: BorrowedFd<'_>,
    flags: RecvFlags,
) -> rustix::io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; MAX_DATAGRAM_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut ancillary,
            flags,
        )
    })?;
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    if received.bytes == 0 && fds.is_empty() {
        return Ok(None);
    }
    bytes.truncate(received.bytes);
    Ok(Some((bytes, fds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap()
    }

    #[test]
    fn a_request_arrives_as_it_was_sent() {
        let (ours, theirs) = pair();
        let link = Link(ours);
        link.request(7, 4711, theirs.as_fd()).unwrap();
        assert!(!link.is_closed());
        drop(link);
        let request = next_request(theirs.as_fd()).unwrap().unwrap();
        assert_eq!((request.id, request.init_pid), (7, 4711));
        assert!(
            next_request(theirs.as_fd()).unwrap().is_none(),
            "the sender has gone"
        );
    }

    #[test]
    fn replies_arrive_in_either_kind_and_rubbish_is_passed_over() {
        let (ours, theirs) = pair();
        let why = "x".repeat(5000);
        send(theirs.as_fd(), b"rubbish", &[], SendFlags::empty()).unwrap();
        reply(
            theirs.as_fd(),
            &Reply {
                id: 1,
                result: Err((Refusal::Gone, why)),
            },
        )
        .unwrap();
        let (session, agent) = pair();
        reply(
            theirs.as_fd(),
            &Reply {
                id: 2,
                result: Ok(Attached { session, agent }),
            },
        )
        .unwrap();
        drop(theirs);
        let link = Link(ours);
        assert!(link.is_closed());
        let first = link.receive().unwrap().unwrap();
        assert_eq!(first.id, 1);
        assert!(matches!(first.result, Err((Refusal::Gone, why)) if why.len() > 900));
        let second = link.receive().unwrap().unwrap();
        assert!(second.id == 2 && second.result.is_ok());
        assert!(link.receive().unwrap().is_none());
    }
}
