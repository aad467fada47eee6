//! netstat: what fingers type when they mean ss.
//!
//! - Peer: net-tools 2.10, for lists of sockets: `-t -u -w -x -l -a -n -p -e -o -4 -6 -W` and their long names.
//! - Deliberate differences: addresses are never cut (the peer does that unless `-W` is given). `-r`, `-i`, `-s`, `-g`, `-M`
//!   and `-c` are refused by name with what to use instead.
//! - Kernel interfaces: /proc/net, for its order and the reference counts are the peer's; /proc/PID/fd for processes.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::Path;

use netkit_core::privilege::{Capability, missing};
use netkit_core::{Applet, Ctx, Error, Exit, Flag, Flags, Group, flags, front, text};

use crate::names::{self, Services};
use crate::owners::Owners;
use crate::print::push_address;
use crate::procnet;
use crate::reverse;
use crate::select::{Family, Selection, Table, state};
use crate::socket::Socket;

pub(crate) const APPLET: Applet = Applet {
    name: "netstat",
    aliases: &[],
    purpose: "sockets, in the form of net-tools",
    usage: "[option ...]",
    group: Group::Kernel,
    flags: FLAGS,
    capability: Some(Capability::SysPtrace),
    main: run,
};

/// Usage error of net-tools (E_USAGE).
const USAGE: Exit = Exit(3);

const fn flag(spelling: &'static str, help: &'static str) -> Flag {
    Flag { spelling, value: "", help }
}

const FLAGS: Flags = flags![
    flag("-t, --tcp", "TCP sockets"),
    flag("-u, --udp", "UDP sockets"),
    flag("-w, --raw", "raw sockets"),
    flag("-x, --unix", "unix sockets"),
    flag("-4, --inet", "only IPv4"),
    flag("-6, --inet6", "only IPv6"),
    flag("-a, --all", "every state"),
    flag("-l, --listening", "only listening sockets"),
    flag("-n, --numeric", "addresses, ports and users as numbers"),
    flag("-p, --programs", "processes that hold the socket"),
    flag("-e, --extend", "users and inodes"),
    flag("-o, --timers", "timers"),
    flag("-W, --wide", "addresses are never cut here anyway"),
    flag("-h, --help", "this page"),
    flag("-V, --version", "version"),
];

#[derive(Default)]
struct Options {
    tables: u32,
    families: u32,
    unix: bool,
    all: bool,
    listening: bool,
    numeric: bool,
    programs: bool,
    extend: bool,
    timers: bool,
}

enum Request {
    Help,
    Version,
    Run(Options),
}

fn parse(words: &[String]) -> Result<Request, Error> {
    let mut options = Options::default();
    for word in words {
        let letters: Vec<char> = match word.strip_prefix("--") {
            Some(name) => vec![long(name)?],
            None => match word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                Some(letters) => letters.chars().collect(),
                None => return Err(Error::new(USAGE, format!("unexpected argument `{}`", text::printable(word)))),
            },
        };
        for letter in letters {
            match letter {
                't' => options.tables |= Table::Tcp.bit(),
                'u' => options.tables |= Table::Udp.bit(),
                'w' => options.tables |= Table::Raw.bit(),
                'x' => options.unix = true,
                '4' => options.families |= Family::Inet.bit(),
                '6' => options.families |= Family::Inet6.bit(),
                'a' => options.all = true,
                'l' => options.listening = true,
                'n' => options.numeric = true,
                'p' => options.programs = true,
                'e' => options.extend = true,
                'o' => options.timers = true,
                'W' | 'v' => {}
                'h' | '?' => return Ok(Request::Help),
                'V' => return Ok(Request::Version),
                other => return Err(refused(other)),
            }
        }
    }
    Ok(Request::Run(options))
}

fn long(name: &str) -> Result<char, Error> {
    Ok(match name {
        "tcp" => 't',
        "udp" => 'u',
        "raw" => 'w',
        "unix" => 'x',
        "inet" => '4',
        "inet6" => '6',
        "all" => 'a',
        "listening" => 'l',
        "numeric" => 'n',
        "programs" => 'p',
        "extend" => 'e',
        "timers" => 'o',
        "wide" => 'W',
        "verbose" => 'v',
        "help" => 'h',
        "version" => 'V',
        "route" => 'r',
        "interfaces" => 'i',
        "statistics" => 's',
        "groups" => 'g',
        "masquerade" => 'M',
        "continuous" => 'c',
        "json" => 'J',
        _ => return Err(Error::new(USAGE, format!("unrecognized option '--{}'", text::printable(name)))),
    })
}

