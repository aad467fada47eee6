//! SNMP (RFC 1157, RFC 3416, RFC 3412): the messages, objects by number.

use crate::fetch::{Fetch, Res};
use crate::{Printer, put};

const OPERATIONS: [&str; 9] =
    ["GetRequest", "GetNextRequest", "GetResponse", "SetRequest", "Trap", "GetBulk", "Inform", "V2Trap", "Report"];

const ERRORS: [&str; 19] = [
    "noError",
    "tooBig",
    "noSuchName",
    "badValue",
    "readOnly",
    "genErr",
    "noAccess",
    "wrongType",
    "wrongLength",
    "wrongEncoding",
    "wrongValue",
    "noCreation",
    "inconsistentValue",
    "resourceUnavailable",
    "commitFailed",
    "undoFailed",
    "authorizationError",
    "notWritable",
    "inconsistentName",
];

const TRAPS: [&str; 7] =
    ["coldStart", "warmStart", "linkDown", "linkUp", "authenticationFailure", "egpNeighborLoss", "enterpriseSpecific"];

/// A value with its tag (X.690 section 8.1).
#[derive(Clone, Copy)]
struct Element<'a> {
    tag: u8,
    data: &'a [u8],
    /// Bytes of it all.
    size: usize,
}

/// Reads one element; what is wrong with it otherwise.
fn element(p: &[u8]) -> Result<Element<'_>, &'static str> {
    if p.is_empty() {
        return Err("[nothing to parse]");
    }
    let tag = p.u8(0).unwrap_or(0);
    if tag & 31 == 31 {
        return Err("[Xtagfield?]");
    }
    let Ok(first) = p.u8(1) else { return Err("[no asnlen]") };
    let mut length = usize::from(first);
    let mut header = 2;
    if first & 0x80 != 0 {
        let count = usize::from(first & 0x7f);
        if count > 4 || p.len() < 2 + count {
            return Err("[asnlen?]");
        }
        length = p.uint(2, count).unwrap_or(0) as usize;
        header += count;
    }
    match p.part(header, length) {
        Ok(data) => Ok(Element { tag, data, size: header + length }),
        Err(_) => Err("[len]"),
    }
}

impl Printer {
    /// One message.
    pub(crate) fn snmp(&mut self, p: &[u8], length: usize) -> Res {
        self.proto = "snmp";
        self.text(" ");
        let whole = p.head(length);
        let message = match element(whole) {
            Ok(message) => message,
            Err("[len]") => {
                self.truncated();
                return Ok(());
            }
            Err(text) => return self.snmp_trouble(text),
        };
        if message.tag != 0x30 {
            return self.snmp_wrong("[!init SEQ: ", &message);
        }
        let version = match element(message.data) {
            Ok(version) => version,
            Err(text) => return self.snmp_trouble(text),
        };
        if version.tag != 2 {
            return self.snmp_wrong("[version!=INT: ", &version);
        }
        let number = integer(version.data);
        let rest = message.data.tail(version.size);
        match number {
            0 | 1 | 3 => {
                if self.v() > 0 {
                    put!(
                        self,
                        "{{ SNMPv{} ",
                        match number {
                            0 => "1",
                            1 => "2c",
                            _ => "3",
                        }
                    );
                }
            }
            _ => {
                put!(self, "SNMP [version = {number}]");
                return Ok(());
            }
        }
        if number == 3 {
            self.snmp3(rest)?;
        } else {
            self.snmp_community(rest)?;
        }
        if self.v() > 0 {
            self.text("} ");
        }
        Ok(())
    }

    fn snmp_trouble(&mut self, text: &str) -> Res {
        self.text(text);
        Ok(())
    }

    fn snmp_wrong(&mut self, text: &str, element: &Element<'_>) -> Res {
        self.text(text);
        self.snmp_value(element);
        self.text("]");
        Ok(())
    }

    fn snmp_community(&mut self, p: &[u8]) -> Res {
        let community = match element(p) {
            Ok(community) => community,
            Err(text) => return self.snmp_trouble(text),
        };
        if community.tag != 4 {
            return self.snmp_wrong("[comm!=STR: ", &community);
        }
        // The usual community goes without saying.
        if community.data != b"public" {
            self.text("C=\"");
            self.printable(community.data);
            self.text("\" ");
        }
        self.snmp_pdu(p.tail(community.size))
    }

