//! Putting a packed applet's code in place before it runs.
//!
//! The released binary keeps the functions and constants that only one applet needs compressed (`cargo xtask dist`; which
//! applets, the root manifest says). Their addresses are fixed when the binary is linked, and nothing lies there until
//! [`unpack`] puts the bytes there, once, before the applet's first function is called. An ordinary build has nothing packed.
//!
//! The table of what is packed begins with the number of entries, as 8 bytes; each has 32: address, length of the code
//! with its padding to whole pages, length of code and constants together, offset of the compressed bytes from the table's
//! beginning and their length (u64, u32, u32, u64, u64; all little-endian). Compressed is raw DEFLATE (RFC 1951).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc;

/// Bytes of one entry of the table.
const ENTRY: usize = 32;

/// The table's address and length; both 0 when nothing is packed. xtask finds it by its section.
// SAFETY: a section of its own, of which nothing else is expected; the linker keeps it as constant data.
#[allow(unsafe_code)]
#[unsafe(link_section = ".netkit.place")]
#[used]
static PLACE: [u64; 2] = [0, 0];

/// Whether the applet that this process began with is in place already; there is one applet a process, and a second one
/// only when the shell's companions hand over to the shell.
static DONE: [AtomicBool; 16] = [const { AtomicBool::new(false) }; 16];

/// One packed applet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packed {
    address: usize,
    code: usize,
    whole: usize,
    offset: usize,
    length: usize,
}

/// The entries of a table; what is damaged ends it.
fn entries(table: &[u8]) -> impl Iterator<Item = Packed> {
    let count = table.first_chunk().map_or(0, |count| u64::from_le_bytes(*count));
    let rest = table.get(8..).unwrap_or_default();
    rest.chunks_exact(ENTRY).take(usize::try_from(count).unwrap_or(0)).map_while(|entry| {
        let long = |at: usize| {
            let bytes = entry.get(at..)?.first_chunk()?;
            usize::try_from(u64::from_le_bytes(*bytes)).ok()
        };
        let short = |at: usize| {
            let bytes = entry.get(at..)?.first_chunk()?;
            usize::try_from(u32::from_le_bytes(*bytes)).ok()
        };
        Some(Packed { address: long(0)?, code: short(8)?, whole: short(12)?, offset: long(16)?, length: long(24)? })
    })
}

/// Makes sure that the function at `entry` can be called: puts the packed applet that it belongs to in place.
///
/// # Errors
/// The kernel has no memory, or allows no memory that was written to be executed (SELinux `execmem`, PR_SET_MDWE) nor a
/// file in memory (memfd_create(2)) in its place; or the binary is damaged.
pub fn unpack(entry: usize) -> io::Result<()> {
    // SAFETY: PLACE is a valid static; volatile because xtask writes its value after the compiler saw it.
    #[allow(unsafe_code)]
    let [table, length] = unsafe { std::ptr::read_volatile(&raw const PLACE) };
    if table == 0 {
        return Ok(());
    }
    let pointer = std::ptr::with_exposed_provenance(usize::try_from(table).unwrap_or(0));
    // SAFETY: xtask wrote address and length of a read-only segment of this binary.
    #[allow(unsafe_code)]
    let table: &'static [u8] = unsafe { std::slice::from_raw_parts(pointer, usize::try_from(length).unwrap_or(0)) };
    let found = entries(table).zip(&DONE).find(|(packed, _)| entry.wrapping_sub(packed.address) < packed.code);
    let Some((packed, done)) = found else { return Ok(()) };
    if done.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let bytes = packed.offset.checked_add(packed.length).and_then(|end| table.get(packed.offset..end));
    place(packed, bytes.ok_or_else(damaged)?)
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the binary is damaged")
}