fn refused(letter: char) -> Error {
    let instead = match letter {
        'r' => "-r is not offered; use `ip route`",
        'i' => "-i is not offered; use `ip -s link`",
        's' => "-s is not offered; use `ss -s`, and `ss --problems` for what the counters mean",
        'g' => "-g is not offered; use `ip maddr`",
        'M' => "-M is not offered; connection tracking is not shown here",
        'c' => "-c is not offered; use `ss --watch`",
        'J' => "--json is not offered; use `ss --json`",
        'N' | 'C' | 'F' | 'A' | 'Z' | 'S' | 'U' | 'I' => {
            return Error::usage(format!("-{letter} is not offered"));
        }
        _ => {
            let shown = text::printable(&letter.to_string());
            return Error::new(USAGE, format!("invalid option -- '{shown}'"));
        }
    };
    Error::usage(instead)
}

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let options = match parse(&ctx.args_lossy())? {
        Request::Help => {
            ctx.stdout.write_all(front::help_page(&APPLET).as_bytes())?;
            return Ok(Exit::OK);
        }
        Request::Version => {
            writeln!(ctx.stdout, "netstat of netkit {}, in the form of net-tools 2.10", ctx.build.version)?;
            return Ok(Exit::OK);
        }
        Request::Run(options) => options,
    };
    let mut page = Page::new(&options)?;
    let inet = options.tables != 0 || options.families != 0 || !options.unix;
    if inet {
        page.inet(ctx)?;
    }
    if options.unix || (options.tables == 0 && options.families == 0) {
        page.unix(ctx)?;
    }
    if page.unseen > 0 && page.owners.denied > 0 {
        let line = missing(Capability::SysPtrace, "naming every process", "the processes of this user");
        ctx.hint(&line);
    }
    Ok(Exit::OK)
}

struct Page<'a> {
    options: &'a Options,
    selection: Selection,
    owners: Owners,
    services: Services,
    users: HashMap<u32, String>,
    hosts: HashMap<IpAddr, Option<String>>,
    unseen: usize,
}

const ORDER: [(Table, Family, &str); 6] = [
    (Table::Tcp, Family::Inet, "tcp"),
    (Table::Tcp, Family::Inet6, "tcp6"),
    (Table::Udp, Family::Inet, "udp"),
    (Table::Udp, Family::Inet6, "udp6"),
    (Table::Raw, Family::Inet, "raw"),
    (Table::Raw, Family::Inet6, "raw6"),
];

impl<'a> Page<'a> {
    fn new(options: &'a Options) -> Result<Page<'a>, Error> {
        let mut selection = Selection::default();
        selection.query("all");
        selection.states = state::ALL | 1;
        selection.complete();
        let mut page = Page {
            options,
            selection,
            owners: Owners::default(),
            services: if options.numeric { Services::default() } else { Services::load() },
            users: if options.numeric || !options.extend { HashMap::new() } else { users() },
            hosts: HashMap::new(),
            unseen: 0,
        };
        if options.programs {
            let mut wanted = Vec::new();
            for (table, family) in page.tables() {
                page.each(table, family, &mut |socket| wanted.push(socket.inode))?;
            }
            wanted.sort_unstable();
            wanted.dedup();
            page.owners = Owners::find(Path::new("/proc"), &wanted, false);
        }
        Ok(page)
    }

    /// The files to read.
    fn tables(&self) -> Vec<(Table, Family)> {
        let wanted = |table: Table, family: Family| {
            (self.options.tables == 0 || self.options.tables & table.bit() != 0)
                && (self.options.families == 0 || self.options.families & family.bit() != 0)
        };
        let mut list: Vec<(Table, Family)> = ORDER
            .iter()
            .map(|(table, family, _)| (*table, *family))
            .filter(|(table, family)| wanted(*table, *family))
            .collect();
        list.push((Table::UnixStream, Family::Unix));
        list
    }

    /// Whether `-a`, `-l` or neither lets a socket through.
    fn shows(&self, socket: &Socket<'_>) -> bool {
        let listens = match socket.table {
            Table::Tcp | Table::UnixStream | Table::UnixDgram | Table::UnixSeqpacket => socket.state == state::N_LISTEN,
            _ => socket.state == state::N_CLOSE,
        };
        self.options.all || listens == self.options.listening
    }

    fn each(&self, table: Table, family: Family, visit: &mut dyn FnMut(&Socket<'_>)) -> Result<(), Error> {
        let mut filtered = |socket: &Socket<'_>| {
            if self.shows(socket) {
                visit(socket);
            }
            true
        };
        procnet::each(Path::new("/proc/net"), table, family, &self.selection, &mut filtered)
            .map_err(|error| Error::new(Exit(1), format!("cannot read /proc/net: {error}")))
    }

    fn which(&self) -> &'static str {
        match (self.options.all, self.options.listening) {
            (true, _) => "servers and established",
            (false, true) => "only servers",
            (false, false) => "w/o servers",
        }
    }

