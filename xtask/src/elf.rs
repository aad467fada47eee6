//! Reading ELF files (System V ABI, 64-bit little-endian), as far as releases need it: is it static, how large are
//! its sections and symbols. Every fetch is checked, so a damaged file is an error and never a panic.

use crate::Result;

/// Program header type of the interpreter's path.
const PT_INTERP: u32 = 3;
/// Program header type of the dynamic section.
const PT_DYNAMIC: u32 = 2;
/// Dynamic tag of a needed library.
const DT_NEEDED: u64 = 1;
/// Section header type of the symbol table.
const SHT_SYMTAB: u32 = 2;
/// Section header type of relocations with addends.
const SHT_RELA: u32 = 4;
/// Section header type of a section that takes no room in the file.
const SHT_NOBITS: u32 = 8;
/// Section flag: occupies memory at run time.
const SHF_ALLOC: u64 = 2;
/// Symbol types that own bytes: STT_OBJECT and STT_FUNC.
const OWNING: [u8; 2] = [1, 2];
/// Section header type of the section numbers that symbols have no room for.
const SHT_SYMTAB_SHNDX: u32 = 18;
/// A number that stands elsewhere, and the first one with a meaning of its own.
const SHN_XINDEX: u16 = 0xffff;
const SHN_LORESERVE: u16 = 0xff00;

/// One ELF file in memory.
pub(crate) struct Elf<'a> {
    bytes: &'a [u8],
}

/// Bytes of a program header.
pub(crate) const SEGMENT: usize = 56;

/// A program header.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) kind: u32,
    /// Where it lies in the file, and in memory.
    pub(crate) offset: usize,
    pub(crate) address: u64,
    /// Bytes in the file.
    pub(crate) in_file: usize,
    /// As it stands in the file.
    pub(crate) header: Vec<u8>,
}

/// A section header.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) name: String,
    kind: u32,
    flags: u64,
    /// Where it lies in memory.
    pub(crate) address: u64,
    /// Where it lies in the file.
    pub(crate) offset: usize,
    /// Bytes in memory; a NOBITS section has none in the file.
    pub(crate) size: usize,
    link: usize,
    info: usize,
}

impl Section {
    /// Whether it is there at run time.
    pub(crate) fn is_loaded(&self) -> bool {
        self.flags & SHF_ALLOC != 0
    }

    /// Whether it has bytes in the file.
    pub(crate) fn is_in_file(&self) -> bool {
        self.kind != SHT_NOBITS
    }

    /// Whether it refers to another section, as symbols and relocations do.
    pub(crate) fn has_link(&self) -> bool {
        self.link != 0
    }
}

/// A place that the linker filled in, as `--emit-relocs` keeps it: its address, and the section that its target lies in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relocation {
    pub(crate) place: u64,
    pub(crate) section: usize,
}

/// A place of an object file that the linker is to fill in.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// The section it stands in, and where in it.
    pub(crate) from: usize,
    pub(crate) offset: u64,
    pub(crate) to: Target,
}

/// What a reference of an object file is to.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A section of the same file.
    Section(usize),
    /// A symbol of another file.
    Name(String),
}

/// A symbol that an object file defines.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) section: usize,
    /// Whether other files see it.
    pub(crate) global: bool,
}

/// A function or object of the symbol table.
#[derive(Clone, Debug)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) address: u64,
    /// Bytes it owns in the file.
    pub(crate) size: u64,
}

