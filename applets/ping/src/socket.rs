//! Setting up the socket of one run: source, interface, options; and the line that announces it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use netkit_core::privilege::{Capability, missing};
use netkit_core::text::printable;
use netkit_core::{Ctx, Error};
use netkit_probe::MtuDiscovery;
use netkit_probe::echo::Echo;
use netkit_probe::errno::reason;
use nix::sys::socket::setsockopt;
use nix::{libc, setsockopt_impl, sockopt_impl};
use socket2::{Domain, Socket, Type};

use crate::args::{OTHER, Opts};

sockopt_impl!(
    /// socket(7).
    DontRoute, SetOnly, libc::SOL_SOCKET, libc::SO_DONTROUTE, bool);
sockopt_impl!(
    /// socket(7).
    Debug, SetOnly, libc::SOL_SOCKET, libc::SO_DEBUG, bool);

/// What may come of choosing a source.
pub(crate) enum Source {
    Chosen(IpAddr),
    /// There is no way to this address; another one of the same name may do.
    Unreachable(Error),
}

fn failed(what: &str, error: &io::Error) -> Error {
    Error::new(OTHER, format!("{what}: {}", reason(error)))
}

fn bind_device(socket: &Socket, device: &str) -> Result<(), Error> {
    socket
        .bind_device(Some(device.as_bytes()))
        .map_err(|error| failed(&format!("SO_BINDTODEVICE {}", printable(device)), &error))
}

/// Opens the socket for echoes.
pub(crate) fn open(opts: &Opts, v6: bool) -> Result<Echo, Error> {
    Echo::open(v6, opts.ident.filter(|_| !v6 || opts.ident != Some(0))).map_err(|error| {
        let hint = missing(
            Capability::NetRaw,
            "sending ICMP echoes where net.ipv4.ping_group_range does not allow this group",
            "`ping --tcp PORT`, `traceroute`, `tracepath`",
        );
        failed("socket", &error).hint(hint)
    })
}

/// Whether the address is one of a link, and which link is not said.
pub(crate) fn needs_scope(opts: &Opts, to: SocketAddr) -> bool {
    match to {
        SocketAddr::V6(v6) => v6.ip().is_unicast_link_local() && v6.scope_id() == 0 && opts.device.is_none(),
        SocketAddr::V4(_) => false,
    }
}

/// The address that packets to `to` leave from: the user's, or the one the kernel takes.
pub(crate) fn source(ctx: &mut Ctx, opts: &Opts, to: SocketAddr) -> Result<Source, Error> {
    if let Some(source) = opts.source {
        if source.is_ipv6() == to.is_ipv6() {
            return Ok(Source::Chosen(source));
        }
        let family = if to.is_ipv6() { "IPv6" } else { "IPv4" };
        return Err(Error::new(OTHER, format!("the source {source} is not of the family of an {family} destination")));
    }
    if needs_scope(opts, to) {
        return Ok(Source::Chosen(IpAddr::V6(Ipv6Addr::UNSPECIFIED)));
    }
    let domain = if to.is_ipv6() { Domain::IPV6 } else { Domain::IPV4 };
    let probe = Socket::new(domain, Type::DGRAM, None).map_err(|error| failed("socket", &error))?;
    if let Some(device) = &opts.device {
        if to.is_ipv6() && !known(device) {
            return Err(Error::new(OTHER, format!("unknown iface: {}", printable(device))));
        }
        bind_device(&probe, device)?;
    }
    let mut with_port = to;
    with_port.set_port(1025);
    if let Err(error) = probe.connect(&with_port.into()) {
        if error.raw_os_error() != Some(libc::EACCES) || to.is_ipv6() {
            let unreachable = matches!(error.raw_os_error(), Some(libc::ENETUNREACH | libc::EHOSTUNREACH));
            let error = failed("connect", &error);
            return if to.is_ipv6() && unreachable { Ok(Source::Unreachable(error)) } else { Err(error) };
        }
        if !opts.broadcast {
            let text = "Do you want to ping broadcast? Then -b. If not, check your local firewall rules";
            return Err(Error::new(OTHER, text));
        }
        ctx.say("WARNING: pinging broadcast address");
        probe.set_broadcast(true).map_err(|error| failed("cannot set broadcasting", &error))?;
        probe.connect(&with_port.into()).map_err(|error| failed("connect", &error))?;
    }
    let local = probe.local_addr().map_err(|error| failed("getsockname", &error))?;
    let local = local.as_socket().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |local| local.ip());
    if let Some(device) = &opts.device
        && !owns(device, local)
    {
        let name = ctx.name.clone();
        let device = printable(device);
        ctx.say(&format!("{name}: Warning: source address might be selected on device other than: {device}"));
    }
    Ok(Source::Chosen(local))
}

fn known(device: &str) -> bool {
    nix::net::if_::if_nametoindex(device).is_ok()
}