    fn snmp_pdu(&mut self, p: &[u8]) -> Res {
        let pdu = match element(p) {
            Ok(pdu) => pdu,
            Err(text) => return self.snmp_trouble(text),
        };
        if pdu.tag & 0xe0 != 0xa0 {
            return self.snmp_wrong("[no PDU CONTEXT: ", &pdu);
        }
        let kind = pdu.tag & 31;
        if self.v() > 0 {
            self.text("{ ");
        }
        match OPERATIONS.get(usize::from(kind)) {
            Some(text) => put!(self, "{text}({}) ", pdu.data.len()),
            None => put!(self, "[P/C/{kind}]({}) ", pdu.data.len()),
        }
        if kind == 4 {
            self.snmp_trap(pdu.data)?;
        } else {
            self.snmp_request(kind, pdu.data)?;
        }
        if self.v() > 0 {
            self.text(" } ");
        }
        Ok(())
    }

    fn snmp_request(&mut self, kind: u8, p: &[u8]) -> Res {
        let mut rest = p;
        let mut numbers = [0i64; 3];
        for (index, number) in numbers.iter_mut().enumerate() {
            let field = match element(rest) {
                Ok(field) => field,
                Err(text) => return self.snmp_trouble(text),
            };
            if field.tag != 2 {
                let text = match index {
                    0 => "[reqid!=INT: ",
                    1 => "[errorStatus!=INT: ",
                    _ => "[errorIndex!=INT: ",
                };
                return self.snmp_wrong(text, &field);
            }
            *number = integer(field.data);
            rest = rest.tail(field.size);
        }
        let [request, status, index] = numbers;
        if self.v() > 0 {
            put!(self, "R={request} ");
        }
        if kind == 5 {
            if status != 0 {
                put!(self, " N={status}");
            }
            if index != 0 {
                put!(self, " M={index}");
            }
        } else {
            if status != 0 {
                match usize::try_from(status).ok().and_then(|at| ERRORS.get(at)) {
                    Some(text) => put!(self, " {text}"),
                    None => put!(self, " ErrorStatus({status})"),
                }
            }
            if index != 0 {
                put!(self, "@{index}");
            }
        }
        self.snmp_bindings(kind, rest)
    }

    fn snmp_bindings(&mut self, kind: u8, p: &[u8]) -> Res {
        let list = match element(p) {
            Ok(list) => list,
            Err(text) => return self.snmp_trouble(text),
        };
        if list.tag != 0x30 {
            return self.snmp_wrong("[!SEQ of varbind: ", &list);
        }
        let mut rest = list.data;
        while !rest.is_empty() {
            let binding = match element(rest) {
                Ok(binding) => binding,
                Err(text) => return self.snmp_trouble(text),
            };
            if binding.tag != 0x30 {
                return self.snmp_wrong("[!varbind: ", &binding);
            }
            rest = rest.tail(binding.size);
            self.text(" ");
            let object = match element(binding.data) {
                Ok(object) => object,
                Err(text) => return self.snmp_trouble(text),
            };
            if object.tag != 6 {
                return self.snmp_wrong("[objName!=OID: ", &object);
            }
            self.snmp_value(&object);
            let value = match element(binding.data.tail(object.size)) {
                Ok(value) => value,
                Err(text) => return self.snmp_trouble(text),
            };
            // In a question there is nothing to say.
            if matches!(kind, 0 | 1 | 5) {
                if value.tag != 5 {
                    self.text("[objVal!=NULL: ");
                    self.snmp_value(&value);
                    self.text("]");
                }
            } else {
                self.text("=");
                self.snmp_value(&value);
            }
        }
        Ok(())
    }

