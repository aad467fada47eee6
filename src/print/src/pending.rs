//! Printers that are being written.
#![allow(unused_imports)]
use crate::fetch::Res;
use crate::frame::Ends;
use crate::proto::Outer;
use crate::{Printer, put};
impl Printer {
    pub(crate) fn ppp(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "ppp length {length}");
        Ok(())
    }
    pub(crate) fn pppoe(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "pppoe length {length}");
        Ok(())
    }
    pub(crate) fn eapol(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "eapol length {length}");
        Ok(())
    }
    pub(crate) fn mpls(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "mpls length {length}");
        Ok(())
    }
    pub(crate) fn lldp(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "lldp length {length}");
        Ok(())
    }
    pub(crate) fn slow(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "slow length {length}");
        Ok(())
    }
    pub(crate) fn ppp_link(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "ppp_link length {length}");
        Ok(())
    }
    pub(crate) fn ppp_hdlc_link(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "ppp_hdlc_link length {length}");
        Ok(())
    }
    pub(crate) fn pppoe_link(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "pppoe_link length {length}");
        Ok(())
    }
    pub(crate) fn netbios_session(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "netbios_session length {length}");
        Ok(())
    }
    pub(crate) fn bgp(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "bgp length {length}");
        Ok(())
    }
    pub(crate) fn smb_direct(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "smb_direct length {length}");
        Ok(())
    }
    pub(crate) fn msdp(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "msdp length {length}");
        Ok(())
    }
    pub(crate) fn ldp(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "ldp length {length}");
        Ok(())
    }
    pub(crate) fn tftp(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "tftp length {length}");
        Ok(())
    }
    pub(crate) fn netbios_names(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "netbios_names length {length}");
        Ok(())
    }
    pub(crate) fn netbios_datagram(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "netbios_datagram length {length}");
        Ok(())
    }
    pub(crate) fn snmp(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "snmp length {length}");
        Ok(())
    }
    pub(crate) fn isakmp(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "isakmp length {length}");
        Ok(())
    }
    pub(crate) fn rip(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "rip length {length}");
        Ok(())
    }
    pub(crate) fn ripng(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "ripng length {length}");
        Ok(())
    }
    pub(crate) fn radius(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "radius length {length}");
        Ok(())
    }
    pub(crate) fn hsrp(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "hsrp length {length}");
        Ok(())
    }
    pub(crate) fn bfd(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "bfd length {length}");
        Ok(())
    }
    pub(crate) fn bfd_echo(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "bfd_echo length {length}");
        Ok(())
    }
    pub(crate) fn isakmp_natt(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "isakmp_natt length {length}");
        Ok(())
    }
    pub(crate) fn igmp(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "igmp length {length}");
        Ok(())
    }
    pub(crate) fn ospf3(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "ospf3 length {length}");
        Ok(())
    }
    pub(crate) fn ospf(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "ospf length {length}");
        Ok(())
    }
    pub(crate) fn pim(&mut self, _p: &[u8], length: usize, _o: &Outer<'_>) -> Res {
        put!(self, "pim length {length}");
        Ok(())
    }
    pub(crate) fn vrrp(&mut self, _p: &[u8], length: usize, _o: &Outer<'_>) -> Res {
        put!(self, "vrrp length {length}");
        Ok(())
    }
    pub(crate) fn carp(&mut self, _p: &[u8], _length: usize, _o: u8) -> Res {
        Ok(())
    }
}
