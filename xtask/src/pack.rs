//! Compresses the sections that `link` gave to packed applets, and writes the binary without them.
//!
//! The resident part of the file stays as the linker wrote it. Behind it comes one read-only segment with the table and the
//! compressed bytes that `netkit_sys::packed` reads (the format stands there), at an address behind everything packed, so
//! that the kernel begins the heap behind it too. Sections that are not loaded, the list of dependencies among them, follow.

use crate::Result;
use crate::elf::{Elf, SEGMENT, Section, Segment, slice};
use crate::link::PREFIX;

/// Where the binary is told the table's place: address and length, two `u64`.
const PLACE: &str = ".netkit.place";
/// Bytes of one entry of the table.
const ENTRY: usize = 32;
/// The section of the table.
const TABLE: &str = ".netkit.packed";
const PAGE: u64 = 4096;
/// Program header type of a segment that is loaded.
const PT_LOAD: u32 = 1;
/// Program header type of the program headers themselves.
const PT_PHDR: u32 = 6;
/// Bytes of a section header.
const HEADER: usize = 64;
/// miniz_oxide's slowest.
const LEVEL: u8 = 10;

/// One packed applet.
struct Applet {
    name: String,
    code: Section,
    constants: Section,
}

/// A file without its packed sections.
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    pub(crate) applets: Vec<Kept>,
}

/// A packed applet's name, its bytes, and as how many they are kept.
pub(crate) type Kept = (String, usize, usize);

/// The file with its packed sections compressed; the same file when it has none.
pub(crate) fn pack(bytes: &[u8]) -> Result<File> {
    let elf = Elf::new(bytes)?;
    let sections = elf.sections()?;
    let applets = applets(&sections)?;
    let Some(first) = applets.iter().map(|applet| applet.code.address).min() else {
        return Ok(File { bytes: bytes.to_vec(), applets: Vec::new() });
    };
    let last = applets.iter().map(|applet| end(&applet.constants)).max().unwrap_or(first);

    // The resident segments, in whose midst nothing packed lies, end the first part.
    let segments = elf.segments()?;
    let is_packed = |segment: &Segment| segment.kind == PT_LOAD && (first..last).contains(&segment.address);
    let kept = |segment: &&Segment| segment.kind == PT_LOAD && !is_packed(segment);
    let resident = segments.iter().filter(kept).map(|segment| segment.offset + segment.in_file).max().unwrap_or(0);
    let mut out = slice(bytes, 0, resident)?.to_vec();
    out.resize(out.len().next_multiple_of(16), 0);

    let (blob, kept) = blob(bytes, &applets)?;
    let offset = out.len() as u64;
    let address = last.next_multiple_of(PAGE) + offset % PAGE;
    out.extend(&blob);
    write_segments(&mut out, &segments, is_packed, read_only(offset, address, blob.len() as u64))?;

    let place = sections.iter().find(|section| section.name == PLACE).ok_or("the binary has no place for the table")?;
    put(&mut out, place.offset, &[address.to_le_bytes(), (blob.len() as u64).to_le_bytes()].concat())?;
    write_sections(&mut out, bytes, &sections, &blob, (offset, address))?;
    Ok(File { bytes: out, applets: kept })
}

fn applets(sections: &[Section]) -> Result<Vec<Applet>> {
    let find = |name: &str, kind: &str| {
        let wanted = format!("{PREFIX}{name}{kind}");
        sections.iter().find(|section| section.name == wanted).cloned()
    };
    let names = sections.iter().filter_map(|section| section.name.strip_prefix(PREFIX)?.strip_suffix(".text"));
    names
        .map(|name| {
            let (code, constants) = (find(name, ".text"), find(name, ".rodata"));
            let (Some(code), Some(constants)) = (code, constants) else {
                return Err(format!("{name} has code and no constants"));
            };
            // In this order; lld may leave a page free between them.
            if code.address % PAGE != 0 || constants.address % PAGE != 0 || constants.address < end(&code) {
                return Err(format!("{name}'s sections do not lie on pages of their own"));
            }
            Ok(Applet { name: name.to_owned(), code, constants })
        })
        .collect()
}

fn end(section: &Section) -> u64 {
    section.address + section.size as u64
}

