//! Processes and file descriptors by number, as a shell needs them: fork(2), execve(2), waitpid(2), dup2(2), signals.
//!
//! A shell's script names descriptors 0 to 9 and may close any of them, so std's owned handles do not fit. Callers keep
//! handles that std owns above [`FIRST_PRIVATE`], where no script can name them.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};

/// The lowest descriptor a shell takes for itself; POSIX Shell 2.7 leaves 0 to 9 to scripts.
pub const FIRST_PRIVATE: i32 = 10;

/// A descriptor by number.
pub type Fd = i32;

/// Turns the -1 of a system call into its errno.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn c_string(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Starts a copy of this process, which runs `child` and ends with the status it returns; nothing of the parent's
/// buffers is flushed there. Returns the child's process id (fork(2)).
///
/// # Errors
/// The errno of fork: too many processes, no memory. `EBUSY` when this process has a second thread.
pub fn fork(child: impl FnOnce() -> u8) -> io::Result<i32> {
    if threads() > 1 {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    // SAFETY: this process has one thread (checked above; where /proc is hidden, netkit's shell starts none), so no lock
    // can be held by a thread that the copy lacks, and the copy may allocate and run any code.
    #[allow(unsafe_code)]
    let pid = check(unsafe { libc::fork() })?;
    if pid != 0 {
        return Ok(pid);
    }
    leave(child())
}

/// Ends the process at once: no destructors, no flushing (_exit(2)).
pub fn leave(status: u8) -> ! {
    // SAFETY: _exit has no preconditions.
    #[allow(unsafe_code)]
    unsafe {
        libc::_exit(i32::from(status))
    }
}

/// The number of threads of this process, or 1 where /proc does not tell.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

/// Replaces this process by the program at `path` (execve(2)). Returns only when that failed, and why.
pub fn exec(path: &[u8], arguments: &[Vec<u8>], environment: &[Vec<u8>]) -> io::Error {
    let prepare = |list: &[Vec<u8>]| list.iter().map(|text| c_string(text)).collect::<io::Result<Vec<CString>>>();
    let (path, arguments, environment) = match (c_string(path), prepare(arguments), prepare(environment)) {
        (Ok(path), Ok(arguments), Ok(environment)) => (path, arguments, environment),
        (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => return error,
    };
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(&arguments), pointers(&environment));
    // SAFETY: path is a C string; both arrays end with a null pointer and point to C strings that live until the end of
    // this function.
    #[allow(unsafe_code)]
    unsafe {
        libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr())
    };
    io::Error::last_os_error()
}

/// How a process changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It ended with this status.
    Exited(u8),
    /// A signal ended it.
    Killed {
        /// The signal's number.
        signal: i32,
        /// Whether it left a core file.
        core: bool,
    },
    /// A signal stopped it.
    Stopped(i32),
    /// It runs again.
    Continued,
}

/// Waits for a change of the child `pid`, or of any child with -1. `block` waits until there is one; otherwise `None`
/// says that there is none now. `stops` reports stopped children too (waitpid(2)).
///
/// # Errors
/// `ECHILD` without children, `EINTR` when a signal with a handler arrived.
pub fn wait(pid: i32, block: bool, stops: bool) -> io::Result<Option<(i32, Change)>> {
    let mut status = 0;
    let flags = if block { 0 } else { libc::WNOHANG } | if stops { libc::WUNTRACED | libc::WCONTINUED } else { 0 };
    // SAFETY: `status` is valid for writing during the call.
    #[allow(unsafe_code)]
    let pid = check(unsafe { libc::waitpid(pid, &raw mut status, flags) })?;
    if pid == 0 {
        return Ok(None);
    }
    let change = if libc::WIFEXITED(status) {
        Change::Exited(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX))
    } else if libc::WIFSIGNALED(status) {
        Change::Killed { signal: libc::WTERMSIG(status), core: libc::WCOREDUMP(status) }
    } else if libc::WIFSTOPPED(status) {
        Change::Stopped(libc::WSTOPSIG(status))
    } else {
        Change::Continued
    };
    Ok(Some((pid, change)))
}

/// Opens a file (open(2)): `flags` and `mode` as there.
///
/// # Errors
/// The errno of open.
pub fn open(path: &[u8], flags: i32, mode: u32) -> io::Result<Fd> {
    let path = c_string(path)?;
    // SAFETY: path is a C string that lives during the call.
    #[allow(unsafe_code)]
    check(unsafe { libc::open(path.as_ptr(), flags, mode) })
}

