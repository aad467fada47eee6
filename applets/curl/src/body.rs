//! What a request carries: bytes, files one after the other, or standard input.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::sync::OnceLock;

/// One stretch of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Bytes(Vec<u8>),
    /// Bytes whose number is not told beforehand: encoders that lengthen lines.
    Unsized(Vec<u8>),
    File(String),
}

/// A body that can be sent more than once, except from standard input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Body {
    #[default]
    None,
    Segments(Vec<Segment>),
    /// `-T FILE`, from an offset on.
    File(String, u64),
    Stdin,
}

impl Body {
    /// Bytes it will have, if that can be known.
    pub(crate) fn length(&self) -> io::Result<Option<u64>> {
        let file = |path: &str| -> io::Result<Option<u64>> {
            let found = std::fs::metadata(path)?;
            Ok(found.is_file().then_some(found.len()))
        };
        Ok(match self {
            Body::None => Some(0),
            Body::Stdin => None,
            Body::File(path, offset) => file(path)?.map(|length| length.saturating_sub(*offset)),
            Body::Segments(segments) => {
                let mut total = 0u64;
                for segment in segments {
                    let length = match segment {
                        Segment::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
                        Segment::Unsized(_) => return Ok(None),
                        Segment::File(path) => match file(path)? {
                            Some(length) => length,
                            None => return Ok(None),
                        },
                    };
                    total = total.saturating_add(length);
                }
                Some(total)
            }
        })
    }

    /// Whether it can be sent again.
    pub(crate) fn repeats(&self) -> bool {
        !matches!(self, Body::Stdin) || standard_file().is_ok()
    }

    pub(crate) fn open(&self) -> io::Result<Source> {
        let mut waiting = VecDeque::new();
        let mut current: Option<Box<dyn Read + Send>> = None;
        match self {
            Body::None => {}
            Body::Segments(segments) => waiting.extend(segments.iter().cloned()),
            Body::File(path, offset) => {
                let mut file = File::open(path)?;
                if *offset > 0 {
                    file.seek(SeekFrom::Start(*offset))?;
                }
                current = Some(Box::new(file));
            }
            // What was read for an earlier request is read again, where that can be.
            Body::Stdin => {
                current = Some(match standard_file() {
                    Ok(mut file) => {
                        let start = *STDIN_START.get_or_init(|| file.stream_position().unwrap_or(0));
                        file.seek(SeekFrom::Start(start))?;
                        Box::new(file)
                    }
                    Err(_) => Box::new(io::stdin()),
                });
            }
        }
        Ok(Source { waiting, current })
    }
}

/// Where standard input stood when it was first sent.
static STDIN_START: OnceLock<u64> = OnceLock::new();

/// Standard input, when it is a file and not a pipe or a terminal.
fn standard_file() -> io::Result<File> {
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::NotSeekable.into()) }
}

/// The bytes of a body in order.
pub(crate) struct Source {
    waiting: VecDeque<Segment>,
    current: Option<Box<dyn Read + Send>>,
}

impl Read for Source {
    /// Segments are joined: short ones do not make short pieces.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut at = 0;
        loop {
            let mut stream = false;
            if let Some(current) = &mut self.current {
                stream = self.waiting.is_empty();
                match current.read(buffer.get_mut(at..).unwrap_or_default())? {
                    0 => self.current = None,
                    count => at += count,
                }
            }
            if at == buffer.len() || (stream && at > 0) {
                return Ok(at);
            }
            if self.current.is_some() {
                continue;
            }
            match self.waiting.pop_front() {
                Some(Segment::Bytes(bytes) | Segment::Unsized(bytes)) => {
                    self.current = Some(Box::new(Cursor::new(bytes)))
                }
                Some(Segment::File(path)) => self.current = Some(Box::new(File::open(path)?)),
                None => return Ok(at),
            }
        }
    }
}
