//! Names that depend on the host: interfaces, services, users, and what /etc/iproute2 says.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;

use netkit_nf::nft::datatype::Name;
use netkit_nl::{Protocol, Request, Socket, flags};
use netkit_probe::services::Services;

/// Tables that are read when the first name is asked for.
pub(crate) struct Known {
    services: Option<Services>,
    users: bool,
    interfaces: OnceLock<HashMap<u64, String>>,
    files: [OnceLock<HashMap<u64, String>>; 6],
}

/// Where names stand, and how a line says number and name.
const FILES: [(Name, &str, Layout); 6] = [
    (Name::User, "/etc/passwd", Layout::Colons),
    (Name::Group, "/etc/group", Layout::Colons),
    (Name::Realm, "/etc/iproute2/rt_realms", Layout::Blanks),
    (Name::Mark, "/etc/iproute2/rt_marks", Layout::Blanks),
    (Name::DeviceGroup, "/etc/iproute2/group", Layout::Blanks),
    (Name::Label, "/etc/connlabel.conf", Layout::Blanks),
];

#[derive(Clone, Copy)]
enum Layout {
    /// name:x:number
    Colons,
    /// number name
    Blanks,
}

impl Known {
    pub(crate) fn new(services: bool, users: bool) -> Known {
        Known {
            services: services.then(Services::load),
            users,
            interfaces: OnceLock::new(),
            files: [const { OnceLock::new() }; 6],
        }
    }

    /// The name of a number, if there is one and it is wanted.
    pub(crate) fn find(&self, name: Name, number: u64) -> Option<String> {
        match name {
            Name::Interface => self.interfaces.get_or_init(interfaces).get(&number).cloned(),
            Name::Service => {
                let port = u16::try_from(number).ok()?;
                let services = self.services.as_ref()?;
                let by = |protocol| services.name(port, protocol).map(str::to_owned);
                by(netkit_probe::Protocol::Tcp).or_else(|| by(netkit_probe::Protocol::Udp))
            }
            Name::Cgroup => cgroup(Path::new("/sys/fs/cgroup"), number, 0)
                .map(|path| path.trim_start_matches("/sys/fs/cgroup/").to_owned()),
            Name::User | Name::Group if !self.users => None,
            _ => {
                let at = FILES.iter().position(|(known, ..)| *known == name)?;
                let (_, path, layout) = FILES.get(at)?;
                self.files.get(at)?.get_or_init(|| read(path, *layout)).get(&number).cloned()
            }
        }
    }
}

fn read(path: &str, layout: Layout) -> HashMap<u64, String> {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let mut known = HashMap::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let pair = match layout {
            Layout::Colons => {
                let mut parts = line.split(':');
                parts.next().zip(parts.nth(1))
            }
            Layout::Blanks => {
                let mut parts = line.split_whitespace();
                parts.next().zip(parts.next()).map(|(number, name)| (name, number))
            }
        };
        let Some((name, number)) = pair else { continue };
        let number = match number.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16),
            None => number.parse(),
        };
        if let Ok(number) = number {
            known.entry(number).or_insert_with(|| netkit_core::text::printable(name));
        }
    }
    known
}

/// Names by index, of this network namespace.
fn interfaces() -> HashMap<u64, String> {
    /// RTM_GETLINK
    const GET_LINK: u16 = 18;
    /// IFLA_IFNAME
    const NAME: u16 = 3;
    /// Octets of struct ifinfomsg, and where the index stands in it.
    const HEADER: usize = 16;
    const INDEX: usize = 4;
    let Ok(mut socket) = Socket::open(Protocol::Route) else { return HashMap::new() };
    let Ok(dump) = socket.dump(&Request::new(GET_LINK, flags::DUMP, &[0; HEADER])) else { return HashMap::new() };
    dump.messages()
        .filter_map(|message| {
            let index = message.payload.get(INDEX..)?.first_chunk::<4>()?;
            let name = message.attrs(HEADER).find(NAME)?.text();
            Some((u64::from(u32::from_ne_bytes(*index)), name))
        })
        .collect()
}

/// The path of a cgroup: its id is the inode of its folder.
fn cgroup(folder: &Path, id: u64, depth: usize) -> Option<String> {
    /// Deeper ones are shown by number.
    const DEPTH: usize = 8;
    if fs::metadata(folder).ok()?.ino() == id {
        return folder.to_str().map(str::to_owned);
    }
    if depth >= DEPTH {
        return None;
    }
    let inner = fs::read_dir(folder).ok()?.flatten();
    inner
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .find_map(|entry| cgroup(&entry.path(), id, depth + 1))
}
