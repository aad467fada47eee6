//! The allocator of the static binary: dlmalloc behind a lock of two instructions.
//!
//! musl's own allocator and dlmalloc's ready-made global one go through a pthread mutex for every allocation; in jq-lite,
//! which makes millions of small ones on one thread, that was more than a quarter of the time. Here an uncontended lock is
//! one compare-and-swap. Waiters spin briefly and then give their time slice away: nobody holds the lock for longer than
//! one allocation, and nothing inside it waits for anything.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};

use dlmalloc::Dlmalloc;

/// How often a waiter looks again before it yields.
const SPINS: u32 = 64;

/// A heap for the whole process.
pub struct Allocator {
    heap: UnsafeCell<Dlmalloc>,
    locked: AtomicBool,
}

// SAFETY: the heap is reached only through `Allocator::with`, which lets one thread in at a time.
#[allow(unsafe_code)]
unsafe impl Sync for Allocator {}

impl Allocator {
    /// An empty heap.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Allocator {
        Allocator { heap: UnsafeCell::new(Dlmalloc::new()), locked: AtomicBool::new(false) }
    }

    /// Runs `work` on the heap, alone. `work` must not allocate.
    #[allow(unsafe_code)]
    fn with<T>(&self, work: impl FnOnce(&mut Dlmalloc) -> T) -> T {
        let mut spins = 0;
        while self.locked.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            spins += 1;
            if spins % SPINS == 0 {
                std::thread::yield_now();
            } else {
                spin_loop();
            }
        }
        // SAFETY: `locked` was false and is true now, so no other thread is between here and the store below, and the
        // reference does not outlive it. `work` is one call into dlmalloc, which neither panics nor allocates.
        let result = work(unsafe { &mut *self.heap.get() });
        self.locked.store(false, Ordering::Release);
        result
    }
}

// SAFETY: every method hands its arguments to the function of dlmalloc that has the same contract; blocks come from one
// heap and go back to it, and `Allocator::with` keeps threads apart.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the size is not zero, as `GlobalAlloc` asks of its callers.
        self.with(|heap| unsafe { heap.malloc(layout.size(), layout.align()) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        self.with(|heap| unsafe { heap.calloc(layout.size(), layout.align()) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller says that the block came from here with this layout.
        self.with(|heap| unsafe { heap.free(block, layout.size(), layout.align()) });
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as in `dealloc`, and the new size is not zero.
        self.with(|heap| unsafe { heap.realloc(block, layout.size(), layout.align(), size) })
    }
}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use super::*;

    #[test]
    fn threads_keep_out_of_each_others_blocks() {
        static HEAP: Allocator = Allocator::new();
        std::thread::scope(|scope| {
            for thread in 1u8..=4 {
                scope.spawn(move || {
                    for round in 1..400usize {
                        let layout = Layout::from_size_align(round * 7, 16).unwrap();
                        // SAFETY: a layout of a size that is not zero.
                        let block = unsafe { HEAP.alloc(layout) };
                        assert!(!block.is_null() && block.addr() % 16 == 0);
                        // SAFETY: the block has that many bytes and is ours alone.
                        unsafe { block.write_bytes(thread, layout.size()) };
                        // SAFETY: from this heap, with this layout.
                        let block = unsafe { HEAP.realloc(block, layout, round * 9) };
                        // SAFETY: `realloc` kept the bytes written above.
                        let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
                        assert!(bytes.iter().all(|byte| *byte == thread));
                        let layout = Layout::from_size_align(round * 9, 16).unwrap();
                        // SAFETY: from this heap, with its present layout.
                        unsafe { HEAP.dealloc(block, layout) };
                    }
                });
            }
        });
        let layout = Layout::from_size_align(1 << 20, 8).unwrap();
        // SAFETY: a layout of a size that is not zero.
        let block = unsafe { HEAP.alloc_zeroed(layout) };
        // SAFETY: the block has that many bytes, all written by `alloc_zeroed`.
        assert!(unsafe { std::slice::from_raw_parts(block, layout.size()) }.iter().all(|byte| *byte == 0));
        // SAFETY: from this heap, with this layout.
        unsafe { HEAP.dealloc(block, layout) };
    }
}
