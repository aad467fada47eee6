//! The last words of a program that ran into a bug of its own.
//!
//! The released binary is built so that a panic is an undefined instruction instead of a message (a quarter of a megabyte
//! less), and the kernel then sends SIGILL. The handler says what that means and where it was; the place is an offset into
//! the binary, which `addr2line` turns into a line with the symbols that `cargo xtask dist` keeps.

use std::sync::atomic::{AtomicUsize, Ordering};

use nix::libc;

/// Where this program was loaded, for the handler.
static BASE: AtomicUsize = AtomicUsize::new(0);

/// Makes SIGILL speak before it ends this process as it would have anyway.
pub fn announce() {
    // SAFETY: getauxval has no preconditions.
    #[allow(unsafe_code)]
    let headers = unsafe { libc::getauxval(libc::AT_PHDR) };
    // The program headers stand in the first page of the image (elf(5)).
    BASE.store(usize::try_from(headers).unwrap_or(0) & !0xfff, Ordering::Relaxed);
    // SAFETY: an all-zero sigaction is valid: empty mask, no flags.
    #[allow(unsafe_code)]
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = last_words as *const () as libc::sighandler_t;
    // Back to the default before the handler runs: the instruction comes again after it and ends the process.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESETHAND;
    // SAFETY: the structure is valid, and the handler does only what signal-safety(7) allows.
    #[allow(unsafe_code)]
    unsafe {
        libc::sigaction(libc::SIGILL, &raw const action, std::ptr::null_mut())
    };
}

extern "C" fn last_words(_signal: libc::c_int, info: *const libc::siginfo_t, _context: *const libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a pointer to a valid siginfo_t (sigaction(2)).
    #[allow(unsafe_code)]
    let info = unsafe { &*info };
    // SAFETY: for SIGILL it holds an address.
    #[allow(unsafe_code)]
    let address = unsafe { info.si_addr() } as usize;
    let mut line =
        *b"netkit: a bug of its own stopped it at +0x0000000000000000; please report this with `netkit --version`\n";
    let place = address.wrapping_sub(BASE.load(Ordering::Relaxed));
    for (byte, shift) in line.iter_mut().skip(42).zip((0..16).rev()) {
        let digit = u8::try_from((place >> (shift * 4)) & 15).unwrap_or(0);
        *byte = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
    }
    // SAFETY: the buffer is valid for reading as many bytes as its length says; write is allowed in handlers.
    #[allow(unsafe_code)]
    unsafe {
        libc::write(2, line.as_ptr().cast(), line.len())
    };
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    /// Runs this program again, with a variable that makes it stumble.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn last_words_name_the_place() {
        const MARK: &str = "NETKIT_TEST_STUMBLES";
        if std::env::var_os(MARK).is_some() {
            super::announce();
            // SAFETY: what a panic of the released binary executes; the process ends here.
            #[allow(unsafe_code)]
            unsafe {
                std::arch::asm!("ud2")
            };
            return;
        }
        let program = std::env::current_exe().unwrap();
        let arguments = ["--exact", "crash::tests::last_words_name_the_place", "--nocapture"];
        let output = std::process::Command::new(program).args(arguments).env(MARK, "1").output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("netkit: a bug of its own stopped it at +0x"), "{stderr}");
        assert_eq!(output.status.signal(), Some(nix::libc::SIGILL));
    }
}
