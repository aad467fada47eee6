//! Unix sockets, stream and datagram, in the file system or abstract (`@name`), after unix(7).

use std::io;
use std::path::PathBuf;

use netkit_core::{Error, Exit};
use netkit_probe::{Protocol, errno};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::args::{FAILURE, Style};
use crate::ends::SocketEnd;
use crate::session::Session;
use crate::{inlet, listen, transfer};

/// The address of a path; a leading `@` stands for the NUL of an abstract name.
pub(crate) fn address(path: &str) -> io::Result<SockAddr> {
    let made = match path.strip_prefix('@') {
        Some(name) => SockAddr::unix(format!("\0{name}")),
        None => SockAddr::unix(path),
    };
    // The one complaint there is: sun_path holds 108 bytes.
    made.map_err(|_| nix::errno::Errno::ENAMETOOLONG.into())
}

fn kind(session: &Session<'_>) -> Type {
    if session.opts.protocol == Protocol::Udp { Type::DGRAM } else { Type::STREAM }
}

/// Removes a file when dropped.
pub(crate) struct Unlink(Vec<PathBuf>);

impl Unlink {
    /// That of a socket bound to this path; an abstract name goes with its socket.
    pub(crate) fn of(path: &str) -> Option<Unlink> {
        (!path.starts_with('@')).then(|| Unlink(vec![path.into()]))
    }
}

impl Drop for Unlink {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path).or_else(|_| std::fs::remove_dir(path));
        }
    }
}

/// A client.
pub(crate) fn connect(session: &mut Session<'_>, path: &str) -> Result<Exit, Error> {
    let failed = |error: io::Error| Error::new(FAILURE, format!("{path}: {}", errno::reason(&error)));
    let socket = Socket::new(Domain::UNIX, kind(session), None).map_err(failed)?;
    let mut made = Unlink(Vec::new());
    if kind(session) == Type::DGRAM {
        // Without an address of our own nobody could answer.
        let own = match session.opts.source.clone() {
            Some(source) => source,
            None => reply_path(&mut made).map_err(failed)?,
        };
        let at = address(&own).map_err(failed)?;
        let _ = std::fs::remove_file(&own);
        socket.bind(&at).map_err(|error| Error::new(FAILURE, format!("{own}: {}", errno::reason(&error))))?;
        made.0.insert(0, own.clone().into());
        if session.opts.style == Style::Nc {
            session.talk(&format!("Bound on {own}"));
        }
    }
    address(path).and_then(|to| socket.connect(&to)).map_err(|error| {
        if session.opts.style == Style::Ncat {
            return Error::new(FAILURE, format!("{}.", errno::reason(&error)));
        }
        failed(error)
    })?;
    if session.opts.style == Style::Ncat {
        session.talk(&format!("Ncat: Connected to {path}."));
    }
    if session.opts.zero {
        return Ok(Exit::OK);
    }
    if let (Some(version), Type::STREAM) = (session.opts.proxy_protocol, kind(session)) {
        inlet::send_header(&socket, version)?;
    }
    let mut far = SocketEnd::new(socket).map_err(failed)?;
    let outcome = transfer::run(session, &mut far, path)?;
    transfer::verdict(session, &outcome, path)
}

/// A path of our own in a directory of our own, as answers are sent to a path.
fn reply_path(made: &mut Unlink) -> io::Result<String> {
    use std::hash::{BuildHasher, RandomState};
    use std::os::unix::fs::DirBuilderExt as _;
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for _ in 0..16 {
        let word = RandomState::new().hash_one(std::process::id());
        let dir = std::env::temp_dir().join(format!("nc-{:08x}", word & 0xffff_ffff));
        match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => {
                made.0.push(dir.clone());
                return Ok(dir.join("recv.sock").to_string_lossy().into_owned());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A listener.
pub(crate) fn listen(session: &mut Session<'_>, path: &str) -> Result<Exit, Error> {
    let failed = |error: io::Error| Error::new(FAILURE, errno::reason(&error));
    let socket = Socket::new(Domain::UNIX, kind(session), None).map_err(failed)?;
    use std::os::unix::fs::FileTypeExt as _;
    // As the peer: a socket that an earlier listener left is replaced; anything else is not.
    if std::fs::symlink_metadata(path).is_ok_and(|there| there.file_type().is_socket()) {
        let _ = std::fs::remove_file(path);
    }
    address(path).and_then(|at| socket.bind(&at)).map_err(failed)?;
    session.talk(&format!("Bound on {path}"));
    if kind(session) == Type::DGRAM {
        return hear(session, socket, path);
    }
    socket.listen(listen::BACKLOG).map_err(failed)?;
    session.talk(&format!("Listening on {path}"));
    loop {
        let accepted = loop {
            match socket.accept() {
                Ok((accepted, _)) => break accepted,
                Err(error) if listen::passing(&error) => {}
                Err(error) => return Err(Error::new(FAILURE, format!("accept: {}", errno::reason(&error)))),
            }
        };
        session.talk(&format!("Connection received on {path}"));
        let status = converse(session, accepted, path);
        let status = listen::stay(session, status)?;
        if !session.opts.keep {
            return Ok(status);
        }
    }
}

fn converse(session: &mut Session<'_>, socket: Socket, path: &str) -> Result<Exit, Error> {
    if session.opts.proxy_protocol.is_some() {
        let header = inlet::receive_header(&socket).map_err(|why| Error::new(FAILURE, format!("{path}: {why}")))?;
        session.talk(&format!("PROXY protocol: {header}"));
    }
    let mut far = SocketEnd::new(socket).map_err(|error| Error::new(FAILURE, errno::reason(&error)))?;
    let outcome = transfer::run(session, &mut far, path)?;
    transfer::verdict(session, &outcome, path)
}

/// Datagrams: the first one decides whom we talk to, if its sender has an address; with `-k` everybody is heard.
fn hear(session: &mut Session<'_>, socket: Socket, path: &str) -> Result<Exit, Error> {
    let failed = |error: io::Error| Error::new(FAILURE, errno::reason(&error));
    if !session.opts.keep {
        let mut byte = [std::mem::MaybeUninit::uninit()];
        let (_, from) = socket.peek_from(&mut byte).map_err(failed)?;
        if from.as_pathname().is_some() || from.as_abstract_namespace().is_some() {
            socket.connect(&from).map_err(failed)?;
        }
        session.talk(&format!("Connection received on {path}"));
    }
    let mut far = SocketEnd::new(socket).map_err(failed)?;
    let outcome = transfer::run(session, &mut far, path)?;
    transfer::verdict(session, &outcome, path)
}
