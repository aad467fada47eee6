//! Bytes and the text that BIND's master file format gives them.

use super::*;
use crate::dns::Section;
use proptest::prelude::*;

/// A message holding one record of `rtype` with `rdata`.
fn message(rtype: u16, rdata: &[u8]) -> Message {
    let mut bytes = vec![0, 1, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0];
    bytes.extend(rtype.to_be_bytes());
    bytes.extend([0, 1, 0, 0, 0, 60]);
    bytes.extend(u16::try_from(rdata.len()).unwrap().to_be_bytes());
    bytes.extend(rdata);
    Message::decode(bytes).unwrap()
}

fn text_in(style: &Style, rtype: u16, rdata: &[u8]) -> String {
    let message = message(rtype, rdata);
    let record = message.section(Section::Answer).next().unwrap();
    message.rdata_text(record, style).unwrap_or_else(|fault| format!("FAULT {fault}"))
}

fn text(rtype: u16, rdata: &[u8]) -> String {
    text_in(&Style::default(), rtype, rdata)
}

#[test]
fn everyday_types() {
    assert_eq!(text(1, &[192, 0, 2, 1]), "192.0.2.1");
    assert_eq!(text(28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), "2001:db8::1");
    assert_eq!(text(15, b"\x00\x0a\x04mail\x00"), "10 mail.");
    assert_eq!(text(16, b"\x05a\"b\\\xc8\x00"), r#""a\"b\\\200" """#);
    assert_eq!(text(33, b"\x00\x01\x00\x02\x1f\x90\x01a\x00"), "1 2 8080 a.");
    assert_eq!(text(257, b"\x80\x05issueca.example"), r#"128 issue "ca.example""#);
    assert_eq!(text(256, b"\x00\x0a\x00\x01http://x/"), r#"10 1 "http://x/""#);
    assert_eq!(text(65534, &[0xde, 0xad, 0xbe, 0xef]), r"\# 4 DEADBEEF");
    assert_eq!(text(65534, &[]), r"\# 0");
}

#[test]
fn soa_in_both_forms() {
    let rdata = b"\x01a\x00\x01b\x00\x00\x00\x00\x07\x00\x00\x0e\x10\x00\x00\x03\x84\x00\x09\x3a\x80\x00\x00\x00\x3c";
    assert_eq!(text(6, rdata), "a. b. 7 3600 900 604800 60");
    let style = Style { multiline: true, rrcomments: true, ..Style::default() };
    assert_eq!(
        text_in(&style, 6, rdata),
        "a. b. (\n\t\t\t\t7          ; serial\n\t\t\t\t3600       ; refresh (1 hour)\n\t\t\t\t900        ; retry (15 minutes)\n\
         \t\t\t\t604800     ; expire (1 week)\n\t\t\t\t60         ; minimum (1 minute)\n\t\t\t\t)"
    );
}

#[test]
fn service_bindings() {
    let mut rdata = b"\x00\x01\x00".to_vec();
    rdata.extend(b"\x00\x01\x00\x06\x02h2\x02h3");
    rdata.extend(b"\x00\x03\x00\x02\x20\xfb");
    rdata.extend(b"\x00\x04\x00\x04\x0a\x00\x00\x01");
    assert_eq!(text(65, &rdata), r#"1 . alpn="h2,h3" port=8443 ipv4hint=10.0.0.1"#);
    assert_eq!(text(64, b"\x00\x01\x00\x00\x01\x00\x04\x03a,b"), r#"1 . alpn="a\\,b""#);
    assert_eq!(text(64, b"\x00\x01\x00\xfd\xe8\x00\x02hi"), r#"1 . key65000="hi""#);
    // Keys out of order.
    assert!(text(64, b"\x00\x01\x00\x00\x03\x00\x02\x00\x01\x00\x02\x00\x00").starts_with("FAULT"));
}

#[test]
fn odd_types() {
    assert_eq!(
        text(29, &[0, 0x12, 0x16, 0x13, 0x89, 0x17, 0x2d, 0xd0, 0x70, 0xbe, 0x15, 0xf0, 0, 0x98, 0x8d, 0x20]),
        "42 21 54.000 N 71 6 18.000 W -24.00m 1m 10000m 10m"
    );
    assert_eq!(text(42, &[0, 1, 21, 0x82, 192, 168]), "!1:192.168.0.0/21");
    assert_eq!(text(108, &[0, 1, 2, 3, 4, 0xff]), "00-01-02-03-04-ff");
    assert_eq!(text(104, &[0, 10, 0, 0x14, 0x4f, 0xff, 0xff, 0x20, 0xee, 0x64]), "10 14:4fff:ff20:ee64");
    assert_eq!(text(47, b"\x01a\x00\x00\x06\x40\x01\x00\x00\x00\x03"), "a. A MX RRSIG NSEC");
    assert_eq!(
        text(50, b"\x01\x00\x00\x0a\x02\xaa\xbb\x05\x00\x44\x32\x14\xc7"),
        "1 0 10 AABB 0123456-".replace("0123456-", &text_hash())
    );
    assert_eq!(text(51, &[1, 0, 0, 0, 0]), "1 0 0 -");
    assert_eq!(text(22, &[0x47, 0]), "0x4700");
    assert_eq!(text(11, &[10, 0, 0, 1, 6, 0, 0, 0, 0x40]), "10.0.0.1 6 25");
    assert_eq!(text(260, &[10, 0x81, 192, 0, 2, 1]), "10 1 1 192.0.2.1");
}

/// 0x00443214c7 in base32hex, five bits a digit.
fn text_hash() -> String {
    let mut bits = 0x00_4432_14c7_u64;
    let mut out = String::new();
    for _ in 0..8 {
        out.insert(0, char::from_digit((bits & 31) as u32, 32).unwrap().to_ascii_uppercase());
        bits >>= 5;
    }
    out
}

#[test]
fn key_tags_follow_appendix_b() {
    // RFC 4034 section 5.4: the DNSKEY of dskey.example.com has key tag 60485.
    let key = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        "AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==",
    )
    .unwrap();
    let mut rdata = vec![1, 0, 3, 5];
    rdata.extend(key);
    assert_eq!(special::key_tag(&rdata, 5), 60485);
    let style = Style { nocrypto: true, ..Style::default() };
    assert_eq!(text_in(&style, 48, &rdata), "256 3 5 [key id = 60485]");
}

#[test]
fn splitting() {
    let long = [0xab; 60];
    let parts: Vec<usize> = text(52, &[&[3, 1, 1][..], &long].concat()).split(' ').skip(3).map(str::len).collect();
    assert_eq!(parts, [56, 56, 8]);
    let style = Style { split: Split::Off, ..Style::default() };
    assert_eq!(text_in(&style, 52, &[&[3, 1, 1][..], &long].concat()).split(' ').count(), 4);
}

#[test]
fn names_are_written_out_in_the_generic_form() {
    let mut bytes = b"\0\x01\x80\0\0\0\0\x01\0\0\0\0".to_vec();
    bytes.extend(b"\x01a\0\0\x0f\0\x01\0\0\0\x3c\0\x04\0\x0a\xc0\x0c");
    let message = Message::decode(bytes).unwrap();
    let style = Style { unknown_format: true, ..Style::default() };
    assert_eq!(message.rdata_text(&message.records[0], &style).unwrap(), "\\# 5 000A016100");
}

#[test]
fn one_bad_record_is_shown_with_its_bytes() {
    let message = message(1, &[1, 2, 3]);
    let record = message.section(Section::Answer).next().unwrap();
    let (line, fault) = message.record_line(record, &Style::default());
    assert_eq!(line, ".\t\t\t60\tIN\tTYPE1\t\\# 3 010203");
    assert_eq!(fault.unwrap().what, "malformed A data of 3 bytes");
    assert!(text(1, &[1, 2, 3, 4, 5]).starts_with("FAULT 1 bytes too many in A data"));
}

proptest! {
    /// Every printer must end, without a panic, on any bytes of any type and in every style.
    #[test]
    fn any_data_of_any_type(index in 0usize..100, data in proptest::collection::vec(any::<u8>(), 0..80), bits: u8) {
        let known = crate::dns::RR_TYPES;
        let rtype = known.get(index).map_or(65280, |entry| entry.0.0);
        let style = Style {
            multiline: bits & 1 != 0,
            rrcomments: bits & 2 != 0,
            nocrypto: bits & 4 != 0,
            expand_aaaa: bits & 8 != 0,
            split: if bits & 16 != 0 { Split::Width(8) } else { Split::Default },
            ..Style::default()
        };
        let message = message(rtype, &data);
        let record = message.section(Section::Answer).next().unwrap();
        let (line, _) = message.record_line(record, &style);
        let clean = line.bytes().all(|byte| byte != 0x1b);
        prop_assert!(clean);
    }
}