/// Makes `to` a copy of `from`, closing what `to` was (dup2(2)).
///
/// # Errors
/// `EBADF` when `from` is not open.
pub fn duplicate(from: Fd, to: Fd) -> io::Result<()> {
    // SAFETY: the kernel checks both numbers; by this module's rule `to` is a script's own or one that the caller keeps.
    #[allow(unsafe_code)]
    check(unsafe { libc::dup2(from, to) }).map(drop)
}

/// A copy of `fd` above those that scripts can name, closed by exec (fcntl(2), F_DUPFD_CLOEXEC).
///
/// # Errors
/// `EBADF` when `fd` is not open, `EMFILE`.
pub fn duplicate_away(fd: Fd) -> io::Result<Fd> {
    // SAFETY: the kernel checks the number and chooses a free one.
    #[allow(unsafe_code)]
    check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, FIRST_PRIVATE) })
}

/// Whether `fd` is open.
pub fn is_open(fd: Fd) -> bool {
    // SAFETY: F_GETFD reads a flag of a number that the kernel checks.
    #[allow(unsafe_code)]
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) }).is_ok()
}

/// Closes `fd`; one that is not open is no error (close(2)).
pub fn close(fd: Fd) {
    // SAFETY: by this module's rule the number is a script's own or one that the caller keeps, never one that std owns.
    #[allow(unsafe_code)]
    unsafe {
        libc::close(fd)
    };
}

/// A pipe: the end to read from and the end to write to (pipe2(2)), both closed by exec.
///
/// # Errors
/// `EMFILE`, `ENFILE`.
pub fn pipe() -> io::Result<(Fd, Fd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for two numbers.
    #[allow(unsafe_code)]
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    Ok((ends[0], ends[1]))
}

/// Reads into `buffer` and returns how many bytes came; 0 is the end (read(2)).
///
/// # Errors
/// The errno of read; `EINTR` is not retried.
pub fn read(fd: Fd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the buffer is valid for writing as many bytes as its length says.
    #[allow(unsafe_code)]
    let count = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Writes all of `bytes` (write(2)).
///
/// # Errors
/// The errno of write; interrupted calls are repeated.
pub fn write_all(fd: Fd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the buffer is valid for reading as many bytes as its length says.
        #[allow(unsafe_code)]
        let count = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(count) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

/// Sends a signal; 0 only asks whether that would be allowed (kill(2)). Negative `pid` names a process group.
///
/// # Errors
/// `ESRCH`, `EPERM`, `EINVAL`.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: kill has no preconditions.
    #[allow(unsafe_code)]
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Moves `pid` into the process group `group`; 0 means this process, or its own number (setpgid(2)).
///
/// # Errors
/// `EPERM`, `ESRCH`, `EACCES`.
pub fn join_group(pid: i32, group: i32) -> io::Result<()> {
    // SAFETY: setpgid has no preconditions.
    #[allow(unsafe_code)]
    check(unsafe { libc::setpgid(pid, group) }).map(drop)
}

/// This process's group (getpgrp(2)).
pub fn group() -> i32 {
    // SAFETY: getpgrp has no preconditions.
    #[allow(unsafe_code)]
    unsafe {
        libc::getpgrp()
    }
}

/// The foreground process group of the terminal at `fd` (tcgetpgrp(3)).
///
/// # Errors
/// `ENOTTY`.
pub fn foreground(fd: Fd) -> io::Result<i32> {
    // SAFETY: the kernel checks the number.
    #[allow(unsafe_code)]
    check(unsafe { libc::tcgetpgrp(fd) })
}

/// Makes `group` the foreground process group of the terminal at `fd` (tcsetpgrp(3)).
///
/// # Errors
/// `ENOTTY`, `EPERM`.
pub fn set_foreground(fd: Fd, group: i32) -> io::Result<()> {
    // SAFETY: the kernel checks both numbers.
    #[allow(unsafe_code)]
    check(unsafe { libc::tcsetpgrp(fd, group) }).map(drop)
}

/// Sets the file mode creation mask and returns the one before (umask(2)).
pub fn umask(mask: u32) -> u32 {
    // SAFETY: umask has no preconditions.
    #[allow(unsafe_code)]
    unsafe {
        libc::umask(mask)
    }
}

/// The path this program was started by, as the kernel noted it (getauxval(3), AT_EXECFN); may be relative.
pub fn started_as() -> Option<Vec<u8>> {
    // SAFETY: getauxval has no preconditions.
    #[allow(unsafe_code)]
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) };
    if address == 0 {
        return None;
    }
    // SAFETY: a non-zero AT_EXECFN is the address of a C string that the kernel placed in this process for its lifetime.
    #[allow(unsafe_code)]
    let text = unsafe { std::ffi::CStr::from_ptr(address as *const libc::c_char) };
    Some(text.to_bytes().to_vec())
}