/// Whether the interface has the address; where that cannot be found out, it is taken to.
fn owns(device: &str, address: IpAddr) -> bool {
    let Ok(all) = nix::ifaddrs::getifaddrs() else { return true };
    let mut seen = false;
    for entry in all.filter(|entry| entry.interface_name == device) {
        let Some(storage) = entry.address else { continue };
        let found = storage.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        let found = found.or_else(|| storage.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())));
        if found == Some(address) {
            return true;
        }
        seen |= found.is_some_and(|found| found.is_ipv4() == address.is_ipv4());
    }
    // Linux sends from another interface's address where this one has none.
    !seen && address.is_unspecified()
}

/// Sets what the options ask for.
pub(crate) fn configure(
    ctx: &mut Ctx,
    opts: &Opts,
    echo: &Echo,
    source: IpAddr,
    to: &mut SocketAddr,
) -> Result<(), Error> {
    let socket = echo.socket();
    let v6 = to.is_ipv6();
    if let Some(device) = &opts.device {
        if v6 && !known(device) {
            return Err(Error::new(OTHER, format!("unknown iface: {}", printable(device))));
        }
        bind_device(socket, device)?;
        if let SocketAddr::V6(address) = to
            && address.scope_id() == 0
            && (address.ip().is_unicast_link_local() || address.ip().is_multicast())
        {
            let scope = nix::net::if_::if_nametoindex(device.as_str()).unwrap_or(0);
            *address = SocketAddrV6::new(*address.ip(), 0, 0, scope);
        }
    }
    if to.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
        to.set_ip(source);
    }
    let many = opts.broadcast || to.ip().is_multicast();
    let discovery = opts.discovery.or((many && !v6).then_some(MtuDiscovery::Do));
    if let Some(discovery) = discovery {
        let what = if v6 { "IPV6_MTU_DISCOVER" } else { "IP_MTU_DISCOVER" };
        discovery.apply(socket, v6).map_err(|error| failed(what, &error))?;
    }
    if opts.strict_source {
        let scope = if let SocketAddr::V6(to) = &*to { to.scope_id() } else { 0 };
        let local = match source {
            IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, 0, 0, scope_of(ip, scope))),
            v4 => SocketAddr::new(v4, 0),
        };
        let what = if v6 { "bind icmp socket" } else { "bind" };
        socket.bind(&local.into()).map_err(|error| failed(what, &error))?;
    }
    options(ctx, opts, socket, v6, many)?;
    if opts.connect {
        socket.connect(&(*to).into()).map_err(|error| failed("connect failed", &error))?;
    }
    Ok(())
}

fn scope_of(ip: Ipv6Addr, scope: u32) -> u32 {
    if ip.is_unicast_link_local() { scope } else { 0 }
}

fn options(ctx: &mut Ctx, opts: &Opts, socket: &Socket, v6: bool, many: bool) -> Result<(), Error> {
    if opts.broadcast {
        socket.set_broadcast(true).map_err(|error| failed("cannot set broadcasting", &error))?;
    }
    if opts.no_loop {
        let set = if v6 { socket.set_multicast_loop_v6(false) } else { socket.set_multicast_loop_v4(false) };
        set.map_err(|error| failed("cannot disable multicast loopback", &error))?;
    }
    if let Some(ttl) = opts.ttl.map(u32::from) {
        let unicast = |error: io::Error| failed("cannot set unicast time-to-live", &error);
        if v6 {
            let _ = socket.set_multicast_hops_v6(ttl);
            socket.set_unicast_hops_v6(ttl).map_err(|error| failed("cannot set unicast hop limit", &error))?;
        } else {
            if many {
                socket.set_multicast_ttl_v4(ttl).map_err(unicast)?;
            }
            socket.set_ttl_v4(ttl).map_err(unicast)?;
        }
    }
    if let Some(tos) = opts.tos.map(u32::from) {
        let set = if v6 { socket.set_tclass_v6(tos) } else { socket.set_tos_v4(tos) };
        set.map_err(|error| failed("setsockopt", &error))?;
    }
    if let Some(size) = opts.send_buffer {
        let _ = socket.set_send_buffer_size(size);
    }
    // Replies to a preload come at once.
    let wanted = (opts.size + 1024).saturating_mul(usize::try_from(opts.preload).unwrap_or(1));
    let _ = socket.set_recv_buffer_size(wanted.clamp(65_536, 8 << 20));
    if opts.dont_route {
        let _ = setsockopt(socket, DontRoute, &true);
    }
    if opts.debug {
        let _ = setsockopt(socket, Debug, &true);
    }
    if let Some(mark) = opts.mark
        && let Err(error) = socket.set_mark(mark)
    {
        let name = ctx.name.clone();
        ctx.say(&format!("{name}: WARNING: failed to set mark: {mark}: {}", reason(&error)));
        let hint = missing(Capability::NetAdmin, "marking packets", "everything else of ping");
        ctx.hint(&hint);
    }
    Ok(())
}
