//! iptables-list: every rule the kernel holds.

mod nft;

use netkit_core::{Applet, Ctx, Error, Exit, Group};
use netkit_nf::Family;
use netkit_nf::legacy::Info;

/// The list and the names that fingers know.
pub static APPLETS: &[Applet] = &[Applet {
    name: "iptables-save",
    aliases: &["iptables-legacy-save"],
    purpose: "every rule of the packet filter, as text to restore",
    usage: "[-t TABLE] [-c]",
    group: Group::Kernel,
    flags: &[],
    capability: None,
    main: run,
}];

fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    let counters = ctx.args_lossy().iter().any(|word| word == "-c");
    let v6 = ctx.args_lossy().iter().any(|word| word == "-6");
    let family = if v6 { Family::Ipv6 } else { Family::Ipv4 };
    if ctx.args_lossy().iter().any(|word| word == "--nft") {
        let text = nft::save(family, counters).map_err(|error| Error::new(Exit(1), error.to_string()))?;
        ctx.stdout.write_all(text.as_bytes())?;
        return Ok(Exit::OK);
    }
    let mut out = String::new();
    for name in netkit_sys::xtables::names(v6).map_err(|error| Error::new(Exit(1), error.to_string()))? {
        let blob =
            netkit_sys::xtables::read(&name, v6).map_err(|error| Error::new(Exit(1), format!("{name}: {error}")))?;
        let info = Info { valid_hooks: blob.valid_hooks, hook_entry: blob.hook_entry, underflow: blob.underflow };
        let table = netkit_nf::legacy::table(&name, family, &info, &blob.entries)
            .map_err(|error| Error::new(Exit(1), format!("{name}: {error}")))?;
        if ctx.args_lossy().iter().any(|word| word == "-L") {
            let format = netkit_nf::list::Format {
                numeric: ctx.args_lossy().iter().any(|word| word == "-n"),
                verbose: counters || ctx.args_lossy().iter().any(|word| word == "-v"),
                exact: false,
                line_numbers: true,
            };
            for (index, chain) in netkit_nf::save::ordered(&table).into_iter().enumerate() {
                if index > 0 {
                    out.push('\n');
                }
                netkit_nf::list::chain(&mut out, family, chain, format, None);
            }
            continue;
        }
        netkit_nf::save::table(&mut out, &table, counters);
    }
    ctx.stdout.write_all(out.as_bytes())?;
    Ok(Exit::OK)
}
