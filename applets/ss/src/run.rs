//! From options to output.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use netkit_core::json::Value;
use netkit_core::privilege::{Capability, missing};
use netkit_core::{Ctx, Error, Exit};

use crate::args::{GroupBy, Mode, Options, Place};
use crate::filter::{self, Lookup, Node};
use crate::kernel::Extras;
use crate::layout::{Column, Layout, screen_width};
use crate::names::{self, Interfaces, Services};
use crate::owners::{self, Namespace, Owners};
use crate::pods::{Cgroups, Pods};
use crate::print::{self, World};
use crate::select::{INET, Selection, Table, state};
use crate::socket::Socket;
use crate::summary::Summary;
use crate::tour::Tour;
use crate::{act, json, report};

/// Bytes of a filter file that are read.
const LONGEST_FILTER: u64 = 1 << 20;
pub(crate) const FAILED: Exit = Exit(1);

/// Runs one command line.
pub(crate) fn run(ctx: &mut Ctx, options: Options) -> Result<Exit, Error> {
    ctx.explain |= options.explain;
    if let Place::Namespace(target) = &options.place {
        netkit_sys::netns::enter(target)?;
    }
    let files = files(&options)?;
    if options.summary {
        summarize(ctx, &options, files.as_deref())?;
        if options.selection.untouched && options.words.is_empty() && options.states == 0 {
            return Ok(Exit::OK);
        }
    }
    let mut job = Job::prepare(ctx, options, files)?;
    if let Some(nothing) = job.nothing() {
        ctx.say(&format!("{}: no {nothing} to show with such filter.", ctx.name));
        return Ok(Exit::OK);
    }
    match job.options.mode {
        Mode::List if job.options.place == Place::Everywhere => everywhere(ctx, &mut job),
        Mode::List => list(ctx, &job),
        Mode::Group(by) => report::group(ctx, &job, by),
        Mode::Watch(seconds) => report::watch(ctx, &job, seconds),
        Mode::Problems => crate::problems::run(ctx, &job),
        Mode::Events => act::events(ctx, &job),
        Mode::Kill => act::kill(ctx, &job),
    }
}

/// The directory to read in place of the kernel, if that is wanted.
fn files(options: &Options) -> Result<Option<PathBuf>, Error> {
    match options.place {
        Place::OfProcess(pid) => {
            let net = PathBuf::from(format!("/proc/{pid}/net"));
            match std::fs::metadata(net.join("tcp")) {
                Ok(_) => Ok(Some(net)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    Err(Error::usage(format!("--pid: there is no process {pid}")))
                }
                Err(error) => Err(Error::new(FAILED, format!("--pid: cannot read {}: {error}", net.display()))),
            }
        }
        _ => Ok(options.from_proc.then(|| PathBuf::from("/proc/net"))),
    }
}

fn summarize(ctx: &mut Ctx, options: &Options, files: Option<&Path>) -> Result<(), Error> {
    let net = files.unwrap_or(Path::new("/proc/net"));
    let summary = Summary::read(net)
        .map_err(|error| Error::new(FAILED, format!("cannot read {}/sockstat: {error}", net.display())))?;
    if options.json {
        let value = Value::object().with("schema", "ss-summary/1").with("summary", summary.json());
        writeln!(ctx.stdout, "{value}")?;
    } else {
        ctx.stdout.write_all(summary.text(ctx.stdout_is_terminal).as_bytes())?;
    }
    Ok(())
}

/// What names in a filter are looked up in.
struct Names<'a> {
    services: &'a Services,
}

impl Lookup for Names<'_> {
    fn service(&self, name: &str, udp: bool, tcp: bool) -> Result<Option<u16>, ()> {
        let found = |wanted: bool, udp: bool| if wanted { self.services.port(name, udp) } else { None };
        match (found(udp, true), found(tcp, false)) {
            (Some(udp), Some(tcp)) if udp != tcp => Err(()),
            (udp, tcp) => Ok(udp.or(tcp)),
        }
    }

    fn host(&self, name: &str) -> Vec<IpAddr> {
        (name, 0u16).to_socket_addrs().map(|list| list.map(|address| address.ip()).collect()).unwrap_or_default()
    }

    fn interface(&self, name: &str) -> Option<u32> {
        names::interface_index(name)
    }

    fn cgroup(&self, path: &str) -> Option<u64> {
        Cgroups::id(path)
    }
}