    fn snmp_trap(&mut self, p: &[u8]) -> Res {
        let mut rest = p;
        for index in 0..5 {
            let field = match element(rest) {
                Ok(field) => field,
                Err(text) => return self.snmp_trouble(text),
            };
            rest = rest.tail(field.size);
            if index > 0 {
                self.text(" ");
            }
            if index == 2 {
                let generic = integer(field.data);
                match usize::try_from(generic).ok().and_then(|at| TRAPS.get(at)) {
                    Some(text) => self.text(text),
                    None => put!(self, "genericTrap({generic})"),
                }
                if generic != 6
                    && let Ok(specific) = element(rest)
                {
                    rest = rest.tail(specific.size);
                    let number = integer(specific.data);
                    if number != 0 {
                        put!(self, " specific-trap({number})!=0");
                    }
                } else if let Ok(specific) = element(rest) {
                    rest = rest.tail(specific.size);
                    put!(self, " s={}", integer(specific.data));
                }
                continue;
            }
            if index == 3 {
                self.snmp_value(&field);
                break;
            }
            self.snmp_value(&field);
        }
        if rest.is_empty() { Ok(()) } else { self.snmp_bindings(4, rest) }
    }

    fn snmp3(&mut self, p: &[u8]) -> Res {
        let header = match element(p) {
            Ok(header) => header,
            Err(text) => return self.snmp_trouble(text),
        };
        let mut rest = header.data;
        let mut flags = 0;
        for index in 0..4 {
            let Ok(field) = element(rest) else { break };
            rest = rest.tail(field.size);
            if index == 2 {
                flags = field.data.u8(0).unwrap_or(0);
            }
        }
        put!(self, "{{ F={}{}{} ", bit(flags, 1, "a"), bit(flags, 2, "p"), bit(flags, 4, "r"));
        let after = p.tail(header.size);
        let Ok(security) = element(after) else { return self.snmp_trouble("[nothing to parse]") };
        let Ok(scoped) = element(after.tail(security.size)) else { return self.snmp_trouble("[nothing to parse]") };
        if flags & 2 != 0 || scoped.tag != 0x30 {
            put!(self, "[!scopedPDU]");
            self.out.truncate(self.out.len() - "[!scopedPDU]".len());
            self.text("} { ScopedPDU [encrypted PDU]} ");
            return Ok(());
        }
        self.text("} { ScopedPDU ");
        if let Ok(engine) = element(scoped.data)
            && let Ok(context) = element(scoped.data.tail(engine.size))
        {
            self.text("E=0x");
            self.hex(engine.data);
            self.text(" C=\"");
            self.printable(context.data);
            self.text("\" ");
            self.snmp_pdu(scoped.data.tail(engine.size + context.size))?;
        }
        self.text("} ");
        Ok(())
    }

    fn snmp_value(&mut self, element: &Element<'_>) {
        let data = element.data;
        match element.tag {
            2 => put!(self, "{}", integer(data)),
            4 => {
                let text = data.iter().all(|byte| (0x20..0x7f).contains(byte) || byte.is_ascii_whitespace());
                if text {
                    self.text("\"");
                    self.printable(data);
                    self.text("\"");
                } else {
                    for (index, byte) in data.iter().enumerate() {
                        if index > 0 {
                            self.text("_");
                        }
                        self.hex_byte(*byte);
                    }
                }
            }
            5 => {}
            6 => {
                let mut number = 0u64;
                let mut first = true;
                for byte in data {
                    number = number << 7 | u64::from(byte & 0x7f);
                    if byte & 0x80 != 0 {
                        continue;
                    }
                    if first {
                        let root = (number / 40).min(2);
                        put!(self, ".{root}.{}", number - root * 40);
                        first = false;
                    } else {
                        put!(self, ".{number}");
                    }
                    number = 0;
                }
            }
            0x40 if data.len() >= 4 => self.dotted(data.bytes(0).unwrap_or_default()),
            0x41..=0x43 | 0x46 | 0x47 => put!(self, "{}", data.uint(0, data.len().min(8)).unwrap_or(0)),
            0x80 => self.text("[noSuchObject]"),
            0x81 => self.text("[noSuchInstance]"),
            0x82 => self.text("[endOfMibView]"),
            tag => put!(self, "[{tag:#x}:{}]", data.len()),
        }
    }
}

fn bit(flags: u8, mask: u8, letter: &'static str) -> &'static str {
    if flags & mask != 0 { letter } else { "" }
}

/// A signed integer of up to eight octets.
fn integer(data: &[u8]) -> i64 {
    let negative = data.first().is_some_and(|byte| byte & 0x80 != 0);
    data.iter().take(8).fold(if negative { -1 } else { 0 }, |sum, byte| sum << 8 | i64::from(*byte))
}