fn place(packed: Packed, compressed: &[u8]) -> io::Result<()> {
    let wanted: *mut libc::c_void = std::ptr::with_exposed_provenance_mut(packed.address);
    let (writable, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: NOREPLACE: no mapping that exists is touched.
    #[allow(unsafe_code)]
    let got = unsafe { libc::mmap(wanted, packed.whole, writable, private | libc::MAP_FIXED_NOREPLACE, -1, 0) };
    if got == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // Kernels before 4.17 take the address as a wish.
    if got != wanted {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "its place in memory is taken"));
    }
    // SAFETY: the mapping just made has this length, is zeroed, and nobody else knows of it.
    #[allow(unsafe_code)]
    let memory = unsafe { std::slice::from_raw_parts_mut(got.cast::<u8>(), packed.whole) };
    let pieces = std::iter::once(compressed);
    let written = miniz_oxide::inflate::decompress_slice_iter_to_slice(memory, pieces, false, true);
    if written.map_err(|_| damaged())? != packed.whole {
        return Err(damaged());
    }
    let (code, constants) = memory.split_at_mut_checked(packed.code).ok_or_else(damaged)?;
    absolute_to_relative(code, packed.address);
    // Never writable and executable at once.
    // SAFETY: a whole number of pages of our own mapping.
    #[allow(unsafe_code)]
    let executable = unsafe { libc::mprotect(got, packed.code, libc::PROT_READ | libc::PROT_EXEC) };
    if executable != 0 {
        from_a_file(code, got)?;
    }
    if !constants.is_empty() {
        // SAFETY: the rest of the same mapping, from a page's beginning.
        #[allow(unsafe_code)]
        unsafe {
            libc::mprotect(constants.as_mut_ptr().cast(), constants.len(), libc::PROT_READ)
        };
    }
    Ok(())
}

/// Replaces memory that may not become executable by a private mapping of a file with the same content, which was never
/// writable.
fn from_a_file(code: &[u8], place: *mut libc::c_void) -> io::Result<()> {
    // SAFETY: the name is a C string.
    #[allow(unsafe_code)]
    let file = unsafe { libc::memfd_create(c"netkit".as_ptr(), libc::MFD_CLOEXEC) };
    if file < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and has no other owner.
    #[allow(unsafe_code)]
    let mut file = unsafe { <std::fs::File as std::os::fd::FromRawFd>::from_raw_fd(file) };
    io::Write::write_all(&mut file, code)?;
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&file);
    let (readable, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_FIXED);
    // SAFETY: it replaces our own mapping, whose bytes nobody uses yet, by one with the same bytes.
    #[allow(unsafe_code)]
    let got = unsafe { libc::mmap(place, code.len(), readable, flags, descriptor, 0) };
    if got == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The places of `code` that xtask changed: after a call, a jump or a conditional jump of x86, a field whose top byte shows
/// a distance below 16 MiB. The top byte says so before and after, and no byte is looked at for two fields, so both
/// directions see the same.
fn fields(code: &mut [u8], mut change: impl FnMut(usize, i32) -> i32) {
    let mut at = 0;
    while let Some([first, second, ..]) = code.get(at..).and_then(|rest| rest.first_chunk::<6>()).copied() {
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
        let Some(field) = field.filter(|field| [0, 0xff].contains(&field[3])) else { continue };
        // 25 bits with a sign.
        let value = change(at, i32::from_le_bytes(*field)) << 7 >> 7;
        *field = value.to_le_bytes();
    }
}

