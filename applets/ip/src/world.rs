//! What every object needs: the kernel, names of links and namespaces, and how output is wanted.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::AsRawFd;

use netkit_nl::route::{Link, kind, nsid_of};
use netkit_nl::{Dump, Message, Protocol, Request, Socket, flags};

use crate::names::Names;
use crate::options::Options;
use crate::stop::{Res, Stop};

/// Where `ip netns add` binds namespaces.
pub(crate) const NETNS_DIR: &str = "/run/netns";

/// What is remembered of a link.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) flags: u32,
    pub(crate) arp: u16,
    /// The link below it is in another namespace.
    pub(crate) foreign: bool,
    /// Length of the transmission queue, packets.
    pub(crate) queue: u32,
}

/// The kernel as one command sees it.
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) names: Names,
    socket: Option<Socket>,
    links: Option<BTreeMap<i32, Known>>,
    /// Links asked for one by one, while not all are known; nothing for one that is not here.
    singles: BTreeMap<i32, Option<Known>>,
    altnames: BTreeMap<String, i32>,
    namespaces: Option<BTreeMap<i32, String>>,
}

impl World {
    pub(crate) fn new(options: Options) -> World {
        World {
            names: Names::load(options.numeric),
            options,
            socket: None,
            links: None,
            singles: BTreeMap::new(),
            altnames: BTreeMap::new(),
            namespaces: None,
        }
    }

    /// The route socket, opened once.
    pub(crate) fn route(&mut self) -> Res<&mut Socket> {
        if self.socket.is_none() {
            let mut socket = Socket::open(Protocol::Route)?;
            socket.strict();
            self.socket = Some(socket);
        }
        self.socket.as_mut().ok_or_else(|| Stop::from(netkit_nl::Error::Malformed("no socket")))
    }

    /// A dump on the route socket.
    pub(crate) fn dump(&mut self, request: &Request) -> Res<Dump> {
        Ok(self.route()?.dump(request)?)
    }

    fn load_links(&mut self) -> &BTreeMap<i32, Known> {
        if self.links.is_none() {
            // IFLA_EXT_MASK with RTEXT_FILTER_SKIP_STATS
            let request = Request::new(kind::GET_LINK, flags::DUMP, &Link::default().bytes()).u32(29, 8);
            // Without the kernel's help links are shown by number.
            match self.dump(&request) {
                Ok(dump) => self.learn_all(&dump),
                Err(_) => self.links = Some(BTreeMap::new()),
            }
        }
        self.links.get_or_insert_default()
    }

    /// Remembers every link of a dump that leaves none out.
    pub(crate) fn learn_all(&mut self, dump: &Dump) {
        let mut map = BTreeMap::new();
        for message in dump.messages().filter(|message| message.kind == kind::NEW_LINK) {
            let Some((index, known)) = read_known(&message) else { continue };
            let list = message.attrs(Link::LENGTH).find(52).map(|list| list.nested());
            for alt in list.into_iter().flatten() {
                self.altnames.insert(alt.text(), index);
            }
            map.insert(index, known);
        }
        self.links = Some(map);
    }

    /// Remembers a link that a message told of.
    pub(crate) fn learn(&mut self, index: i32, known: Known) {
        self.load_links();
        self.links.get_or_insert_default().insert(index, known);
    }

    pub(crate) fn forget(&mut self, index: i32) {
        self.load_links();
        self.links.get_or_insert_default().remove(&index);
    }

    /// What is known of a link. Index 0 is no link: asking for it learns of all, ahead of a long list.
    pub(crate) fn link(&mut self, index: i32) -> Option<&Known> {
        if index == 0 || self.links.is_some() {
            return self.load_links().get(&index);
        }
        if !self.singles.contains_key(&index) {
            let header = Link { index, ..Link::default() };
            let request = Request::new(kind::GET_LINK, 0, &header.bytes()).u32(29, 8);
            let answer = self.route().ok().and_then(|socket| socket.exchange(&request).ok());
            let known =
                answer.as_ref().and_then(|answer| read_known(&answer.messages().next()?)).map(|(_, known)| known);
            self.singles.insert(index, known);
        }
        self.singles.get(&index).and_then(Option::as_ref)
    }

