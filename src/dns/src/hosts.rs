//! The hosts file (hosts(5)).

use std::io;
use std::net::IpAddr;
use std::path::Path;

use netkit_core::rooted;

/// Largest file read, in bytes; what lies beyond is not seen.
const MAX_BYTES: u64 = 4 << 20;

/// One line: an address and its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The address.
    pub address: IpAddr,
    /// Canonical name first.
    pub names: Vec<String>,
}

/// The lines that are well formed, in order.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    /// In file order.
    pub entries: Vec<Entry>,
}

impl Hosts {
    /// Reads the file; one that is absent is the same as an empty one.
    ///
    /// # Errors
    /// Any other failure to read.
    pub fn read(path: &Path) -> io::Result<Hosts> {
        match rooted::read_text(path, MAX_BYTES) {
            Ok(text) => Ok(Hosts::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Hosts::default()),
            Err(error) => Err(error),
        }
    }

    /// Lines without a valid address or a name are skipped, as every C library does.
    pub fn parse(text: &str) -> Hosts {
        let entries = text
            .lines()
            .filter_map(|line| {
                let mut words = line.split('#').next().unwrap_or("").split_whitespace();
                // A scope such as %eth0 has no place in an answer.
                let address = words.next()?.split('%').next()?.parse().ok()?;
                let names: Vec<String> = words.map(str::to_owned).collect();
                (!names.is_empty()).then_some(Entry { address, names })
            })
            .collect();
        Hosts { entries }
    }

    /// All addresses of a name, case-insensitively and without regard to a final dot.
    pub fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let bare = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let wanted = bare(name);
        let matches = |entry: &&Entry| entry.names.iter().any(|name| bare(name) == wanted);
        self.entries.iter().filter(matches).map(|entry| entry.address).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let hosts = Hosts::parse(
            "127.0.0.1\tlocalhost # me\n# 10.0.0.1 no\n10.0.0.2 Db db.local\nbad x\n::1 localhost\n10.0.0.3\n",
        );
        assert_eq!(hosts.entries.len(), 3);
        assert_eq!(hosts.addresses("db.LOCAL."), vec!["10.0.0.2".parse::<IpAddr>().unwrap()]);
        assert_eq!(hosts.addresses("localhost").len(), 2);
        assert!(hosts.addresses("no").is_empty());
    }
}
