//! tls-probe

mod openssl;

use netkit_core::Applet;

/// tls-probe and openssl.
pub static APPLETS: &[Applet] = &[openssl::APPLET];
