//! argv[0] -> applet -> exit status. The only place where the process exits.

use netkit_core::{Build, Ctx, Powers};

include!(concat!(env!("OUT_DIR"), "/table.rs"));

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: netkit_sys::allocator::Allocator = netkit_sys::allocator::Allocator::new();

static BUILD: Build = Build {
    version: env!("CARGO_PKG_VERSION"),
    commit: env!("NETKIT_BUILD_COMMIT"),
    epoch: env!("NETKIT_BUILD_EPOCH"),
    target: env!("NETKIT_BUILD_TARGET"),
    trust_roots: env!("NETKIT_TRUST_ROOTS"),
};

static POWERS: Powers = Powers {
    raise: netkit_sys::capabilities::raise,
    unpack: netkit_sys::packed::unpack,
    call_oneself: netkit_sys::process::call_oneself,
    supervise: netkit_sys::first::supervise,
};

fn main() -> std::process::ExitCode {
    #[cfg(target_env = "musl")]
    netkit_sys::crash::announce();
    let mut ctx = Ctx::from_process(TABLE, &BUILD);
    netkit_core::front::dispatch(&mut ctx, &POWERS).into()
}