    fn inet(&mut self, ctx: &mut Ctx) -> Result<(), Error> {
        let mut header = format!(
            "{:<5} {:>6} {:>6} {:<23} {:<23} {:<11}",
            "Proto", "Recv-Q", "Send-Q", "Local Address", "Foreign Address", "State"
        );
        if self.options.extend {
            header.push_str(&format!(" {:<10} {:<10}", "User", "Inode"));
        }
        if self.options.programs {
            header.push_str(&format!(" {:<20}", "PID/Program name"));
        }
        if self.options.timers {
            header.push_str(" Timer");
        }
        writeln!(ctx.stdout, "Active Internet connections ({})", self.which())?;
        writeln!(ctx.stdout, "{header}")?;
        for (table, family) in self.tables().into_iter().filter(|(_, family)| *family != Family::Unix) {
            let name = ORDER.iter().find(|(t, f, _)| (*t, *f) == (table, family)).map_or("", |(_, _, name)| name);
            // Rows look names up, which must not happen while the reader borrows the page.
            let mut rows = Vec::new();
            self.each(table, family, &mut |socket| rows.push(Row::of(socket)))?;
            for row in rows {
                let line = self.inet_line(name, table, &row);
                writeln!(ctx.stdout, "{line}")?;
            }
        }
        Ok(())
    }

    fn inet_line(&mut self, name: &str, table: Table, row: &Row) -> String {
        let (local, remote) = (self.end(row.local, table), self.end(row.remote, table));
        let state = state_name(table, row.state);
        let mut line = format!("{name:<5} {:>6} {:>6} {local:<23} {remote:<23} {state:<11}", row.recv_q, row.send_q);
        if self.options.extend {
            let user = self.users.get(&row.uid).cloned().unwrap_or_else(|| row.uid.to_string());
            line.push_str(&format!(" {user:<10} {:<10}", row.inode));
        }
        if self.options.programs {
            line.push_str(&format!(" {:<20}", self.program(row.inode)));
        }
        if self.options.timers {
            let name = match row.timer {
                0 => "off",
                1 => "on",
                2 => "keepalive",
                3 => "timewait",
                4 => "probe",
                _ => "unkn",
            };
            let seconds = f64::from(row.expires) / 1000.0;
            line.push_str(&format!(" {name} ({seconds:.2}/{}/{})", row.retransmits, row.probes));
        }
        line
    }

    fn program(&mut self, inode: u32) -> String {
        match self.owners.of(inode).last() {
            // The peer keeps 19 characters of this column.
            Some((name, holder)) => format!("{}/{name}", holder.pid).chars().take(19).collect(),
            None => {
                self.unseen += usize::from(inode != 0);
                "-".to_owned()
            }
        }
    }

    fn end(&mut self, (address, port): (Option<IpAddr>, i64), table: Table) -> String {
        let Some(address) = address else { return String::new() };
        let port = match u16::try_from(port) {
            Ok(0) | Err(_) => "*".to_owned(),
            Ok(port) if self.options.numeric => port.to_string(),
            Ok(port) if table == Table::Raw => names::ip_protocol(port),
            Ok(port) => self.services.name(port, table == Table::Udp).map_or_else(|| port.to_string(), str::to_owned),
        };
        // Connections to an IPv6 socket over IPv4 are shown as what they are.
        let shown = match address {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
            IpAddr::V4(_) => address,
        };
        if !self.options.numeric {
            if shown.is_unspecified() && address.is_ipv6() {
                return format!("[::]:{port}");
            }
            let name = self
                .hosts
                .entry(shown)
                .or_insert_with(|| Some(shown).filter(|a| !a.is_unspecified()).and_then(reverse::name));
            if let Some(name) = name {
                return format!("{name}:{port}");
            }
        }
        let mut text = Vec::new();
        push_address(&mut text, shown);
        format!("{}:{port}", String::from_utf8_lossy(&text))
    }