/// A command line ready to run.
pub(crate) struct Job {
    pub(crate) options: Options,
    pub(crate) selection: Selection,
    pub(crate) node: Option<Node>,
    pub(crate) files: Option<PathBuf>,
}

impl Job {
    fn prepare(ctx: &mut Ctx, mut options: Options, files: Option<PathBuf>) -> Result<Job, Error> {
        let mut selection = options.selection.clone();
        let untouched = selection.untouched;
        if untouched {
            selection.query("all");
            if options.states == 0 {
                selection.states = state::CONNECTED;
            }
        }
        if options.states != 0 {
            selection.states = options.states;
        }
        selection.complete();
        let mut words = options.words.clone();
        if let Some(file) = &options.filter_file {
            words.extend(filter_file(ctx, file)?);
        }
        let services = Services::load();
        let parsed = filter::parse(&words, &mut selection, &Names { services: &services })?;
        if parsed.shorthand {
            options.show.processes = true;
            if options.states == 0 {
                selection.states = state::ALL;
            }
            let process = parsed.node.as_ref().is_some_and(|node| node.any(&|node| matches!(node, Node::Process(_))));
            // A port or an address is one of the internet's.
            if untouched && !process {
                selection.tables &= INET;
            }
        }
        if matches!(options.mode, Mode::Problems) && untouched {
            selection.tables = Table::Tcp.bit() | Table::Udp.bit();
            selection.states = if options.states == 0 { state::ALL } else { options.states };
        }
        Ok(Job { options, selection, node: parsed.node, files })
    }

