//! What a request carries: bytes, files one after the other, or standard input.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

/// One stretch of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    Bytes(Vec<u8>),
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
        !matches!(self, Body::Stdin)
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
            Body::Stdin => current = Some(Box::new(io::stdin())),
        }
        Ok(Source { waiting, current })
    }
}

/// The bytes of a body in order.
pub(crate) struct Source {
    waiting: VecDeque<Segment>,
    current: Option<Box<dyn Read + Send>>,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(current) = &mut self.current {
                match current.read(buffer) {
                    Ok(0) => self.current = None,
                    done => return done,
                }
            }
            match self.waiting.pop_front() {
                Some(Segment::Bytes(bytes)) => self.current = Some(Box::new(Cursor::new(bytes))),
                Some(Segment::File(path)) => self.current = Some(Box::new(File::open(path)?)),
                None => return Ok(0),
            }
        }
    }
}
