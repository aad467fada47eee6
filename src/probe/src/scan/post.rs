//! Packets on their way out, a batch at a time.
//!
//! Nearly all that a packet costs is spent in the kernel, by the processor that sends it: routing, filters, and, where the
//! other end or what lies between is on this machine, their part of the way and the answer as well. So full batches go to
//! helpers on other processors as long as those have time; whoever fills the batches sends the rest.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use nix::libc;
use socket2::Socket;

use super::{Task, Verdict, local};

/// Packets of a full batch.
const FULL: usize = 64;
/// Full batches after which a scan is long enough for help to be worth its threads.
const ALONE: usize = 8;
/// Helpers at most: beyond that they wait for each other in the kernel.
const HELPERS: usize = 3;
/// Batches that a helper has at once, so that it has work while a batch is sent and answers are taken here.
const AHEAD: usize = 4;
/// Of a helper's stack, in bytes.
const STACK: usize = 64 << 10;

/// Packets that leave together.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    /// What each packet asks, and where it ends in `bytes`.
    tasks: Vec<(Task, usize)>,
    /// Packets that are dealt with.
    done: usize,
    /// Those that this machine did not let out.
    failed: Vec<(Task, Verdict)>,
}

impl Batch {
    /// Sends what is left of it. False when the kernel has no room for more at the moment.
    fn send(&mut self, socket: &Socket) -> bool {
        let mut start = self.done.checked_sub(1).and_then(|at| self.tasks.get(at)).map_or(0, |(_, end)| *end);
        while let Some((task, end)) = self.tasks.get(self.done) {
            let mut address = task.to;
            // A raw socket takes it for a protocol (raw(7), ipv6(7)).
            address.set_port(0);
            match socket.send_to(self.bytes.get(start..*end).unwrap_or_default(), &address.into()) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => match error.raw_os_error() {
                    Some(libc::ENOBUFS | libc::EAGAIN) => return false,
                    errno => self.failed.push((*task, local(errno.unwrap_or(0)))),
                },
            }
            start = *end;
            self.done += 1;
        }
        true
    }
}

/// What goes to a helper and comes back; plain lists, for channels are much code.
#[derive(Debug, Default)]
struct Desk {
    jobs: Vec<Batch>,
    back: Vec<Batch>,
    is_over: bool,
}

#[derive(Debug)]
struct Helper {
    desk: Arc<(Mutex<Desk>, Condvar)>,
    /// Batches that have not come back.
    out: usize,
}

impl Helper {
    fn start(socket: &Arc<Socket>) -> io::Result<Helper> {
        let desk = Arc::<(Mutex<Desk>, Condvar)>::default();
        let (socket, shared) = (Arc::clone(socket), Arc::clone(&desk));
        let work = move || {
            let (desk, woken) = &*shared;
            let mut desk = desk.lock().unwrap_or_else(PoisonError::into_inner);
            while !desk.is_over {
                let jobs = std::mem::take(&mut desk.jobs);
                if jobs.is_empty() {
                    desk = woken.wait(desk).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                drop(desk);
                for mut batch in jobs {
                    batch.send(&socket);
                    shared.0.lock().unwrap_or_else(PoisonError::into_inner).back.push(batch);
                }
                desk = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            }
        };
        thread::Builder::new().stack_size(STACK).spawn(work)?;
        Ok(Helper { desk, out: 0 })
    }

    fn give(&mut self, batch: Batch) {
        self.out += 1;
        self.desk.0.lock().unwrap_or_else(PoisonError::into_inner).jobs.push(batch);
        self.desk.1.notify_one();
    }

    fn take(&mut self) -> Vec<Batch> {
        let back = std::mem::take(&mut self.desk.0.lock().unwrap_or_else(PoisonError::into_inner).back);
        self.out = self.out.saturating_sub(back.len());
        back
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.desk.0.lock().unwrap_or_else(PoisonError::into_inner).is_over = true;
        self.desk.1.notify_one();
    }
}

/// Takes packets and sends them.
#[derive(Debug)]
pub(super) struct Post {
    socket: Socket,
    /// What helpers send through.
    other: Arc<Socket>,
    filling: Batch,
    /// Packets that may wait for others.
    full: usize,
    /// What the kernel had no room for.
    stuck: Vec<Batch>,
    failed: Vec<(Task, Verdict)>,
    alone: usize,
    helpers: Vec<Helper>,
}

impl Post {
    /// `is_exact`: each packet leaves when it is given, because somebody counts.
    pub(super) fn new([socket, other]: [Socket; 2], is_exact: bool) -> Post {
        Post {
            socket,
            other: Arc::new(other),
            filling: Batch::default(),
            full: if is_exact { 1 } else { FULL },
            stuck: Vec::new(),
            failed: Vec::new(),
            alone: 0,
            helpers: Vec::new(),
        }
    }

