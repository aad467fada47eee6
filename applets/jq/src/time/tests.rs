use proptest::prelude::*;

use super::zone::{Local, Rule};
use super::*;

fn some(fields: &[f64]) -> Vec<Option<f64>> {
    fields.iter().copied().map(Some).collect()
}

fn utc(seconds: f64, format: &str) -> String {
    format_utc(&some(&gmtime(seconds).unwrap()), format, &Zone::default()).unwrap()
}

fn read(input: &str, format: &str) -> Option<[i64; 8]> {
    let (tm, _) = strptime(input, format, &Zone::default())?;
    Some([tm.year, tm.month, tm.day, tm.hour, tm.minute, tm.second, tm.weekday, tm.yearday])
}

#[test]
fn seconds_to_fields_and_back() {
    assert_eq!(gmtime(1_700_000_000.0), Ok([2023.0, 10.0, 14.0, 22.0, 13.0, 20.0, 2.0, 317.0]));
    assert_eq!(gmtime(1_700_000_000.25).unwrap()[5], 20.25);
    // C cuts towards zero, and the fraction counts from the floor.
    assert_eq!(gmtime(-0.25).unwrap()[5], 0.75);
    for broken in [1e18, -1e18, f64::INFINITY, f64::NAN] {
        assert_eq!(gmtime(broken), Err(OUT_OF_RANGE), "{broken}");
    }
    assert_eq!(mktime(&some(&[2023.0, 10.0, 14.0, 22.0, 13.0, 20.0, 0.0, 0.0])), Ok(1_700_000_000.0));
    assert_eq!(mktime(&some(&[2023.9, 22.0, 14.0])), Ok(1_731_542_400.0));
    assert_eq!(mktime(&some(&[2023.0, -1.0, 31.0])), Ok(1_671_926_400.0 + 6.0 * 86_400.0));
    assert_eq!(mktime(&some(&[1969.0, 11.0, 31.0, 23.0, 59.0, 59.0])), Err("invalid gmtime representation"));
    assert_eq!(mktime(&some(&[1e30, 0.0, 1.0, 1e30])), Err("invalid gmtime representation"));
    assert_eq!(mktime(&[Some(2023.0), None]), Err("mktime requires parsed datetime inputs"));
    assert_eq!(mktime(&some(&[f64::NAN])), Err("mktime requires parsed datetime inputs"));
}

#[test]
fn conversions() {
    // date -u -d @951868799: Tue Feb 29 23:59:59 UTC 2000
    let t = 951_868_799.0;
    let cases = [
        ("%a %A %b %B %h", "Tue Tuesday Feb February Feb"),
        ("%c|%D|%F|%R|%T|%r", "Tue Feb 29 23:59:59 2000|02/29/00|2000-02-29|23:59|23:59:59|11:59:59 PM"),
        ("%C %y %Y %G %g", "20 00 2000 2000 00"),
        ("%d %e %j %m %H %I %k %l %M %S", "29 29 060 02 23 11 23 11 59 59"),
        ("%p %P %u %w %U %W %V", "PM pm 2 2 09 09 09"),
        ("%x %X %z %Z %s%n%t%%", "02/29/00 23:59:59 +0000 UTC 951868799\n\t%"),
        ("%-m|%_m|%05m|%^a|%#a|%#p|%10b|%^c", "2| 2|00002|TUE|TUE|pm|       Feb|TUE FEB 29 23:59:59 2000"),
        ("%Ey %Od %Q %N", "00 29 %Q %N"),
        ("50%", "50%"),
        ("", ""),
    ];
    for (format, wanted) in cases {
        assert_eq!(utc(t, format), wanted, "{format}");
    }
    assert_eq!(utc(0.0, "%I %l"), "12 12");
    // The first days of a year may be in the last week of the one before, and the other way round.
    assert_eq!(utc(1_609_459_200.0, "%G-%V"), "2020-53");
    assert_eq!(utc(1_735_603_200.0, "%G-%V"), "2025-01");
    // Fields are put in range, and the weekday given does not count.
    assert_eq!(format_utc(&some(&[2024.0, 1.0, 30.0]), "%F %a", &Zone::default()).unwrap(), "2024-03-01 Fri");
    assert_eq!(format_utc(&[None], "%F", &Zone::default()), Err("strftime/1 requires parsed datetime inputs"));
    assert_eq!(format_utc(&some(&[2024.0]), "%c%c%c%c%c", &Zone::default()), Err("strftime/1: unknown system failure"));
    assert_eq!(format_utc(&[], "%999999999999d", &Zone::default()), Err("strftime/1: unknown system failure"));
}