    fn nothing(&self) -> Option<&'static str> {
        match (self.selection.tables, self.selection.families, self.selection.states) {
            (0, _, _) => Some("socket tables"),
            (_, 0, _) => Some("families"),
            (_, _, 0) => Some("socket states"),
            _ => None,
        }
    }

    pub(crate) fn extras(&self) -> Extras {
        let (show, json) = (&self.options.show, self.options.json);
        Extras {
            memory: show.memory || json,
            info: show.info || json,
            tos: show.tos || json,
            details: show.details || json,
        }
    }

    pub(crate) fn tour(&self) -> Tour<'_> {
        Tour::new(&self.selection, self.node.as_ref(), self.extras(), self.files.as_deref())
    }

    /// A pass with what TCP measures and what was dropped, whatever the page shows of it.
    pub(crate) fn tour_with_info(&self) -> Tour<'_> {
        let extras = Extras { info: true, memory: true, ..self.extras() };
        Tour::new(&self.selection, self.node.as_ref(), extras, self.files.as_deref())
    }

    /// Whether rows depend on who holds the socket.
    pub(crate) fn wants_owners(&self) -> bool {
        let show = &self.options.show;
        let named = self.node.as_ref().is_some_and(|node| node.any(&|node| matches!(node, Node::Process(_))));
        show.processes || show.threads || show.pods || named
    }

    /// Inodes of the sockets that may be shown.
    fn inodes(&self, wanted: &mut Vec<u32>) -> Result<(), Error> {
        // With a process in the filter the first pass cannot tell what the second will select.
        let by_process = self.node.as_ref().is_some_and(|node| node.any(&|node| matches!(node, Node::Process(_))));
        let node = if by_process { None } else { self.node.as_ref() };
        let mut tour = Tour::new(&self.selection, node, Extras::default(), self.files.as_deref());
        tour.each(&mut |socket| {
            if socket.inode != 0 {
                wanted.push(socket.inode);
            }
            true
        })
    }

    /// Finds the holders of sockets by their inodes, which no two namespaces share.
    fn holders(&self, mut wanted: Vec<u32>) -> Rc<Owners> {
        wanted.sort_unstable();
        wanted.dedup();
        Rc::new(Owners::find(Path::new("/proc"), &wanted, self.options.show.threads))
    }

    /// Everything rows need, with the holders found if they matter.
    pub(crate) fn world(&self) -> Result<World<'static>, Error> {
        self.world_of(self.wants_owners(), self.options.show.pods)
    }

    /// With the holders, for findings that name them.
    pub(crate) fn world_with_owners(&self) -> Result<World<'static>, Error> {
        self.world_of(true, self.options.show.pods)
    }

    /// With what a key of `--group-by` is made of.
    pub(crate) fn world_for(&self, by: GroupBy) -> Result<World<'static>, Error> {
        let pods = self.options.show.pods || by == GroupBy::Pod;
        self.world_of(self.wants_owners() || matches!(by, GroupBy::Pod | GroupBy::Process), pods)
    }

    fn world_of(&self, owners: bool, pods: bool) -> Result<World<'static>, Error> {
        let mut wanted = Vec::new();
        if owners {
            self.inodes(&mut wanted)?;
        }
        Ok(self.world_from(self.holders(wanted), pods))
    }

    fn world_from(&self, owners: Rc<Owners>, pods: bool) -> World<'static> {
        let show = self.options.show;
        World {
            show,
            services: if show.numeric { Services::default() } else { Services::load() },
            interfaces: self.files.clone().map(Interfaces::of_proc).unwrap_or_default(),
            cgroups: Cgroups::default(),
            owners,
            pods: pods.then(|| Pods::load(Path::new("/proc"))),
            resolve: &crate::reverse::name,
            hosts: std::collections::HashMap::new(),
            protocols: std::collections::HashMap::new(),
            sctp: 0,
        }
    }

    /// Whether `--pod` and `--container` let a socket through.
    pub(crate) fn lets_through(&self, world: &mut World<'_>, socket: &Socket<'_>) -> bool {
        let (pod, container) = (self.options.pod.as_deref(), self.options.container.as_deref());
        if pod.is_none() && container.is_none() {
            return true;
        }
        world.container(socket).is_some_and(|found| {
            pod.is_none_or(|pod| found.is_pod(pod)) && container.is_none_or(|name| found.is_container(name))
        })
    }

    pub(crate) fn layout(&self, ctx: &Ctx) -> Layout {
        let terminal = ctx.stdout_is_terminal;
        let mut layout = Layout::new(screen_width(terminal, ctx.var("COLUMNS")), terminal);
        let show = &self.options.show;
        let one = |set: u32| set.count_ones() == 1;
        let hidden = [
            (Column::Netid, one(self.selection.tables)),
            (Column::State, one(self.selection.states)),
            (Column::RecvQ, show.no_queues),
            (Column::SendQ, show.no_queues),
            (Column::Pod, !show.pods),
            (Column::Process, !show.processes && !show.threads),
        ];
        for (column, hide) in hidden {
            if hide {
                layout.hide(column);
            }
        }
        layout
    }
}

/// Words of a filter file: one line after another, those that begin with `#` or `0` left out as the peer does.
fn filter_file(ctx: &mut Ctx, name: &str) -> Result<Vec<String>, Error> {
    let fault = |error: io::Error| Error::new(filter::USAGE, format!("cannot read filter file {name}: {error}"));
    let mut text = String::new();
    if name.starts_with('-') {
        (&mut ctx.stdin).take(LONGEST_FILTER).read_to_string(&mut text).map_err(fault)?;
    } else {
        std::fs::File::open(name)
            .and_then(|file| file.take(LONGEST_FILTER).read_to_string(&mut text))
            .map_err(fault)?;
    }
    Ok(text.lines().filter(|line| !line.starts_with(['#', '0'])).map(str::to_owned).collect())
}