    fn unix(&mut self, ctx: &mut Ctx) -> Result<(), Error> {
        writeln!(ctx.stdout, "Active UNIX domain sockets ({})", self.which())?;
        let program = if self.options.programs { "PID/Program name     " } else { "" };
        writeln!(ctx.stdout, "Proto RefCnt Flags       Type       State         I-Node   {program}Path")?;
        let mut rows = Vec::new();
        self.each(Table::UnixStream, Family::Unix, &mut |socket| {
            let name = String::from_utf8_lossy(socket.name.unwrap_or_default()).replace('\0', "@");
            rows.push((Row::of(socket), socket.table, text::printable(&name)));
        })?;
        for (row, table, name) in rows {
            let flags = if row.state == state::N_LISTEN { "[ ACC ]" } else { "[ ]" };
            let kind = match table {
                Table::UnixStream => "STREAM",
                Table::UnixSeqpacket => "SEQPACKET",
                _ => "DGRAM",
            };
            let state = match row.state {
                state::N_LISTEN => "LISTENING",
                2 => "CONNECTING",
                state::N_ESTABLISHED => "CONNECTED",
                11 => "DISCONNECTING",
                _ => "",
            };
            let program =
                if self.options.programs { format!("{:<20} ", self.program(row.inode)) } else { String::new() };
            writeln!(
                ctx.stdout,
                "unix  {:<6} {flags:<11} {kind:<10} {state:<13} {:<8} {program}{name}",
                row.references, row.inode
            )?;
        }
        Ok(())
    }
}

/// What a line shows, apart from the reader's buffer.
struct Row {
    local: (Option<IpAddr>, i64),
    remote: (Option<IpAddr>, i64),
    state: u8,
    recv_q: u32,
    send_q: u32,
    uid: u32,
    inode: u32,
    references: u32,
    timer: u8,
    expires: u32,
    retransmits: u32,
    probes: u32,
}

impl Row {
    fn of(socket: &Socket<'_>) -> Row {
        Row {
            local: (socket.local, socket.local_port),
            remote: (socket.remote, socket.remote_port),
            state: socket.state,
            recv_q: socket.recv_q,
            send_q: socket.send_q,
            uid: socket.uid,
            inode: socket.inode,
            references: socket.references,
            timer: socket.timer,
            expires: socket.expires,
            retransmits: if socket.timer == 1 { socket.retransmits } else { 0 },
            probes: if socket.timer == 1 { 0 } else { socket.retransmits },
        }
    }
}

fn state_name(table: Table, number: u8) -> String {
    let name = match (table, number) {
        (Table::Raw, number) => return number.to_string(),
        (Table::Udp, state::N_CLOSE) => "",
        (_, 1) => "ESTABLISHED",
        (_, 2) => "SYN_SENT",
        (_, 3) => "SYN_RECV",
        (_, 4) => "FIN_WAIT1",
        (_, 5) => "FIN_WAIT2",
        (_, 6) => "TIME_WAIT",
        (_, 7) => "CLOSE",
        (_, 8) => "CLOSE_WAIT",
        (_, 9) => "LAST_ACK",
        (_, 10) => "LISTEN",
        (_, 11) => "CLOSING",
        _ => "UNKNOWN",
    };
    name.to_owned()
}

/// passwd(5): names by number.
fn users() -> HashMap<u32, String> {
    let file = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut list = HashMap::new();
    for line in file.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(Ok(uid))) = (fields.next(), fields.nth(1).map(str::parse)) {
            list.entry(uid).or_insert_with(|| text::printable(name));
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> Error {
        match parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()) {
            Err(error) => error,
            Ok(_) => panic!("{line} is taken"),
        }
    }

    #[test]
    fn what_fingers_type() {
        for line in ["-tulpn", "-tlnp", "-an", "-anp", "-plant", "-tnW", "--tcp --listening --numeric", "-x", "-4"] {
            assert!(parse(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).is_ok(), "{line}");
        }
    }

    #[test]
    fn refusals_say_what_to_use() {
        for (line, status, part) in [
            ("-rn", 2, "ip route"),
            ("--route", 2, "ip route"),
            ("-i", 2, "ip -s link"),
            ("-s", 2, "ss -s"),
            ("-c", 2, "ss --watch"),
            ("--json", 2, "ss --json"),
            ("-Z", 2, "-Z is not offered"),
            ("-Y", 3, "invalid option -- 'Y'"),
            ("--nosuch", 3, "--nosuch"),
            ("word", 3, "word"),
        ] {
            let error = error(line);
            assert_eq!(error.exit.0, status, "{line}: {error}");
            assert!(error.message.contains(part), "{line}: {error}");
        }
    }
}
