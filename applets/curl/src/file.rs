//! `file://`: a file of this machine as if it were a response.

use std::io::Read as _;

use netkit_http::decode::Decoder;
use netkit_http::url::percent_decode;
use netkit_http::{Code, Failure};

use crate::connect::decoded;
use crate::exchange::Verdict;
use crate::request::Kind;
use crate::transfer::Transfer;

impl Transfer<'_> {
    /// `file://`.
    pub(crate) fn file(&mut self) -> Result<(), Failure> {
        if !self.config.proto.0.contains(&"file") || self.facts.redirects > 0 {
            return Err(Failure::new(Code::UnsupportedProtocol, "Protocol \"file\" disabled"));
        }
        if self.kind == Kind::Put {
            return Err(Failure::new(Code::NotBuiltIn, "uploads to file:// are not offered; use cp"));
        }
        use std::os::unix::ffi::OsStringExt as _;
        let path = std::ffi::OsString::from_vec(percent_decode(&self.url.path));
        let shown = decoded(&self.url.path);
        let missing = |_| Failure::new(Code::FileRead, format!("Couldn't open file {shown}"));
        let mut file = std::fs::File::open(&path).map_err(missing)?;
        let found = file.metadata().map_err(missing)?;
        if found.is_dir() {
            return Err(Failure::new(Code::FileRead, format!("Couldn't open file {shown}")));
        }
        self.facts.method = "GET".to_owned();
        if self.config.head || self.config.include {
            let mut head = format!("Content-Length: {}\r\nAccept-ranges: bytes\r\n", found.len());
            let modified = found.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
            if let Some(since) = modified {
                let seconds = i64::try_from(since.as_secs()).unwrap_or(0);
                head.push_str(&format!("Last-Modified: {}\r\n", netkit_http::date::http(seconds)));
            }
            if !self.config.head {
                head.push_str("\r\n");
            }
            self.output.write(head.as_bytes(), true)?;
            if self.config.head {
                return Ok(());
            }
        }
        self.expected = Some(found.len());
        if self.resume > 0 {
            let sought = std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(self.resume));
            sought.map_err(|_| Failure::new(Code::Range, "Could not seek in the file"))?;
        }
        let mut limit = u64::MAX;
        if let Some((from, to)) = self.config.range.as_ref().and_then(|range| range.split_once('-')) {
            let from: u64 = from.parse().unwrap_or_else(|_| found.len().saturating_sub(to.parse().unwrap_or(0)));
            let sought = std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(from));
            sought.map_err(|_| Failure::new(Code::Range, "Could not seek in the file"))?;
            if let (Ok(to), true) =
                (to.parse::<u64>(), !self.config.range.as_ref().is_some_and(|range| range.starts_with('-')))
            {
                limit = to.saturating_sub(from).saturating_add(1);
            }
        }
        let mut file = file.take(limit);
        let mut buffer = vec![0u8; 64 * 1024];
        loop {
            let count = file.read(&mut buffer).map_err(|_| Failure::new(Code::Read, "Failed to read the file"))?;
            if count == 0 {
                return Ok(());
            }
            self.deliver(buffer.get(..count).unwrap_or_default(), Verdict::Deliver, &mut Decoder::default())?;
        }
    }
}