/// Length of the code up to the constants, and all of it compressed.
fn compressed(bytes: &[u8], applet: &Applet) -> Result<(u64, Vec<u8>)> {
    let code = usize::try_from(applet.constants.address - applet.code.address).map_err(|error| error.to_string())?;
    let mut memory = slice(bytes, applet.code.offset, applet.code.size)?.to_vec();
    memory.resize(code, 0);
    relative_to_absolute(&mut memory, applet.code.address);
    memory.extend(slice(bytes, applet.constants.offset, applet.constants.size)?);
    Ok((code as u64, miniz_oxide::deflate::compress_to_vec(&memory, LEVEL)))
}

/// Writes targets instead of distances into the calls and jumps of x86, so that the calls of one function are the same
/// bytes everywhere: 8 % less. A field counts whose top byte shows a distance below 16 MiB, and still shows that afterwards,
/// and no byte is looked at for two fields, so that `netkit_sys::packed` finds the same ones.
fn relative_to_absolute(code: &mut [u8], address: u64) {
    let mut at = 0;
    while let Some(&[first, second, ..]) = code.get(at..).and_then(|rest| rest.first_chunk::<6>()) {
        let opcode = match (first, second) {
            (0xe8 | 0xe9, _) => 1,
            (0x0f, 0x80..=0x8f) => 2,
            _ => 0,
        };
        if opcode == 0 {
            at += 1;
            continue;
        }
        let field = code.get_mut(at + opcode..).and_then(|rest| rest.first_chunk_mut::<4>());
        at += opcode + 4;
        let end = (address as i32).wrapping_add(at as i32);
        if let Some(field) = field.filter(|field| [0, 0xff].contains(&field[3])) {
            // 25 bits with a sign.
            *field = (i32::from_le_bytes(*field).wrapping_add(end) << 7 >> 7).to_le_bytes();
        }
    }
}

/// The table and the compressed bytes, and what to say of them.
fn blob(bytes: &[u8], applets: &[Applet]) -> Result<(Vec<u8>, Vec<Kept>)> {
    let mut kept = Vec::new();
    let mut table = (applets.len() as u64).to_le_bytes().to_vec();
    let mut data = Vec::new();
    let begin = table.len() + applets.len() * ENTRY;
    for applet in applets {
        let (code, packed) = compressed(bytes, applet)?;
        let narrow = |length: u64| u32::try_from(length).map_err(|_| format!("{} is too large", applet.name));
        table.extend(applet.code.address.to_le_bytes());
        table.extend(narrow(code)?.to_le_bytes());
        table.extend(narrow(end(&applet.constants) - applet.code.address)?.to_le_bytes());
        table.extend(((begin + data.len()) as u64).to_le_bytes());
        table.extend((packed.len() as u64).to_le_bytes());
        kept.push((applet.name.clone(), applet.code.size + applet.constants.size, packed.len()));
        data.extend(packed);
    }
    table.extend(data);
    Ok((table, kept))
}

/// The program header of the table.
fn read_only(offset: u64, address: u64, length: u64) -> Vec<u8> {
    let mut header = [PT_LOAD.to_le_bytes(), 4u32.to_le_bytes()].concat();
    for value in [offset, address, address, length, length, PAGE] {
        header.extend(value.to_le_bytes());
    }
    header
}

/// The program headers again: the packed ones left out, the table's after the other segments that are loaded.
fn write_segments(out: &mut [u8], all: &[Segment], is_packed: impl Fn(&Segment) -> bool, table: Vec<u8>) -> Result<()> {
    let kept: Vec<&Segment> = all.iter().filter(|segment| !is_packed(segment)).collect();
    let behind = kept.iter().rposition(|segment| segment.kind == PT_LOAD).map_or(0, |last| last + 1);
    let mut fresh: Vec<Vec<u8>> = kept.iter().map(|segment| segment.header.clone()).collect();
    fresh.insert(behind, table);
    let bytes = fresh.concat();
    let at = to_usize(number(out, 32, 8)?)?;
    put(out, at, &vec![0; all.len() * SEGMENT])?;
    put(out, at, &bytes)?;
    put(out, 56, &u16::try_from(fresh.len()).unwrap_or(u16::MAX).to_le_bytes())?;
    // The headers' own entry stands before everything that is loaded (gABI, "Program Header").
    if let Some(own) = kept.iter().position(|segment| segment.kind == PT_PHDR) {
        for field in [32, 40] {
            put(out, at + own * SEGMENT + field, &(bytes.len() as u64).to_le_bytes())?;
        }
    }
    Ok(())
}