    /// Whether more can be given now.
    pub(super) fn has_room(&mut self) -> bool {
        while let Some(mut batch) = self.stuck.pop() {
            if !batch.send(&self.socket) {
                self.stuck.push(batch);
                return false;
            }
            self.failed.append(&mut batch.failed);
        }
        true
    }

    /// Takes a packet.
    pub(super) fn give(&mut self, task: Task, packet: &[u8]) {
        self.filling.bytes.extend_from_slice(packet);
        self.filling.tasks.push((task, self.filling.bytes.len()));
        if self.filling.tasks.len() >= self.full {
            self.flush();
        }
    }

    /// Sends what was taken, or has it sent.
    pub(super) fn flush(&mut self) {
        let batch = std::mem::take(&mut self.filling);
        if batch.tasks.len() >= FULL {
            self.alone += 1;
            if self.alone == ALONE {
                let others = thread::available_parallelism().map_or(0, |count| count.get() - 1).min(HELPERS);
                self.helpers = (0..others).filter_map(|_| Helper::start(&self.other).ok()).collect();
            }
            if let Some(helper) = self.helpers.iter_mut().find(|helper| helper.out < AHEAD) {
                helper.give(batch);
                return;
            }
        }
        self.settle(batch);
    }

    /// Sends the rest of a batch, and keeps what is to be said of it.
    fn settle(&mut self, batch: Batch) {
        self.stuck.push(batch);
        self.has_room();
    }

    /// What could not be sent. True when nothing is on its way to the kernel any more.
    pub(super) fn collect(&mut self, failed: &mut Vec<(Task, Verdict)>) -> bool {
        let back: Vec<Batch> = self.helpers.iter_mut().flat_map(Helper::take).collect();
        back.into_iter().for_each(|batch| self.settle(batch));
        let is_idle = self.has_room() && self.helpers.iter().all(|helper| helper.out == 0);
        failed.append(&mut self.failed);
        is_idle
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, State};
    use super::*;
    use socket2::{Domain, Type};
    use std::net::SocketAddr;

    /// A datagram socket stands in for the raw one; its port zero is none that can be sent to.
    fn post(is_exact: bool) -> Post {
        Post::new([(); 2].map(|()| Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap()), is_exact)
    }

    fn task(port: u16) -> Task {
        Task { to: SocketAddr::from(([127, 0, 0, 1], port)), kind: Kind::Udp }
    }

    #[test]
    fn what_cannot_be_sent_is_told_once_whoever_tried() {
        let mut post = post(false);
        let (mut failed, count) = (Vec::new(), 4000u16);
        for port in 1..=count {
            post.give(task(port), b"x");
        }
        post.flush();
        while !post.collect(&mut failed) {
            thread::yield_now();
        }
        let mut ports: Vec<u16> = failed.iter().map(|(task, _)| task.to.port()).collect();
        ports.sort_unstable();
        assert_eq!(ports, (1..=count).collect::<Vec<u16>>());
        assert!(failed.iter().all(|(_, verdict)| verdict.state == State::Filtered && verdict.error.is_none()));
    }

    #[test]
    fn every_packet_leaves_at_once_when_somebody_counts() {
        let mut post = post(true);
        post.give(task(7), b"x");
        assert!(post.filling.tasks.is_empty());
        let mut failed = Vec::new();
        assert!(post.collect(&mut failed));
        assert_eq!(failed.len(), 1);
    }
}