/// Makes distances again of targets, which compress better: the calls of one function are the same bytes everywhere.
fn absolute_to_relative(code: &mut [u8], address: usize) {
    let base = address as i32;
    fields(code, |end, value| value.wrapping_sub(base).wrapping_sub(end as i32));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What xtask does before it compresses.
    fn relative_to_absolute(code: &mut [u8], address: usize) {
        fields(code, |end, value| value.wrapping_add(address as i32).wrapping_add(end as i32));
    }

    #[test]
    fn nothing_is_packed_in_an_ordinary_build() {
        unpack(nothing_is_packed_in_an_ordinary_build as *const () as usize).unwrap();
    }

    #[test]
    fn distances_come_back() {
        // Every kind of field, overlapping opcodes, fields at the end, and bytes without any order.
        let mut code =
            vec![0xe8, 1, 2, 3, 0, 0xe9, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x84, 9, 9, 9, 0, 0xe8, 0xe8, 0xe8, 0xe8, 0xff];
        let mut state = 1u32;
        for _ in 0..100_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let byte = (state >> 24) as u8;
            code.push(if byte < 40 {
                0xe8
            } else if byte < 90 {
                0
            } else if byte < 120 {
                0xff
            } else {
                byte
            });
        }
        for length in [0, 1, 4, 5, 6, 10, 16, code.len()] {
            for address in [0, 0x40_0000, 0x7ff_f000] {
                let mut changed = code[..length].to_vec();
                relative_to_absolute(&mut changed, address);
                assert!(length < 1_000 || changed != code);
                absolute_to_relative(&mut changed, address);
                assert!(changed == code[..length]);
            }
        }
    }

    #[test]
    fn calls_of_one_function_become_the_same() {
        let mut code = vec![0x90; 64];
        for at in [0usize, 20, 40] {
            code[at] = 0xe8;
            code[at + 1..at + 5].copy_from_slice(&(1_000 - i32::try_from(at + 5).unwrap()).to_le_bytes());
        }
        relative_to_absolute(&mut code, 0x1000);
        let target = (0x1000 + 1_000i32).to_le_bytes();
        assert!([0usize, 20, 40].iter().all(|at| code[at + 1..at + 5] == target));
    }

    fn table(packed: &[Packed], count: u64) -> Vec<u8> {
        let mut out = count.to_le_bytes().to_vec();
        for packed in packed {
            out.extend((packed.address as u64).to_le_bytes());
            out.extend((packed.code as u32).to_le_bytes());
            out.extend((packed.whole as u32).to_le_bytes());
            out.extend((packed.offset as u64).to_le_bytes());
            out.extend((packed.length as u64).to_le_bytes());
        }
        out
    }

    #[test]
    fn tables_are_read_and_damaged_ones_end() {
        let one = Packed { address: 0x60_0000, code: 0x3000, whole: 0x4000, offset: 72, length: 9 };
        let two = Packed { address: 0x70_0000, ..one };
        let whole = table(&[one, two], 2);
        assert_eq!(entries(&whole).collect::<Vec<_>>(), [one, two]);
        assert_eq!(entries(&whole[..60]).collect::<Vec<_>>(), [one]);
        assert_eq!(entries(&table(&[one], u64::MAX)).collect::<Vec<_>>(), [one]);
        assert_eq!(entries(&[]).count(), 0);
        assert_eq!(entries(&[1]).count(), 0);
    }

    /// Places a function of three instructions and calls it.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn code_is_put_in_place_and_runs() {
        const PAGE: usize = 4096;
        // mov eax, 42; jmp +0; ret - and a constant on the next page.
        let mut bytes = vec![0; 2 * PAGE];
        bytes[..11].copy_from_slice(&[0xb8, 42, 0, 0, 0, 0xe9, 0, 0, 0, 0, 0xc3]);
        bytes[PAGE] = 7;
        let address = 0x2345_6000;
        relative_to_absolute(&mut bytes[..PAGE], address);
        let compressed = miniz_oxide::deflate::compress_to_vec(&bytes, 9);
        let packed = Packed { address, code: PAGE, whole: 2 * PAGE, offset: 0, length: compressed.len() };
        place(packed, &compressed).unwrap();
        // SAFETY: the code just placed follows the C calling convention.
        #[allow(unsafe_code)]
        let function: extern "C" fn() -> i32 =
            unsafe { std::mem::transmute(std::ptr::with_exposed_provenance::<()>(address)) };
        assert_eq!(function(), 42);
        let constant: *const u8 = std::ptr::with_exposed_provenance(address + PAGE);
        // SAFETY: the page after the code, readable.
        #[allow(unsafe_code)]
        let constant = unsafe { constant.read() };
        assert_eq!(constant, 7);
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        assert!(maps.contains("23456000-23457000 r-xp"), "{maps}");
        assert!(maps.contains("23457000-23458000 r--p"), "{maps}");
        // The same from a file in memory.
        let place_of_code = std::ptr::with_exposed_provenance_mut(address);
        let mut code = bytes[..PAGE].to_vec();
        absolute_to_relative(&mut code, address);
        from_a_file(&code, place_of_code).unwrap();
        assert_eq!(function(), 42);
        // What lies there already is not replaced.
        assert!(place(packed, &compressed).is_err());
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let whole = miniz_oxide::deflate::compress_to_vec(&[1; 4096], 9);
        for (number, bytes) in [&whole[..whole.len() - 1], &[0xff; 9], &[]].iter().enumerate() {
            let packed =
                Packed { address: 0x3456_0000 + number * 0x1_0000, code: 4096, whole: 4096, offset: 0, length: 0 };
            assert_eq!(place(packed, bytes).unwrap_err().to_string(), "the binary is damaged");
        }
    }
}
