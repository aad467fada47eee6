//! What is said in plain text before TLS begins, and what a server that begins to talk by itself is.

use std::time::Instant;

use netkit_core::text::printable;
use netkit_tls::{Transport, read_by, write_by};

/// Longest answer read, in bytes.
const MAX_ANSWER: usize = 16_384;

/// A protocol with a way from plain text to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// RFC 3207
    Smtp,
    /// RFC 9051, section 6.2.1
    Imap,
    /// RFC 2595, section 4
    Pop3,
    /// RFC 4217
    Ftp,
    /// PostgreSQL, "SSL Session Encryption"
    Postgres,
    /// MySQL, "Protocol::SSLRequest"
    Mysql,
    /// RFC 4511, section 4.14
    Ldap,
}

impl Protocol {
    pub(crate) fn parse(text: &str) -> Option<Protocol> {
        Some(match text {
            "smtp" => Protocol::Smtp,
            "imap" => Protocol::Imap,
            "pop3" => Protocol::Pop3,
            "ftp" => Protocol::Ftp,
            "postgres" | "postgresql" => Protocol::Postgres,
            "mysql" => Protocol::Mysql,
            "ldap" => Protocol::Ldap,
            _ => return None,
        })
    }

    /// Its well-known port.
    pub(crate) fn port(self) -> u16 {
        match self {
            Protocol::Smtp => 25,
            Protocol::Imap => 143,
            Protocol::Pop3 => 110,
            Protocol::Ftp => 21,
            Protocol::Postgres => 5432,
            Protocol::Mysql => 3306,
            Protocol::Ldap => 389,
        }
    }

    /// Brings the stream to where TLS begins.
    ///
    /// # Errors
    /// In words, what the server said instead.
    pub(crate) fn begin(self, stream: &mut dyn Transport, deadline: Option<Instant>) -> Result<(), String> {
        let mut talk = Talk { stream, deadline };
        match self {
            Protocol::Smtp => {
                talk.reply("220")?;
                talk.say(b"EHLO netkit.invalid\r\n")?;
                let offers = talk.reply("250")?;
                if !offers.to_ascii_uppercase().contains("STARTTLS") {
                    return Err("the server does not offer STARTTLS".to_owned());
                }
                talk.say(b"STARTTLS\r\n")?;
                talk.reply("220").map(drop)
            }
            Protocol::Imap => {
                talk.line("* OK")?;
                talk.say(b"a STARTTLS\r\n")?;
                talk.line("a OK").map(drop)
            }
            Protocol::Pop3 => {
                talk.line("+OK")?;
                talk.say(b"STLS\r\n")?;
                talk.line("+OK").map(drop)
            }
            Protocol::Ftp => {
                talk.reply("220")?;
                talk.say(b"AUTH TLS\r\n")?;
                talk.reply("234").map(drop)
            }
            Protocol::Postgres => {
                // Length 8 and the code 80877103.
                talk.say(&[0, 0, 0, 8, 4, 210, 22, 47])?;
                match talk.exactly(1)?.as_slice() {
                    b"S" => Ok(()),
                    b"N" => Err("the server answers N: it was built or configured without TLS".to_owned()),
                    other => Err(format!("the server answers {other:02x?} instead of S or N")),
                }
            }
            Protocol::Mysql => {
                let head = talk.exactly(4)?;
                let length = head.iter().take(3).rev().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
                let greeting = talk.exactly(length.min(MAX_ANSWER))?;
                // Version 10, a string, thread id, 8 octets, a zero, then the low half of the capabilities.
                let end = greeting.iter().position(|byte| *byte == 0).unwrap_or(greeting.len());
                let low = greeting.get(end + 14..end + 16).and_then(|two| two.try_into().ok()).map(u16::from_le_bytes);
                const CLIENT_SSL: u16 = 0x0800;
                match (greeting.first(), low) {
                    (Some(10), Some(flags)) if flags & CLIENT_SSL != 0 => {}
                    (Some(10), Some(_)) => return Err("the server does not offer TLS".to_owned()),
                    (Some(0xff), _) => {
                        let text = String::from_utf8_lossy(greeting.get(3..).unwrap_or_default()).into_owned();
                        return Err(format!("the server refuses: {}", printable(&text)));
                    }
                    _ => return Err("no greeting of MySQL".to_owned()),
                }
                let mut request = vec![32, 0, 0, 1];
                // CLIENT_SSL, CLIENT_PROTOCOL_41 and CLIENT_SECURE_CONNECTION; 16 MiB; utf8.
                request.extend(0x0000_8a00u32.to_le_bytes());
                request.extend((1u32 << 24).to_le_bytes());
                request.push(33);
                request.resize(36, 0);
                talk.say(&request)
            }
            Protocol::Ldap => {
                const REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
                talk.say(REQUEST)?;
                let head = talk.exactly(2)?;
                let answer = talk.exactly(usize::from(head.get(1).copied().unwrap_or(0) & 0x7f))?;
                // Message id, then an ExtendedResponse whose first element is the result.
                let mut parts = netkit_wire::der::Children::of(&answer);
                let result = parts.nth(1).and_then(|response| response.children().next());
                match result.and_then(|result| result.small()) {
                    Some(0) => Ok(()),
                    Some(code) => Err(format!("the server refuses StartTLS with result {code}")),
                    None => Err("the answer is no ExtendedResponse of LDAP".to_owned()),
                }
            }
        }
    }
}

struct Talk<'a> {
    stream: &'a mut dyn Transport,
    deadline: Option<Instant>,
}

