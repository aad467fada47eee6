//! Protocols in plain text: HTTP, RTSP, SIP, FTP, SMTP, SSH banners, syslog, RESP.

use crate::fetch::{Fetch, Res, Short};
use crate::{Printer, put};

const HTTP: &[&str] = &[
    "GET",
    "PUT",
    "COPY",
    "HEAD",
    "LOCK",
    "MOVE",
    "POLL",
    "POST",
    "BCOPY",
    "BMOVE",
    "MKCOL",
    "TRACE",
    "LABEL",
    "MERGE",
    "DELETE",
    "SEARCH",
    "UNLOCK",
    "REPORT",
    "UPDATE",
    "NOTIFY",
    "BDELETE",
    "CONNECT",
    "OPTIONS",
    "CHECKIN",
    "PROPFIND",
    "CHECKOUT",
    "CCM_POST",
    "SUBSCRIBE",
    "PROPPATCH",
    "BPROPFIND",
    "BPROPPATCH",
    "UNCHECKOUT",
    "MKACTIVITY",
    "MKWORKSPACE",
    "UNSUBSCRIBE",
    "RPC_CONNECT",
    "VERSION-CONTROL",
    "BASELINE-CONTROL",
];

const RTSP: &[&str] = &[
    "OPTIONS",
    "DESCRIBE",
    "ANNOUNCE",
    "SETUP",
    "PLAY",
    "PAUSE",
    "TEARDOWN",
    "GET_PARAMETER",
    "SET_PARAMETER",
    "REDIRECT",
    "RECORD",
];

const SIP: &[&str] = &[
    "ACK",
    "BYE",
    "CANCEL",
    "DO",
    "INFO",
    "INVITE",
    "MESSAGE",
    "NOTIFY",
    "OPTIONS",
    "PRACK",
    "QAUTH",
    "REFER",
    "REGISTER",
    "SPRACK",
    "SUBSCRIBE",
    "UPDATE",
    "PUBLISH",
];

/// Longest word that is looked at.
const LONGEST_WORD: usize = 128;

impl Printer {
    /// HTTP, after the colon that sets it off.
    pub(crate) fn http(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "http";
        self.text(": ");
        self.text_protocol(p, length, "HTTP", Some((HTTP, true)))
    }

