//! Printers that are being written.
#![allow(unused_imports)]
use crate::fetch::Res;
use crate::frame::Ends;
use crate::proto::Outer;
use crate::{Printer, put};
impl Printer {
    pub(crate) fn bgp(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "bgp length {length}");
        Ok(())
    }
    pub(crate) fn snmp(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "snmp length {length}");
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
    pub(crate) fn ospf3(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "ospf3 length {length}");
        Ok(())
    }
    pub(crate) fn ospf(&mut self, _p: &[u8], length: usize) -> Res {
        put!(self, "ospf length {length}");
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