/// Whether this process may read, write or execute `path` with its real ids (access(2)): `mode` as there.
pub fn access(path: &OsStr, mode: i32) -> bool {
    let Ok(path) = c_string(path.as_bytes()) else { return false };
    // SAFETY: path is a C string that lives during the call. Effective ids, as test(1) wants (faccessat(2)).
    #[allow(unsafe_code)]
    check(unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), mode, libc::AT_EACCESS) }).is_ok()
}

/// The signals that arrived and were not taken yet, a bit each.
static PENDING: AtomicU64 = AtomicU64::new(0);

extern "C" fn note(signal: libc::c_int) {
    // An atomic operation is all that a handler may safely do here.
    PENDING.fetch_or(1 << (signal & 63), Ordering::SeqCst);
}

/// What a signal shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// What the system does by itself.
    Default,
    /// Nothing.
    Ignore,
    /// Be noted for [`take_signal`]; system calls that wait end with `EINTR`.
    Note,
}

/// Sets what `signal` does and returns whether it was ignored before (sigaction(2)).
///
/// # Errors
/// `EINVAL` for numbers that are no signal, or cannot be caught.
pub fn set_signal(signal: i32, disposition: Disposition) -> io::Result<bool> {
    let mut action = default_action();
    action.sa_sigaction = match disposition {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
        Disposition::Note => note as *const () as libc::sighandler_t,
    };
    let mut before = default_action();
    // SAFETY: both structures are valid; the handler only touches an atomic number.
    #[allow(unsafe_code)]
    check(unsafe { libc::sigaction(signal, &raw const action, &raw mut before) })?;
    Ok(before.sa_sigaction == libc::SIG_IGN)
}

fn default_action() -> libc::sigaction {
    // SAFETY: an all-zero sigaction is valid: default handler, empty mask, no flags.
    #[allow(unsafe_code)]
    unsafe {
        std::mem::zeroed()
    }
}

/// The signals that were held back before [`hold_signals`].
#[derive(Clone, Copy, Debug)]
pub struct Held(SigSet);

/// Holds every signal back until [`release_signals`]: across a fork, so that what arrives in the child before it has set
/// its own dispositions is not lost in the handlers it has from its parent (sigprocmask(2)).
pub fn hold_signals() -> Held {
    let mut before = SigSet::empty();
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), Some(&mut before));
    Held(before)
}

/// Lets come what [`hold_signals`] held back.
pub fn release_signals(held: &Held) {
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&held.0), None);
}

/// As [`read`], but ends with `EINTR` also for a noted signal that came before the call: nothing is missed between
/// looking at [`signal_pending`] and waiting (ppoll(2)).
///
/// # Errors
/// The errno of read and ppoll.
pub fn read_unless_signal(fd: Fd, buffer: &mut [u8]) -> io::Result<usize> {
    let held = hold_signals();
    let ready = if signal_pending() {
        Err(Errno::EINTR)
    } else {
        // SAFETY: the number is borrowed for the call only; the kernel answers POLLNVAL for one that is not open.
        #[allow(unsafe_code)]
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        ppoll(&mut [PollFd::new(borrowed, PollFlags::POLLIN)], None, Some(held.0))
    };
    release_signals(&held);
    ready?;
    read(fd, buffer)
}

/// Takes the lowest signal that was noted and not taken yet.
pub fn take_signal() -> Option<i32> {
    let pending = PENDING.load(Ordering::SeqCst);
    if pending == 0 {
        return None;
    }
    let signal = pending.trailing_zeros();
    PENDING.fetch_and(!(1 << signal), Ordering::SeqCst);
    i32::try_from(signal).ok()
}

/// Whether a signal was noted and not taken yet.
pub fn signal_pending() -> bool {
    PENDING.load(Ordering::SeqCst) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_carry_bytes_and_closing_ends_them() {
        let (from, to) = pipe().unwrap();
        write_all(to, b"abc").unwrap();
        close(to);
        let mut buffer = [0; 8];
        assert_eq!(read(from, &mut buffer).unwrap(), 3);
        assert_eq!(read(from, &mut buffer).unwrap(), 0);
        close(from);
        assert!(!is_open(from) || from < FIRST_PRIVATE);
    }

    #[test]
    fn what_cannot_be_started_says_why() {
        let error = exec(b"/nonexistent/program", &[b"x".to_vec()], &[]);
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        assert_eq!(exec(b"a\0b", &[], &[]).raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn a_process_with_threads_is_not_copied() {
        // The test harness runs this on a thread of its own.
        assert_eq!(fork(|| 0).unwrap_err().raw_os_error(), Some(libc::EBUSY));
    }
}