    pub(crate) fn rtsp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "rtsp";
        self.text(": ");
        self.text_protocol(p, length, "RTSP", Some((RTSP, true)))
    }

    pub(crate) fn sip(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "sip";
        self.text_protocol(p, length, "SIP", Some((SIP, true)))
    }

    pub(crate) fn ftp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "ftp";
        self.text(": ");
        self.text_protocol(p, length, "FTP", None)
    }

    pub(crate) fn smtp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "smtp";
        self.text(": ");
        self.text_protocol(p, length, "SMTP", None)
    }

    pub(crate) fn whois(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "whois";
        self.text(": ");
        self.text_protocol(p, length, "WHOIS", None)
    }

    /// The name, and the text: all of it, or only what begins with a command or ends in a status.
    fn text_protocol(&mut self, p: &[u8], length: usize, name: &str, commands: Option<(&[&str], bool)>) -> Res {
        let mut wanted = commands.is_none();
        if let Some((commands, status_second)) = commands {
            let (mut word, mut next) = first_word(p, 0, length);
            if next > 0 {
                wanted = commands.iter().any(|command| word.eq_ignore_ascii_case(command.as_bytes()));
                if status_second {
                    (word, next) = first_word(p, next, length);
                }
                wanted |= next > 0 && matches!(word, [a, b, c] if [a, b, c].iter().all(|digit| digit.is_ascii_digit()));
            }
        }
        self.text(name);
        if !wanted {
            return Ok(());
        }
        if self.v() == 0 {
            self.text_line(": ", p, 0, length)?;
            return Ok(());
        }
        put!(self, ", length: {length}");
        let mut at = 0;
        while at < length {
            match self.text_line("\n\t", p, at, length)? {
                0 => break,
                next => at = next,
            }
        }
        Ok(())
    }

    /// Prints a line; where the next one begins, 0 when this was no line of text or the last.
    fn text_line(&mut self, before: &str, p: &[u8], start: usize, length: usize) -> Res<usize> {
        let mut at = start;
        let mut next = 0;
        while at < length {
            match p.u8(at)? {
                b'\n' => {
                    next = at + 1;
                    break;
                }
                b'\r' => {
                    if at + 1 >= length || p.u8(at + 1)? != b'\n' {
                        return Ok(0);
                    }
                    next = at + 2;
                    break;
                }
                b'\t' | 0x20..0x7f => at += 1,
                _ => return Ok(0),
            }
        }
        self.text(before);
        self.out.extend_from_slice(p.part(start, at - start)?);
        Ok(next)
    }

    /// The lines of an SSH version exchange (RFC 4253 section 4.2).
    pub(crate) fn ssh(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "ssh";
        let mut at = 0;
        while at < length {
            if p.u8(at)? == b'\n' {
                break;
            }
            if at + 1 < length && p.u8(at)? == b'\r' && p.u8(at + 1)? == b'\n' {
                break;
            }
            let byte = p.u8(at)?;
            if !(0x20..0x7f).contains(&byte) {
                return Ok(());
            }
            at += 1;
        }
        if at == 0 || at == length || !p.starts_with(b"SSH-") {
            return Ok(());
        }
        self.text(": SSH: ");
        self.out.extend_from_slice(p.part(0, at)?);
        Ok(())
    }

    /// Syslog (RFC 3164, RFC 5424): facility, severity, and the message with `-v`.
    pub(crate) fn syslog(&mut self, p: &[u8], length: usize) -> Res {
        const SEVERITIES: [&str; 8] = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];
        const FACILITIES: [&str; 24] = [
            "kernel", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
            "ntp", "security", "console", "cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
            "local7",
        ];
        self.proto = "syslog";
        p.part(0, 1)?;
        let mut value = 0u16;
        let mut at = 0;
        let mut closed = false;
        if p.u8(0)? == b'<' {
            at = 1;
            while at <= 4 {
                let byte = p.u8(at)?;
                if byte == b'>' {
                    closed = at > 1;
                    break;
                }
                if !byte.is_ascii_digit() || at > 3 {
                    break;
                }
                value = value * 10 + u16::from(byte - b'0');
                at += 1;
            }
        }
        if !closed {
            self.invalid();
            return Ok(());
        }
        let severity = SEVERITIES.get(usize::from(value & 7)).copied().unwrap_or("unknown");
        let facility = FACILITIES.get(usize::from(value >> 3)).copied().unwrap_or("unknown");
        if self.v() == 0 {
            put!(self, "SYSLOG {facility}.{severity}, length: {length}");
            return Ok(());
        }
        put!(self, "SYSLOG, length: {length}\n\tFacility {facility} ({}), ", value >> 3);
        put!(self, "Severity {severity} ({})\n\tMsg: ", value & 7);
        let mut shown = at + 1;
        while shown < length {
            let byte = p.u8(shown)?;
            self.character(byte);
            shown += 1;
        }
        if self.v() > 1 {
            self.unknown_data("\n\t", p, length);
        }
        Ok(())
    }

    /// Telnet (RFC 854): its commands; text is not shown.
    pub(crate) fn telnet(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "telnet";
        const COMMANDS: [&str; 17] = [
            "XEOF", "SUSP", "ABORT", "EOR", "SE", "NOP", "DMARK", "BRK", "IP", "AO", "AYT", "EC", "EL", "GA", "SB",
            "WILL", "WONT",
        ];
        const OPTIONS: [&str; 40] = [
            "BINARY",
            "ECHO",
            "RCP",
            "SUPPRESS GO AHEAD",
            "NAME",
            "STATUS",
            "TIMING MARK",
            "RCTE",
            "NAOL",
            "NAOP",
            "NAOCRD",
            "NAOHTS",
            "NAOHTD",
            "NAOFFD",
            "NAOVTS",
            "NAOVTD",
            "NAOLFD",
            "EXTEND ASCII",
            "LOGOUT",
            "BYTE MACRO",
            "DATA ENTRY TERMINAL",
            "SUPDUP",
            "SUPDUP OUTPUT",
            "SEND LOCATION",
            "TERMINAL TYPE",
            "END OF RECORD",
            "TACACS UID",
            "OUTPUT MARKING",
            "TTYLOC",
            "3270 REGIME",
            "X.3 PAD",
            "NAWS",
            "TSPEED",
            "LFLOW",
            "LINEMODE",
            "XDISPLOC",
            "OLD-ENVIRON",
            "AUTHENTICATION",
            "ENCRYPT",
            "NEW-ENVIRON",
        ];
        let mut at = 0;
        let mut first = true;
        let mut rest = length;
        while rest > 0 {
            if p.u8(at)? != 255 {
                if self.v() == 0 {
                    return Ok(());
                }
                at += 1;
                rest -= 1;
                continue;
            }
            if rest < 2 {
                break;
            }
            let command = p.u8(at + 1)?;
            let size = match command {
                251..=254 if rest >= 3 => 3,
                250 => {
                    let tail = p.tail(at + 2);
                    let end = tail.windows(2).position(|pair| pair == [255, 240]);
                    match end {
                        Some(end) => end + 4,
                        None => break,
                    }
                }
                251..=254 => break,
                _ => 2,
            };
            self.text(if first { " [telnet " } else { ", " });
            first = false;
            match command {
                255 => self.text("IAC"),
                254 => self.text("DONT"),
                253 => self.text("DO"),
                236..=252 => {
                    self.text(COMMANDS.get(usize::from(command - 236)).copied().unwrap_or("?"));
                }
                _ => put!(self, "{command:#x}"),
            }
            if command >= 250 && command != 255 && size >= 3 {
                let option = p.u8(at + 2)?;
                match OPTIONS.get(usize::from(option)) {
                    Some(text) => put!(self, " {text}"),
                    None => put!(self, " {option:#x}"),
                }
                if command == 250 {
                    for byte in p.part(at + 3, size.saturating_sub(5))? {
                        put!(self, " {byte:#x}");
                    }
                    self.text(" SE");
                }
            }
            at += size;
            rest = rest.saturating_sub(size);
        }
        if !first {
            self.text("]");
        }
        Ok(())
    }

    /// Redis serialization (RESP): the values of one segment.
    pub(crate) fn resp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "resp";
        self.text(": RESP");
        let data = p.head(length);
        let mut at = 0;
        let mut waiting = 0u64;
        while at < data.len() {
            let Some(end) = data.tail(at).windows(2).position(|pair| pair == b"\r\n") else {
                return Err(Short);
            };
            let line = data.part(at, end)?;
            let (kind, rest) = (line.first().copied().unwrap_or(0), line.tail(1));
            at += end + 2;
            let number = std::str::from_utf8(rest).ok().and_then(|text| text.parse::<i64>().ok());
            match (kind, number) {
                (b'+' | b':', _) => {
                    self.text(" \"");
                    self.printable(rest);
                    self.text("\"");
                }
                (b'-', _) => {
                    self.text(" \"");
                    self.printable(rest);
                    self.text("\"");
                }
                (b'*', Some(-1)) | (b'$', Some(-1)) => self.text(" null"),
                (b'*', Some(0)) => self.text(" empty array"),
                (b'*', Some(count)) if count > 0 => waiting = count as u64,
                (b'$', Some(count)) if count >= 0 => {
                    let size = usize::try_from(count).unwrap_or(usize::MAX);
                    let Ok(value) = data.part(at, size.min(data.len() + 1)) else {
                        self.truncated();
                        return Ok(());
                    };
                    self.text(" \"");
                    self.printable(value);
                    self.text("\"");
                    at += size + 2;
                }
                _ => {
                    self.text(" \"");
                    self.printable(line);
                    self.text("\"");
                }
            }
            waiting = waiting.saturating_sub(1);
        }
        if p.len() < length {
            self.truncated();
        }
        Ok(())
    }
}

/// The next word and where the one after it begins; 0 when there is none.
fn first_word(p: &[u8], start: usize, length: usize) -> (&[u8], usize) {
    let text = p.head(length);
    let mut at = start;
    let mut end = start;
    for byte in text.tail(start) {
        if !byte.is_ascii() || !(0x20..0x7f).contains(byte) && !matches!(byte, b'\r' | b'\n' | b'\t') {
            return (&[], 0);
        }
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            break;
        }
        end += 1;
        if end - start >= LONGEST_WORD {
            return (&[], 0);
        }
    }
    let word = text.get(at..end).unwrap_or_default();
    if word.is_empty() {
        return (&[], 0);
    }
    at = end;
    while matches!(text.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    (word, at)
}