/// Where rows go: columns, or JSON.
pub(crate) struct Page {
    layout: Layout,
    json: bool,
    /// JSON objects line by line, each with its schema, and not in one array.
    stream: bool,
    rows: usize,
    failure: Option<io::Error>,
}

impl Page {
    pub(crate) fn begin(ctx: &mut Ctx, job: &Job, stream: bool) -> Result<Page, Error> {
        let mut layout = job.layout(ctx);
        if job.options.json && !stream {
            write!(ctx.stdout, "{{\"schema\":\"{}\",\"sockets\":[", json::SCHEMA)?;
        } else if !job.options.json && !job.options.show.no_header {
            layout.header();
        }
        Ok(Page { layout, json: job.options.json, stream, rows: 0, failure: None })
    }

    /// Adds a row; false when the output is closed.
    pub(crate) fn row(&mut self, ctx: &mut Ctx, world: &mut World<'_>, socket: &Socket<'_>) -> bool {
        let result = if self.json && self.stream {
            let record = json::record(world, socket);
            writeln!(ctx.stdout, "{}", with_schema(record))
        } else if self.json {
            let comma = if self.rows > 0 { "," } else { "" };
            let record = json::record(world, socket);
            write!(ctx.stdout, "{comma}\n{record}")
        } else {
            print::row(&mut self.layout, world, socket, &mut ctx.stdout)
        };
        self.rows += 1;
        match result {
            Ok(()) => true,
            Err(error) => {
                self.failure = Some(error);
                false
            }
        }
    }

    pub(crate) fn flush(&mut self, ctx: &mut Ctx) -> io::Result<()> {
        self.layout.flush(&mut ctx.stdout)?;
        ctx.stdout.flush()
    }

    pub(crate) fn end(mut self, ctx: &mut Ctx) -> Result<usize, Error> {
        if let Some(error) = self.failure {
            return Err(error.into());
        }
        if !self.json {
            self.layout.flush(&mut ctx.stdout)?;
        } else if !self.stream {
            ctx.stdout.write_all(b"\n]}\n")?;
        }
        Ok(self.rows)
    }
}

/// The record of a stream says what it is.
pub(crate) fn with_schema(record: Value) -> Value {
    match record {
        Value::Object(mut members) => {
            members.insert(0, ("schema".to_owned(), json::SCHEMA.into()));
            Value::Object(members)
        }
        other => other,
    }
}

fn list(ctx: &mut Ctx, job: &Job) -> Result<Exit, Error> {
    let mut world = job.world()?;
    let mut page = Page::begin(ctx, job, false)?;
    let unseen = rows(ctx, job, &mut world, &mut page)?;
    let rows = page.end(ctx)?;
    hints(ctx, job, &world, unseen);
    if rows == 0
        && let Some(Node::Process(name)) = &job.node
    {
        ctx.hint(&format!("no process called {name} holds a socket that is shown here"));
    }
    Ok(Exit::OK)
}

/// One pass into a page. Returns how many sockets have a holder that may not be seen.
fn rows(ctx: &mut Ctx, job: &Job, world: &mut World<'_>, page: &mut Page) -> Result<usize, Error> {
    let mut tour = job.tour();
    tour.known.owners = Rc::clone(&world.owners);
    let mut unseen = 0;
    tour.each(&mut |socket| {
        if !job.lets_through(world, socket) {
            return true;
        }
        if socket.is_inet() && socket.inode != 0 && world.owners.of(socket.inode).next().is_none() {
            unseen += 1;
        }
        page.row(ctx, world, socket)
    })?;
    if tour.interrupted {
        ctx.hint("the tables changed while they were read: a socket may be missing or shown twice");
    }
    let marked = job.node.as_ref().is_some_and(|node| node.any(&|node| matches!(node, Node::Mark { .. })));
    if marked && tour.denied {
        ctx.hint(&missing(Capability::NetAdmin, "filtering by fwmark", "every other filter; all marks count as 0"));
    }
    for (table, name) in [(Table::Sctp, "SCTP"), (Table::Mptcp, "MPTCP"), (Table::VsockStream, "vsock")] {
        if !job.options.selection.untouched && job.files.is_none() && tour.absent & table.bit() != 0 {
            ctx.hint(&format!("this kernel does not list {name} sockets"));
        }
    }
    if !tour.has_kernel() && job.files.is_none() {
        ctx.hint("this kernel has no sock_diag: read from /proc/net, without what -i and -m show");
    }
    Ok(unseen)
}

