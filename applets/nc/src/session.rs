//! What every action needs: the options, the context, names and services.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;

use netkit_core::{Ctx, Error};
use netkit_probe::services::Services;
use netkit_probe::{Lookup, errno, reverse};

use crate::args::{FAILURE, Opts, Style};
use crate::taps::{Dump, Taps};

/// One run.
pub(crate) struct Session<'a> {
    pub(crate) ctx: &'a mut Ctx,
    pub(crate) opts: Opts,
    pub(crate) services: Services,
    pub(crate) lookup: Lookup,
    /// Shakes hands with clients of a listener with TLS.
    pub(crate) acceptor: Option<netkit_tls::Acceptor>,
}

/// What a thread needs to find names and open sockets.
#[derive(Clone)]
pub(crate) struct Kit {
    pub(crate) opts: Opts,
    pub(crate) services: Services,
    pub(crate) lookup: Lookup,
}

impl<'a> Session<'a> {
    /// The part that does not print.
    pub(crate) fn kit(&self) -> Kit {
        Kit { opts: self.opts.clone(), services: self.services.clone(), lookup: self.lookup.clone() }
    }

    pub(crate) fn new(ctx: &'a mut Ctx, opts: Opts) -> Session<'a> {
        let own = |name: &str| if opts.from_pid.is_none() { ctx.var(name).map(str::to_owned) } else { None };
        let lookup = Lookup {
            numeric: opts.numeric,
            from_pid: opts.from_pid,
            localdomain: own("LOCALDOMAIN"),
            res_options: own("RES_OPTIONS"),
            ..Lookup::default()
        };
        Session { ctx, opts, services: Services::load(), lookup, acceptor: None }
    }

    /// One line of nc's talk, when -v was given.
    pub(crate) fn talk(&mut self, line: &str) {
        if self.opts.verbose > 0 {
            self.ctx.say(line);
        }
    }

    /// A host as nc names it: through the reverse look-up unless `-n`.
    pub(crate) fn host_name(&self, address: SocketAddr) -> String {
        let ip = address.ip().to_canonical();
        if self.opts.numeric || ip.is_unspecified() {
            return ip.to_string();
        }
        reverse(ip, &self.lookup).unwrap_or_else(|| ip.to_string())
    }

    /// Whether findings are to be worked out although nothing in the default output shows them.
    pub(crate) fn findings_wanted(&self) -> bool {
        self.opts.rc || self.opts.json || self.ctx.hints_wanted()
    }

    /// What looks at the bytes on their way, opened anew for each connection.
    pub(crate) fn taps(&self) -> Result<Option<Taps>, Error> {
        let open = |path: &str, append: bool| {
            let mut how = OpenOptions::new();
            how.create(true).write(true).append(append).truncate(!append);
            how.open(path)
                .map_err(|error| Error::new(FAILURE, format!("cannot open {path}: {}", errno::reason(&error))))
        };
        // A listener that stays adds to the file instead of beginning anew.
        let append = self.opts.append || self.opts.keep;
        let bare = self.opts.style == Style::Ncat;
        let dump = match &self.opts.hex_dump {
            None => None,
            Some(None) => Some(Dump::new(Box::new(std::io::stderr()), false)),
            Some(Some(path)) => Some(Dump::new(Box::new(open(path, append)?) as Box<dyn Write>, bare)),
        };
        let file: Option<File> = self.opts.output.as_deref().map(|path| open(path, append)).transpose()?;
        Ok(Taps::new(self.opts.crlf, self.opts.telnet, dump, file))
    }
}