#[test]
fn reading() {
    let day = Some([2023, 10, 14, 0, 0, 0, 2, 317]);
    for (input, format) in [
        ("2023-11-14", "%Y-%m-%d"),
        ("14 nov 2023", "%d %b %Y"),
        ("TUESDAY, November 14 2023", "%A, %B %e %Y"),
        ("11/14/23", "%D"),
        ("20231114", "%Y%m%d"),
        ("2023 318", "%Y %j"),
        ("20 23-11-14", "%C %y-%m-%d"),
        ("  2023-11-14", "%Y-%m-%d"),
        ("2023-11-14  CET", "%F %Z"),
        ("2023-11-14+01:30", "%F%z"),
        ("2023 46 2", "%Y %U %w"),
        ("2023 46 2", "%Y %W %u"),
    ] {
        assert_eq!(read(input, format), day, "{input} {format}");
    }
    assert_eq!(read("1700000000", "%s"), Some([2023, 10, 14, 22, 13, 20, 2, 317]));
    assert_eq!(read("12 AM", "%I %p").map(|tm| tm[3]), Some(0));
    assert_eq!(read("12 pm", "%I %p").map(|tm| tm[3]), Some(12));
    assert_eq!(read("69 1 1", "%y %m %d").map(|tm| tm[0]), Some(1969));
    assert_eq!(read("68 1 1", "%y %m %d").map(|tm| tm[0]), Some(2068));
    // Nothing said of the day: C's marks stay.
    assert_eq!(read("10:20", "%H:%M"), Some([1900, 0, 0, 10, 20, 0, 8, 367]));
    for (input, format) in [
        ("2023-13-01", "%Y-%m-%d"),
        ("24:00", "%H:%M"),
        ("2023-11-14x", "%F"),
        ("x", "%Q"),
        ("x", "%"),
        ("+1", "%z"),
        ("+01:60", "%z"),
        ("Nov", "%a"),
        ("", "%Y"),
    ] {
        assert_eq!(read(input, format), None, "{input} {format}");
    }
    let zone = Zone::default();
    assert_eq!(super::read("2023-11-14 rest", "%F", &zone).unwrap().1, Some(" rest"));
    assert_eq!(super::read("x", "%F", &zone).unwrap_err(), "date \"x\" does not match format \"%F\"");
}

#[test]
fn posix_zones() {
    let berlin = Zone::from_env(Some("CET-1CEST,M3.5.0,M10.5.0/3"));
    let shown = |seconds: i64| {
        let local = berlin.at(seconds);
        format!("{} {}", local.offset, local.name)
    };
    // date -d @1711846799 with that TZ: the second before the clocks go forward, 2024-03-31.
    assert_eq!((shown(1_711_846_799), shown(1_711_846_800)), ("3600 CET".to_owned(), "7200 CEST".to_owned()));
    assert_eq!((shown(1_729_990_799), shown(1_729_990_800)), ("7200 CEST".to_owned(), "3600 CET".to_owned()));
    let local = |fields: &[f64]| format_local(&some(fields), "%F %T %z %Z", &berlin).unwrap();
    assert_eq!(local(&[2024.0, 6.0, 1.0, 12.0]), "2024-07-01 12:00:00 +0200 CEST");
    assert_eq!(local(&[2024.0, 2.0, 31.0, 2.0, 30.0]), "2024-03-31 03:30:00 +0200 CEST");
    assert_eq!(local(&[2024.0, 9.0, 27.0, 2.0, 30.0]), "2024-10-27 02:30:00 +0100 CET");
    assert_eq!(localtime(1_720_000_000.5, &berlin).unwrap()[..6], [2024.0, 6.0, 3.0, 11.0, 46.0, 40.5]);
    let south = Zone::from_env(Some("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"));
    assert_eq!((south.at(1_704_067_200).offset, south.at(1_720_000_000).name), (39_600, "+1030".to_owned()));
    assert_eq!(Zone::from_env(Some("EST5EDT4,J60,300/25")).at(1_720_000_000).offset, -14_400);
    for unknown in ["", "X", "Nowhere/Nothing", "CET", "CET-25", "CET-1CEST,M13.1.1,M1.1.1", "A<B>1"] {
        if unknown != "CET" {
            assert_eq!(Zone::from_env(Some(unknown)).at(0), Local { offset: 0, name: "UTC".to_owned() }, "{unknown}");
        }
    }
}

