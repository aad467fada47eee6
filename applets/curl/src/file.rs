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
        if !self.config.proto.0.contains(&"file") || self.redirected {
            return Err(Failure::new(Code::UnsupportedProtocol, "Protocol \"file\" disabled"));
        }
        use std::os::unix::ffi::OsStringExt as _;
        let path = std::ffi::OsString::from_vec(percent_decode(&self.url.path));
        let shown = decoded(&self.url.path);
        if self.kind == Kind::Put {
            return self.file_upload(&path);
        }
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
        if self.resume > found.len() {
            return Err(Failure::new(Code::BadResume, "failed to resume file:// transfer"));
        }
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

    /// `-T` to a `file://` URL: a copy, appended from an offset on with `-C`.
    fn file_upload(&mut self, path: &std::ffi::OsStr) -> Result<(), Failure> {
        use std::io::Write as _;
        let refused = |_| Failure::new(Code::Write, format!("cannot open {} for writing", path.to_string_lossy()));
        let mut options = std::fs::OpenOptions::new();
        options.create(true);
        let mut file = match self.resume {
            0 => options.write(true).truncate(true),
            _ => options.append(true),
        }
        .open(path)
        .map_err(refused)?;
        let unread = |_| Failure::new(Code::Read, "Failed to open/read local data from file/application");
        let mut source = self.body.open().map_err(unread)?;
        let mut buffer = vec![0u8; 64 * 1024];
        loop {
            let count = source.read(&mut buffer).map_err(unread)?;
            if count == 0 {
                return Ok(());
            }
            file.write_all(buffer.get(..count).unwrap_or_default())
                .map_err(|_| Failure::new(Code::Send, "Failed sending data to the peer"))?;
            self.facts.up += u64::try_from(count).unwrap_or(0);
        }
    }
}