/// The sections again: without the packed ones, with the table's, the ones that are not loaded moved to the end.
fn write_sections(
    out: &mut Vec<u8>,
    bytes: &[u8],
    sections: &[Section],
    blob: &[u8],
    (offset, address): (u64, u64),
) -> Result<()> {
    let table = to_usize(number(bytes, 40, 8)?)?;
    let names = to_usize(number(bytes, 62, 2)?)?;
    let mut strings = vec![0];
    let mut headers = Vec::new();
    let mut names_at = 0;
    for (index, section) in sections.iter().enumerate() {
        if section.name.starts_with(PREFIX) {
            continue;
        }
        if !section.is_loaded() && section.has_link() {
            return Err(format!("{} is to be stripped before packing", section.name));
        }
        let mut header = slice(bytes, table + index * HEADER, HEADER)?.to_vec();
        put(&mut header, 0, &u32::try_from(strings.len()).unwrap_or(0).to_le_bytes())?;
        strings.extend(section.name.as_bytes());
        strings.push(0);
        if index == names {
            names_at = headers.len();
        } else if index != 0 && !section.is_loaded() {
            put(&mut header, 24, &(out.len() as u64).to_le_bytes())?;
            out.extend(slice(bytes, section.offset, section.size)?);
        }
        headers.push(header);
    }
    let mut own = vec![0; HEADER];
    put(&mut own, 0, &u32::try_from(strings.len()).unwrap_or(0).to_le_bytes())?;
    strings.extend(TABLE.as_bytes());
    strings.push(0);
    // SHT_PROGBITS, SHF_ALLOC.
    put(&mut own, 4, &1u32.to_le_bytes())?;
    for (at, value) in [(8, 2), (16, address), (24, offset), (32, blob.len() as u64), (48, 16)] {
        put(&mut own, at, &u64::to_le_bytes(value))?;
    }
    headers.push(own);
    if let Some(header) = headers.get_mut(names_at) {
        put(header, 24, &(out.len() as u64).to_le_bytes())?;
        put(header, 32, &(strings.len() as u64).to_le_bytes())?;
    }
    out.extend(&strings);
    out.resize(out.len().next_multiple_of(8), 0);
    let at = out.len() as u64;
    out.extend(headers.iter().flatten());
    put(out, 40, &at.to_le_bytes())?;
    put(out, 60, &u16::try_from(headers.len()).unwrap_or(0).to_le_bytes())?;
    put(out, 62, &u16::try_from(names_at).unwrap_or(0).to_le_bytes())
}

fn put(bytes: &mut [u8], offset: usize, value: &[u8]) -> Result<()> {
    let place = bytes.get_mut(offset..).and_then(|rest| rest.get_mut(..value.len()));
    place.ok_or_else(|| format!("{} bytes at {offset} lie outside the file", value.len()))?.copy_from_slice(value);
    Ok(())
}