/// A TZif file of version 2 with one change, from LMT +0:10 to ABC +1:00 at 1000, and a rule for later.
fn zone_file(footer: &str) -> Vec<u8> {
    let head = |version: u8, times: u8, kinds: u8, chars: u8| {
        let mut head = b"TZif".to_vec();
        head.push(version);
        head.extend([0; 15]);
        for count in [0, 0, 0, times, kinds, chars] {
            head.extend([0, 0, 0, count]);
        }
        head
    };
    let mut bytes = head(b'2', 0, 1, 1);
    bytes.extend([0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(head(b'2', 1, 2, 8));
    bytes.extend(1000i64.to_be_bytes());
    bytes.push(1);
    bytes.extend([0, 0, 2, 0x58, 0, 0]);
    bytes.extend([0, 0, 0x0e, 0x10, 0, 4]);
    bytes.extend(b"LMT\0ABC\0");
    bytes.extend(format!("\n{footer}\n").bytes());
    bytes
}

#[test]
fn zone_files() {
    let zone = Zone::from_bytes(&zone_file("ABC-1")).unwrap();
    let shown = |seconds| {
        let local = zone.at(seconds);
        (local.offset, local.name)
    };
    assert_eq!(shown(999), (600, "LMT".to_owned()));
    assert_eq!(shown(1000), (3_600, "ABC".to_owned()));
    assert_eq!(zone.unix(&Tm::from_unix(10_000).unwrap()), 6_400);
    assert_eq!(Zone::from_bytes(&zone_file("")).unwrap().at(2_000).offset, 3_600);
    let whole = zone_file("ABC-1");
    for length in 0..whole.len() - 7 {
        assert!(Zone::from_bytes(&whole[..length]).is_none(), "{length}");
    }
}

proptest! {
    #[test]
    fn a_date_survives_both_ways(seconds in -62_135_596_800i64..253_402_300_800) {
        prop_assume!(seconds != -1 && seconds != -2);
        let text = utc(seconds as f64, "%Y-%m-%dT%H:%M:%SZ");
        // C writes a year before 1000 with fewer digits, and reads it back so.
        let (tm, rest) = strptime(&text, "%Y-%m-%dT%H:%M:%SZ", &Zone::default()).unwrap();
        prop_assert_eq!(rest, "");
        prop_assert_eq!(tm.unix(), seconds);
        prop_assert_eq!(Some(tm), Tm::from_unix(seconds));
    }

    #[test]
    fn any_format_and_input_is_taken_or_refused(input in any::<String>(), format in "(%[-_0^#]{0,2}[0-9]{0,3}[EO]?[a-zA-Z%+é]| |[a-z:-]){0,8}") {
        let zone = Zone::default();
        let _ = strptime(&input, &format, &zone);
        let _ = format_utc(&some(&[2024.0, 1.0, 29.0]), &format, &zone);
    }

    #[test]
    fn any_fields_are_taken(fields in prop::collection::vec(prop::option::of(any::<f64>()), 0..10)) {
        let zone = Zone::from_env(Some("CET-1CEST,M3.5.0,M10.5.0/3"));
        let _ = (mktime(&fields), format_utc(&fields, "%c %G %V %U %W %s", &zone), format_local(&fields, "%c %G %V %s", &zone));
    }

    #[test]
    fn any_zone_text_and_file_is_taken_or_refused(text in "[A-Z<>+,.:/0-9MJ-]{0,24}", bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let _ = Rule::parse(&text);
        let mut file = b"TZif2".to_vec();
        file.extend(bytes);
        let _ = Zone::from_bytes(&file);
    }

    #[test]
    fn local_time_survives_both_ways(seconds in 0i64..4_000_000_000) {
        let zone = Zone::from_env(Some("CET-1CEST,M3.5.0,M10.5.0/3"));
        let there = Tm::from_unix(seconds + zone.at(seconds).offset).unwrap();
        let back = zone.unix(&there);
        // The hour that comes twice is read as the later.
        prop_assert!(back == seconds || back == seconds + 3_600, "{} {}", back, seconds);
    }
}
