//! The capability sets of this process (capabilities(7)): what the file's grant permits is raised for one applet and
//! dropped again.
//!
//! The released binary's file carries `cap_net_raw,cap_net_admin,cap_sys_ptrace=p`, without the effective bit: it starts
//! under every bounding set, and holds what of the three the bounding set leaves, to be raised here. A process of root
//! holds and uses everything from the start; there is nothing to raise then, and nothing is dropped.

use std::sync::atomic::{AtomicU64, Ordering};

use nix::libc;

/// `_LINUX_CAPABILITY_VERSION_3` of linux/capability.h: sets of 64 bits in two halves.
const VERSION: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`; process 0 is the calling thread.
#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

/// `struct __user_cap_data_struct`, one half of each set.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// What [`raise`] added, for [`lower`].
static RAISED: AtomicU64 = AtomicU64::new(0);

/// Makes effective what of `wanted` (a bit for each capability, by its number) is permitted, and gives up for good every
/// other capability that is permitted without being effective. Threads that run already keep what they have.
pub fn raise(wanted: u64) {
    let Some(mut halves) = read() else { return };
    let mut raised = 0;
    let mut held_back = 0;
    for (half, shift) in halves.iter_mut().zip([0, 32]) {
        let spare = half.permitted & !half.effective;
        let chosen = spare & u32::try_from((wanted >> shift) & u64::from(u32::MAX)).unwrap_or(0);
        half.effective |= chosen;
        half.permitted = half.effective;
        raised |= u64::from(chosen) << shift;
        held_back |= spare;
    }
    if held_back == 0 {
        return;
    }
    if write(&halves) {
        RAISED.store(raised, Ordering::Relaxed);
        if raised == 0 {
            be_readable();
        }
    }
}

/// Gives up for good what [`raise`] added, but for `kept` (a bit for each capability, by its number); called once the
/// sockets that need it are open. Without effect otherwise.
pub fn lower(kept: u64) {
    let raised = RAISED.fetch_and(kept, Ordering::Relaxed) & !kept;
    if raised == 0 {
        return;
    }
    let Some(mut halves) = read() else { return };
    for (half, shift) in halves.iter_mut().zip([0, 32]) {
        let kept = !u32::try_from((raised >> shift) & u64::from(u32::MAX)).unwrap_or(0);
        half.effective &= kept;
        half.permitted &= kept;
    }
    // A process that still holds something stays closed to others of its user.
    if write(&halves) && RAISED.load(Ordering::Relaxed) == 0 {
        be_readable();
    }
}

fn read() -> Option<[Half; 2]> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut halves = [Half::default(); 2];
    // SAFETY: the header names version 3, for which capget(2) writes two halves; both structures have the layout of
    // linux/capability.h and live during the call.
    #[allow(unsafe_code)]
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, halves.as_mut_ptr()) };
    (result == 0).then_some(halves)
}

fn write(halves: &[Half; 2]) -> bool {
    let mut header = Header { version: VERSION, pid: 0 };
    // SAFETY: the header names version 3, for which capset(2) reads two halves; both structures have the layout of
    // linux/capability.h and live during the call.
    #[allow(unsafe_code)]
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, halves.as_ptr()) };
    result == 0
}

/// A program that gains capabilities belongs to root in /proc from then on (proc(5), "dumpable"). Once it has given them
/// up it holds nothing that its user does not, and his own tools may look at it again.
fn be_readable() {
    // SAFETY: PR_SET_DUMPABLE takes a number and changes a flag of this process.
    #[allow(unsafe_code)]
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_held_back_after_raising() {
        std::thread::spawn(|| {
            let before = read().unwrap();
            raise(0);
            let after = read().unwrap();
            for (before, after) in before.iter().zip(&after) {
                assert_eq!((after.effective, after.permitted), (before.effective, before.effective));
            }
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_was_raised_is_given_up_and_nothing_else() {
        std::thread::spawn(|| {
            // CAP_NET_RAW, held back as a file's grant is: only who holds it can try.
            let (bit, mut halves) = (1 << 13, read().unwrap());
            if halves[0].effective & bit == 0 {
                return;
            }
            halves[0].effective &= !bit;
            assert!(write(&halves));
            raise(u64::from(bit));
            assert_eq!(read().unwrap()[0].effective & bit, bit);
            lower(u64::from(bit));
            assert_eq!(read().unwrap()[0].effective & bit, bit);
            lower(0);
            let after = read().unwrap();
            assert_eq!((after[0].effective & bit, after[0].permitted & bit), (0, 0));
            assert_eq!(after[0].effective, halves[0].effective);
        })
        .join()
        .unwrap();
    }
}