/// A little-endian number of `length` bytes.
fn number(bytes: &[u8], offset: usize, length: usize) -> Result<u64> {
    Ok(slice(bytes, offset, length)?.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

fn to_usize(value: u64) -> Result<usize> {
    usize::try_from(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_one_function_become_the_same() {
        // call, jmp and jcc of the function at 0x1000 + 1000.
        let mut code = vec![0x90; 64];
        for (at, opcode) in [(0usize, &[0xe8][..]), (20, &[0xe9]), (40, &[0x0f, 0x84])] {
            let end = at + opcode.len() + 4;
            code[at..at + opcode.len()].copy_from_slice(opcode);
            code[at + opcode.len()..end].copy_from_slice(&(1_000 - i32::try_from(end).unwrap()).to_le_bytes());
        }
        relative_to_absolute(&mut code, 0x1000);
        let target = (0x1000 + 1_000i32).to_le_bytes();
        assert!([1, 21, 42].iter().all(|at| code[*at..*at + 4] == target));
        // Too far: stays.
        let mut code = vec![0xe8, 1, 2, 3, 4, 0x90];
        relative_to_absolute(&mut code, 0x1000);
        assert_eq!(code, [0xe8, 1, 2, 3, 4, 0x90]);
    }

    /// A file with one resident and two packed segments, as the linker writes them.
    fn file() -> Vec<u8> {
        let names = "\0.netkit.place\0.packed.a.text\0.packed.a.rodata\0.dep-v0\0.shstrtab\0";
        let mut out = vec![0; 4096 * 4];
        out[..6].copy_from_slice(b"\x7fELF\x02\x01");
        let put16 = |out: &mut Vec<u8>, at: usize, value: u64| put(out, at, &value.to_le_bytes()[..2]).unwrap();
        let put64 = |out: &mut Vec<u8>, at: usize, value: u64| put(out, at, &value.to_le_bytes()).unwrap();
        put64(&mut out, 32, 64);
        put64(&mut out, 40, 4096 * 4);
        for (at, value) in [(54, 56), (56, 4), (58, 64), (60, 6), (62, 5)] {
            put16(&mut out, at, value);
        }
        // (type, offset = address - 0x400000, length)
        for (index, (kind, offset, length)) in
            [(6u32, 64, 224), (1, 0, 0x400), (1, 0x1000, 0x800), (1, 0x2000, 0x100)].into_iter().enumerate()
        {
            let at = 64 + index * 56;
            put(&mut out, at, &kind.to_le_bytes()).unwrap();
            for (field, value) in
                [(8, offset), (16, 0x40_0000 + offset), (24, 0), (32, length), (40, length), (48, 4096)]
            {
                put64(&mut out, at + field, value);
            }
        }
        out[0x1000..0x1800].fill(0xc3);
        out[0x2000..0x2100].fill(7);
        put(&mut out, 0x3000, b"list").unwrap();
        put(&mut out, 0x3100, names.as_bytes()).unwrap();
        let mut headers = vec![0; 64];
        for (name, flags, offset, length) in [
            (".netkit.place", 2, 0x300, 16),
            (".packed.a.text", 6, 0x1000, 0x800),
            (".packed.a.rodata", 2, 0x2000, 0x100),
            (".dep-v0", 0, 0x3000, 4),
            (".shstrtab", 0, 0x3100, names.len() as u64),
        ] {
            let mut header = vec![0; 64];
            put(&mut header, 0, &u32::try_from(names.find(name).unwrap()).unwrap().to_le_bytes()).unwrap();
            put(&mut header, 4, &1u32.to_le_bytes()).unwrap();
            let address = if flags == 0 { 0 } else { 0x40_0000 + offset };
            for (field, value) in [(8, flags), (16, address), (24, offset), (32, length)] {
                put64(&mut header, field, value);
            }
            headers.extend(header);
        }
        out.extend(headers);
        out
    }

    #[test]
    fn packed_sections_are_compressed_behind_the_resident_ones() {
        let packed = pack(&file()).unwrap().bytes;
        assert!(packed.len() < 0x400 + 1_000, "{}", packed.len());
        let elf = Elf::new(&packed).unwrap();
        let sections = elf.sections().unwrap();
        let names: Vec<&str> = sections.iter().map(|section| section.name.as_str()).collect();
        assert_eq!(names, ["", ".netkit.place", ".dep-v0", ".shstrtab", ".netkit.packed"]);
        assert_eq!(elf.section(".dep-v0").unwrap(), Some(&b"list"[..]));

        let segments = elf.segments().unwrap();
        assert_eq!(segments.iter().map(|segment| segment.kind).collect::<Vec<_>>(), [PT_PHDR, PT_LOAD, PT_LOAD]);
        let table = &sections[4];
        assert_eq!((segments[2].address, segments[2].offset), (table.address, table.offset));
        assert!(table.address > 0x40_2100 && table.address % PAGE == table.offset as u64 % PAGE);
        assert_eq!(number(&packed, 0x300, 8).unwrap(), table.address);
        assert_eq!(number(&packed, 0x308, 8).unwrap(), table.size as u64);

        let blob = elf.section(TABLE).unwrap().unwrap();
        let field = |at, length| number(blob, at, length).unwrap();
        assert_eq!((field(0, 8), field(8, 8), field(16, 4), field(20, 4)), (1, 0x40_1000, 0x1000, 0x1100));
        let (offset, length) = (to_usize(field(24, 8)).unwrap(), to_usize(field(32, 8)).unwrap());
        let memory = miniz_oxide::inflate::decompress_to_vec(&blob[offset..offset + length]).unwrap();
        assert!(
            memory[..0x800].iter().all(|byte| *byte == 0xc3) && memory[0x800..0x1000].iter().all(|byte| *byte == 0)
        );
        assert!(memory.len() == 0x1100 && memory[0x1000..].iter().all(|byte| *byte == 7));
    }

    #[test]
    fn a_file_with_nothing_to_pack_stays_and_a_damaged_one_is_an_error() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(pack(&own).unwrap().bytes == own);
        let whole = file();
        for length in 0..whole.len() {
            let _ = pack(&whole[..length]);
        }
        let mut odd = whole;
        odd.truncate(0x4000 + 64 * 3);
        assert!(pack(&odd).is_err());
    }
}