    /// The name of a link; `*` for 0, `ifN` for one that is not here.
    pub(crate) fn link_name(&mut self, index: i32) -> String {
        if index == 0 {
            return "*".to_owned();
        }
        self.link(index).map_or_else(|| format!("if{index}"), |known| known.name.clone())
    }

    /// Every link's index and name.
    pub(crate) fn link_names(&mut self) -> Vec<(u32, String)> {
        let known = self.load_links().iter();
        known.filter_map(|(index, known)| Some((u32::try_from(*index).ok()?, known.name.clone()))).collect()
    }

    /// The ifindex of a name or alternative name, or of `ifN`.
    pub(crate) fn link_index(&mut self, name: &str) -> Option<i32> {
        let found = self.load_links().iter().find(|(_, known)| known.name == name).map(|(index, _)| *index);
        found
            .or_else(|| self.altnames.get(name).copied())
            .or_else(|| name.strip_prefix("if").and_then(|digits| digits.parse().ok()))
    }

    /// As [`World::link_index`], refusing in the peer's words.
    pub(crate) fn device(&mut self, name: &str) -> Res<i32> {
        self.link_index(name).ok_or_else(|| Stop::no_device(&netkit_core::text::printable(name)))
    }

    /// The name below /run/netns of the namespace that has this id here.
    pub(crate) fn namespace_name(&mut self, id: i32) -> Option<String> {
        if self.namespaces.is_none() {
            let mut map = BTreeMap::new();
            for (name, id) in self.bound_namespaces() {
                if id >= 0 {
                    map.insert(id, name);
                }
            }
            self.namespaces = Some(map);
        }
        self.namespaces.as_ref().and_then(|map| map.get(&id).cloned())
    }

    /// Every namespace below /run/netns with its id here, -1 where it has none, in the order of the directory.
    pub(crate) fn bound_namespaces(&mut self) -> Vec<(String, i32)> {
        let Ok(entries) = fs::read_dir(NETNS_DIR) else { return Vec::new() };
        let mut found = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let id = File::open(entry.path()).ok().and_then(|file| self.namespace_id(&file));
            found.push((name, id.unwrap_or(-1)));
        }
        found
    }

    fn namespace_id(&mut self, file: &File) -> Option<i32> {
        let answer = self.route().ok()?.exchange(&nsid_of(file.as_raw_fd())).ok()?;
        answer.messages().next()?.attrs(4).find(1)?.i32()
    }
}

impl World {
    /// Enters the namespace called `name`: one below /run/netns, a path, or that of a process.
    pub(crate) fn enter(&mut self, name: &str) -> Res {
        let bound = format!("{NETNS_DIR}/{name}");
        let path = std::path::Path::new(&bound);
        let plain = !name.contains('/');
        if plain && !path.exists() && !name.bytes().all(|byte| byte.is_ascii_digit()) {
            let shown = netkit_core::text::printable(name);
            return Err(Stop::peer(
                255,
                format!("Cannot open network namespace \"{shown}\": No such file or directory"),
            ));
        }
        let target = if path.exists() { bound.as_str() } else { name };
        netkit_sys::netns::enter(target).map_err(|error| {
            // A file that is no namespace, in the peer's words.
            if error.message.ends_with("is not a network namespace") {
                let shown = netkit_core::text::printable(name);
                Stop::peer(255, format!("setting the network namespace \"{shown}\" failed: Invalid argument"))
            } else {
                Stop::House(error)
            }
        })?;
        // What was learnt in the namespace left behind does not hold here.
        (self.socket, self.links, self.namespaces) = (None, None, None);
        self.singles.clear();
        self.altnames.clear();
        Ok(())
    }
}

/// What is remembered of a link that a message tells of.
pub(crate) fn read_known(message: &Message<'_>) -> Option<(i32, Known)> {
    let link = Link::read(message.payload)?;
    let attrs = message.attrs(Link::LENGTH);
    let known = Known {
        name: attrs.find(3)?.text(),
        flags: link.flags,
        arp: link.arp,
        foreign: attrs.find(37).is_some(),
        queue: attrs.find(13).and_then(|attr| attr.u32()).unwrap_or(0),
    };
    Some((link.index, known))
}