impl<'a> Elf<'a> {
    /// Accepts 64-bit little-endian ELF only.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Elf<'a>> {
        match bytes.get(..6) {
            Some([0x7f, b'E', b'L', b'F', 2, 1]) => Ok(Elf { bytes }),
            _ => Err("not a 64-bit little-endian ELF file".to_owned()),
        }
    }

    /// Whether there is no interpreter and no needed library; otherwise what there is.
    pub(crate) fn check_static(&self) -> Result<()> {
        for Segment { kind, offset, in_file: length, .. } in self.segments()? {
            match kind {
                PT_INTERP => {
                    let path = self.slice(offset, length)?;
                    return Err(format!(
                        "it names an interpreter, {}",
                        String::from_utf8_lossy(path).trim_end_matches('\0')
                    ));
                }
                PT_DYNAMIC => {
                    let needed = (0..length / 16).filter(|slot| self.u64(offset + slot * 16) == Ok(DT_NEEDED)).count();
                    if needed > 0 {
                        return Err(format!("it needs {needed} shared libraries"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Every program header.
    pub(crate) fn segments(&self) -> Result<Vec<Segment>> {
        let table = self.usize_at(32)?;
        let (entry, count) = (usize::from(self.u16(54)?), usize::from(self.u16(56)?));
        (0..count)
            .map(|index| {
                let header = table + index * entry;
                Ok(Segment {
                    kind: self.u32(header)?,
                    offset: self.usize_at(header + 8)?,
                    address: self.u64(header + 16)?,
                    in_file: self.usize_at(header + 32)?,
                    header: self.slice(header, SEGMENT)?.to_vec(),
                })
            })
            .collect()
    }

    /// Every section header.
    pub(crate) fn sections(&self) -> Result<Vec<Section>> {
        let table = self.usize_at(40)?;
        let (entry, mut count, mut names) =
            (usize::from(self.u16(58)?), usize::from(self.u16(60)?), usize::from(self.u16(62)?));
        // More sections than the header can count: the first one has the numbers (gABI, "Section Header").
        if count == 0 && table != 0 {
            count = self.usize_at(table + 32)?;
        }
        if names == usize::from(SHN_XINDEX) {
            names = usize::try_from(self.u32(table + 40)?).map_err(|error| error.to_string())?;
        }
        self.slice(table, count.checked_mul(entry).ok_or("implausible number of sections")?)?;
        let name_table = if count == 0 { 0 } else { self.usize_at(table + names * entry + 24)? };
        (0..count)
            .map(|index| {
                let header = table + index * entry;
                Ok(Section {
                    name: self.name(name_table, self.u32(header)?)?,
                    kind: self.u32(header + 4)?,
                    flags: self.u64(header + 8)?,
                    address: self.u64(header + 16)?,
                    offset: self.usize_at(header + 24)?,
                    size: self.usize_at(header + 32)?,
                    link: usize::try_from(self.u32(header + 40)?).map_err(|error| error.to_string())?,
                    info: usize::try_from(self.u32(header + 44)?).map_err(|error| error.to_string())?,
                })
            })
            .collect()
    }

    /// The content of the section of this name.
    pub(crate) fn section(&self, name: &str) -> Result<Option<&'a [u8]>> {
        match self.sections()?.into_iter().find(|section| section.name == name && section.kind != SHT_NOBITS) {
            Some(section) => self.slice(section.offset, section.size).map(Some),
            None => Ok(None),
        }
    }

    /// Functions and objects that own bytes of the file; several names of one address are one symbol.
    pub(crate) fn symbols(&self) -> Result<Vec<Symbol>> {
        let sections = self.sections()?;
        let Some(table) = sections.iter().find(|section| section.kind == SHT_SYMTAB) else { return Ok(Vec::new()) };
        let names = sections.get(table.link).ok_or("the symbol table names no string table")?;
        let mut symbols = Vec::new();
        for index in 0..table.size / 24 {
            let entry = table.offset + index * 24;
            let kind = self.slice(entry + 4, 1)?.first().copied().unwrap_or(0) & 15;
            let home = sections.get(usize::from(self.u16(entry + 6)?));
            let size = self.u64(entry + 16)?;
            if size == 0 || !OWNING.contains(&kind) || home.is_none_or(|section| section.kind == SHT_NOBITS) {
                continue;
            }
            symbols.push(Symbol {
                name: self.name(names.offset, self.u32(entry)?)?,
                address: self.u64(entry + 8)?,
                size,
            });
        }
        symbols.sort_by_key(|symbol| symbol.address);
        symbols.dedup_by_key(|symbol| symbol.address);
        Ok(symbols)
    }

    /// The relocations of everything that is loaded, of a file linked with `--emit-relocs`.
    pub(crate) fn relocations(&self) -> Result<Vec<Relocation>> {
        let sections = self.sections()?;
        let mut out = Vec::new();
        for (table, symbols) in self.tables(&sections)? {
            for index in 0..table.size / 24 {
                let entry = table.offset + index * 24;
                let symbol = symbols.offset + self.symbol_of(entry)? * 24;
                out.push(Relocation { place: self.u64(entry)?, section: usize::from(self.u16(symbol + 6)?) });
            }
        }
        Ok(out)
    }

    /// The references of everything in an object file that will be loaded.
    pub(crate) fn references(&self) -> Result<Vec<Reference>> {
        let sections = self.sections()?;
        let mut out = Vec::new();
        for (table, symbols) in self.tables(&sections)? {
            let names = sections.get(symbols.link).ok_or("the symbol table names no string table")?;
            for index in 0..table.size / 24 {
                let entry = table.offset + index * 24;
                let symbol = self.symbol_of(entry)?;
                let to = match self.section_of_symbol(&sections, symbols, symbol)? {
                    0 => Target::Name(self.name(names.offset, self.u32(symbols.offset + symbol * 24)?)?),
                    section => Target::Section(section),
                };
                out.push(Reference { from: table.info, offset: self.u64(entry)?, to });
            }
        }
        Ok(out)
    }

    /// The symbols that an object file defines and names.
    pub(crate) fn definitions(&self) -> Result<Vec<Definition>> {
        let sections = self.sections()?;
        let Some(table) = sections.iter().find(|section| section.kind == SHT_SYMTAB) else { return Ok(Vec::new()) };
        let names = sections.get(table.link).ok_or("the symbol table names no string table")?;
        let mut out = Vec::new();
        for index in 0..table.size / 24 {
            let entry = table.offset + index * 24;
            let name = self.u32(entry)?;
            let section = self.section_of_symbol(&sections, table, index)?;
            if name != 0 && section != 0 {
                // STB_LOCAL is 0.
                let global = self.slice(entry + 4, 1)?.first().is_some_and(|info| info >> 4 != 0);
                out.push(Definition { name: self.name(names.offset, name)?, section, global });
            }
        }
        Ok(out)
    }

    /// The relocation tables of sections that are loaded, with their symbol tables.
    fn tables<'s>(&self, sections: &'s [Section]) -> Result<Vec<(&'s Section, &'s Section)>> {
        let of_loaded =
            |table: &&Section| table.kind == SHT_RELA && sections.get(table.info).is_some_and(Section::is_loaded);
        let with_symbols = |table: &'s Section| {
            let symbols = sections.get(table.link).ok_or("relocations without a symbol table")?;
            Ok((table, symbols))
        };
        sections.iter().filter(of_loaded).map(with_symbols).collect()
    }

    /// The number of the symbol that a relocation names.
    fn symbol_of(&self, entry: usize) -> Result<usize> {
        usize::try_from(self.u64(entry + 8)? >> 32).map_err(|error| error.to_string())
    }

    /// The section that a symbol is defined in; 0 for one that is not, or has no section.
    fn section_of_symbol(&self, sections: &[Section], table: &Section, symbol: usize) -> Result<usize> {
        match self.u16(table.offset + symbol * 24 + 6)? {
            SHN_XINDEX => {
                let indices = sections.iter().find(|section| section.kind == SHT_SYMTAB_SHNDX);
                let indices = indices.ok_or("the numbers of many sections are missing")?;
                usize::try_from(self.u32(indices.offset + symbol * 4)?).map_err(|error| error.to_string())
            }
            special if special >= SHN_LORESERVE => Ok(0),
            section => Ok(usize::from(section)),
        }
    }

    fn name(&self, table: usize, offset: u32) -> Result<String> {
        let start = table + usize::try_from(offset).map_err(|error| error.to_string())?;
        let rest = self.bytes.get(start..).ok_or("a name lies outside the file")?;
        let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
        Ok(String::from_utf8_lossy(rest.get(..end).unwrap_or(rest)).into_owned())
    }

    fn slice(&self, offset: usize, length: usize) -> Result<&'a [u8]> {
        slice(self.bytes, offset, length)
    }

    fn array<const N: usize>(&self, offset: usize) -> Result<[u8; N]> {
        self.slice(offset, N)?.try_into().map_err(|_| "truncated".to_owned())
    }

    fn u16(&self, offset: usize) -> Result<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    fn u32(&self, offset: usize) -> Result<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    fn u64(&self, offset: usize) -> Result<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    /// An offset or length, which must fit the file and therefore `u32`-sized arithmetic cannot overflow.
    fn usize_at(&self, offset: usize) -> Result<usize> {
        let value = self.u64(offset)?;
        usize::try_from(value)
            .ok()
            .filter(|value| *value <= 1 << 40)
            .ok_or_else(|| format!("implausible offset or length {value:#x}"))
    }
}

/// The bytes of a file at a place that the file itself names.
pub(crate) fn slice(bytes: &[u8], offset: usize, length: usize) -> Result<&[u8]> {
    let end = offset.checked_add(length);
    end.and_then(|end| bytes.get(offset..end))
        .ok_or_else(|| format!("truncated: {length} bytes at {offset} lie outside the file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header and the given program headers: (type, offset, length).
    fn file(headers: &[(u32, u64, u64)], tail: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(headers.len()).unwrap();
        for (kind, offset, length) in headers {
            let mut header = vec![0; 56];
            header[..4].copy_from_slice(&kind.to_le_bytes());
            header[8..16].copy_from_slice(&offset.to_le_bytes());
            header[32..40].copy_from_slice(&length.to_le_bytes());
            bytes.extend(header);
        }
        bytes.extend(tail);
        bytes
    }

    #[test]
    fn static_file_passes() {
        let null_entry = [0; 16];
        assert_eq!(Elf::new(&file(&[(PT_DYNAMIC, 120, 16)], &null_entry)).unwrap().check_static(), Ok(()));
        assert_eq!(Elf::new(&file(&[], &[])).unwrap().check_static(), Ok(()));
    }

    #[test]
    fn interpreter_and_needed_library_are_refused() {
        let bytes = file(&[(PT_INTERP, 120, 8)], b"/lib/ld\0");
        let error = Elf::new(&bytes).unwrap().check_static().unwrap_err();
        assert_eq!(error, "it names an interpreter, /lib/ld");

        let mut entry = [0; 32];
        entry[0] = 1;
        let bytes = file(&[(PT_DYNAMIC, 120, 32)], &entry);
        assert_eq!(Elf::new(&bytes).unwrap().check_static().unwrap_err(), "it needs 1 shared libraries");
    }

    #[test]
    fn a_real_dynamic_program_is_read() {
        // The test program itself: built for a glibc or musl host, with a symbol table.
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let elf = Elf::new(&bytes).unwrap();
        assert!(elf.section(".text").unwrap().is_some_and(|text| text.len() > 1_000));
        assert_eq!(elf.section(".no-such-section").unwrap(), None);
        assert!(elf.symbols().unwrap().iter().any(|symbol| symbol.name.contains("a_real_dynamic_program_is_read")));
    }

    #[test]
    fn every_truncation_is_an_error_or_fine_but_no_panic() {
        let whole = file(&[(PT_INTERP, 120, 8), (PT_DYNAMIC, 184, 32)], &[1; 100]);
        for length in 0..whole.len() {
            if let Ok(elf) = Elf::new(&whole[..length]) {
                let _ = elf.check_static();
                let _ = elf.sections();
                let _ = elf.symbols();
                let _ = elf.relocations();
                let _ = elf.references();
                let _ = elf.definitions();
            }
        }
        assert!(Elf::new(b"\x7fELF\x01\x01").is_err());
    }
}
