//! dig
use netkit_core::{Applet, Ctx, Error, Exit, Group};
/// dig
pub static APPLETS: &[Applet] = &[Applet {
    name: "dig",
    aliases: &[],
    purpose: "ask name servers",
    usage: "[@server] [name] [type] [class]",
    group: Group::Dns,
    flags: &[],
    capability: None,
    main: run,
}];
fn run(ctx: &mut Ctx) -> Result<Exit, Error> {
    ctx.say("DiG netkit");
    Ok(Exit::OK)
}