impl Talk<'_> {
    fn say(&mut self, bytes: &[u8]) -> Result<(), String> {
        write_by(self.stream, bytes, self.deadline).map_err(|error| plain(&error))
    }

    /// One byte after the other, so that nothing of TLS is taken.
    fn exactly(&mut self, count: usize) -> Result<Vec<u8>, String> {
        let mut out = vec![0u8; count];
        let mut filled = 0;
        while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty()) {
            match read_by(self.stream, room, self.deadline) {
                Ok(0) => return Err("the server closed the connection before TLS".to_owned()),
                Ok(length) => filled += length,
                Err(error) => return Err(plain(&error)),
            }
        }
        Ok(out)
    }

    fn any_line(&mut self) -> Result<String, String> {
        let mut line = Vec::new();
        loop {
            let byte = self.exactly(1)?;
            match byte.as_slice() {
                b"\n" => return Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
                _ => line.extend(byte),
            }
            if line.len() > MAX_ANSWER {
                return Err("an answer without end".to_owned());
            }
        }
    }

    fn line(&mut self, wanted: &str) -> Result<String, String> {
        let line = self.any_line()?;
        if line.get(..wanted.len()).is_some_and(|head| head.eq_ignore_ascii_case(wanted)) {
            return Ok(line);
        }
        Err(format!("the server says `{}`", printable(&line)))
    }

    /// A reply of one or more lines with a code, the last of them with a space behind it.
    fn reply(&mut self, wanted: &str) -> Result<String, String> {
        let mut all = String::new();
        loop {
            let line = self.any_line()?;
            if !line.starts_with(wanted) {
                return Err(format!("the server says `{}`", printable(&line)));
            }
            all.push_str(&line);
            all.push('\n');
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(all);
            }
            if all.len() > MAX_ANSWER {
                return Err("an answer without end".to_owned());
            }
        }
    }
}

pub(crate) fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        _ => error.to_string().split(" (os error").next().unwrap_or("").to_owned(),
    }
}

/// How services begin that speak before they are asked, or answer a hello they do not understand.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (b"HTTP/", "plain HTTP: try http:// on this port"),
    (b"<html", "plain HTTP: try http:// on this port"),
    (b"<!DOCTYPE", "plain HTTP: try http:// on this port"),
    (b"SSH-", "SSH"),
    (b"220 ", "SMTP or FTP in plain text: try --starttls smtp or --starttls ftp"),
    (b"220-", "SMTP or FTP in plain text: try --starttls smtp or --starttls ftp"),
    (b"421 ", "SMTP or FTP in plain text, which takes nobody at the moment"),
    (b"554 ", "SMTP in plain text, which does not want us"),
    (b"* OK", "IMAP in plain text: try --starttls imap"),
    (b"* BYE", "IMAP in plain text, which does not want us"),
    (b"+OK", "POP3 in plain text: try --starttls pop3"),
    (b"-ERR", "Redis or POP3 in plain text"),
    (b"-DENIED", "Redis in plain text, in protected mode"),
    (b"ERROR\r\n", "memcached in plain text"),
    (b"AMQP", "AMQP in plain text"),
    (b"INFO {", "NATS in plain text"),
    (b"RFB 00", "VNC in plain text"),
    (b"@RSYNCD:", "rsync in plain text"),
    (b"E\0\0\0", "PostgreSQL in plain text: try --starttls postgres"),
    (b"\x05\xff", "a SOCKS proxy"),
    (b"\xff\xfd", "telnet"),
    (b"\xff\xfb", "telnet"),
];

/// What talks like this, when it is not TLS.
pub(crate) fn named(bytes: &[u8]) -> Option<&'static str> {
    // Length and number of a packet, then the version of the greeting or a refusal.
    if let [_, _, _, 0, first, ..] = bytes
        && matches!(first, 10 | 0xff)
    {
        return Some("MySQL in plain text: try --starttls mysql");
    }
    // A frame of settings: its length, type 4, no flags but the one that acknowledges.
    if let [0, 0, _, 4, 0 | 1, 0, 0, 0, 0, ..] = bytes {
        return Some("HTTP/2 in plain text (h2c, gRPC without TLS)");
    }
    // A message of LDAP: a sequence that begins with its number.
    if let [0x30, _, 2, 1, ..] | [0x30, 0x84, _, _, _, _, 2, 1, ..] = bytes {
        return Some("LDAP in plain text: try --starttls ldap");
    }
    BEGINNINGS.iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netkit_tls::Ready;
    use proptest::prelude::*;
    use std::io::{self, Read, Write};
    use std::time::Duration;

    /// A server that says this and takes whatever is written.
    struct Server(io::Cursor<Vec<u8>>);

    impl Read for Server {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Server {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Transport for Server {
        fn wait(&mut self, wanted: Ready, _: Option<Duration>) -> io::Result<Ready> {
            Ok(wanted)
        }
    }

    proptest! {
        #[test]
        fn any_server(which in 0usize..7, text in "(220[ -]x\r\n|250[ -](STARTTLS|A)\n|\\* OK x\n|a OK\n|\\+OK\n|234 x\n|\u{1b}|é){0,6}",
            bytes in proptest::collection::vec(any::<u8>(), 0..60), as_text in any::<bool>()) {
            let names = ["smtp", "imap", "pop3", "ftp", "postgres", "mysql", "ldap"];
            let protocol = Protocol::parse(names[which]).unwrap();
            let said = if as_text { text.into_bytes() } else { bytes };
            let _ = named(&said);
            if let Err(why) = protocol.begin(&mut Server(io::Cursor::new(said)), None) {
                prop_assert!(!why.chars().any(char::is_control), "{why:?}");
            }
        }
    }
}