/// What could not be shown, and what would let it.
fn hints(ctx: &mut Ctx, job: &Job, world: &World<'_>, unseen: usize) {
    if unseen > 0 && world.owners.denied > 0 && job.wants_owners() {
        let line = missing(
            Capability::SysPtrace,
            &format!("naming the processes of {unseen} sockets"),
            "their uid, and the processes of this user",
        );
        ctx.hint(&line);
    }
}

/// `--all-netns`: namespace after namespace, entered where that is allowed, else through /proc/PID/net. The holders of all
/// sockets are looked for once.
fn everywhere(ctx: &mut Ctx, job: &mut Job) -> Result<Exit, Error> {
    let own = std::fs::File::open("/proc/self/ns/net")
        .map_err(|error| Error::new(FAILED, format!("cannot open /proc/self/ns/net: {error}")))?;
    // Within another namespace this path leads back.
    let home = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&own));
    let namespaces = owners::namespaces(Path::new("/proc"));
    let mut wanted = Vec::new();
    if job.wants_owners() {
        for namespace in &namespaces {
            within(job, &home, namespace, |job, _| job.inodes(&mut wanted))?;
        }
    }
    let owners = job.holders(wanted);
    let mut page = Page::begin(ctx, job, job.options.json)?;
    let (mut unseen, mut refused) = (0, false);
    for namespace in &namespaces {
        within(job, &home, namespace, |job, entered| {
            let mut world = job.world_from(Rc::clone(&owners), job.options.show.pods);
            page.heading(ctx, namespace, entered)?;
            refused |= !entered;
            unseen += rows(ctx, job, &mut world, &mut page)?;
            Ok(())
        })?;
    }
    page.end(ctx)?;
    if refused {
        ctx.hint(&missing(Capability::SysAdmin, "entering other namespaces", "/proc/PID/net, used here"));
    }
    let world = job.world_from(owners, false);
    hints(ctx, job, &world, unseen);
    Ok(Exit::OK)
}

/// Does something in a namespace and comes back. A process that ended meanwhile took its namespace along: that is no error.
fn within(
    job: &mut Job,
    home: &str,
    namespace: &Namespace,
    act: impl FnOnce(&Job, bool) -> Result<(), Error>,
) -> Result<(), Error> {
    let entered = netkit_sys::netns::enter(&format!("/proc/{}/ns/net", namespace.pid)).is_ok();
    job.files = (!entered).then(|| PathBuf::from(format!("/proc/{}/net", namespace.pid)));
    let outcome = act(job, entered);
    job.files = None;
    if entered {
        netkit_sys::netns::enter(home)?;
    }
    let gone = !entered && !Path::new(&format!("/proc/{}", namespace.pid)).exists();
    if gone { Ok(()) } else { outcome }
}

impl Page {
    /// Says whose rows follow: a line on the page, an object of its own in JSON.
    fn heading(&mut self, ctx: &mut Ctx, namespace: &Namespace, entered: bool) -> Result<(), Error> {
        let Namespace { inode, pid, .. } = namespace;
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let name = netkit_core::text::printable(name.trim_end());
        let source = if entered { "sock_diag" } else { "procfs" };
        self.layout.flush(&mut ctx.stdout)?;
        if self.json {
            let head = Value::object()
                .with("schema", "ss-netns/1")
                .with("netns_inode", *inode)
                .with("pid", *pid)
                .with("process", name)
                .with("source", source);
            writeln!(ctx.stdout, "{head}")?;
        } else {
            writeln!(ctx.stdout, "# netns {inode} pid {pid} ({name})")?;
        }
        Ok(())
    }
}
