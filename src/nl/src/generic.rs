//! Generic netlink: families are found by name (linux/genetlink.h).

use crate::message::flags;
use crate::{Error, Request, Socket};

/// GENL_ID_CTRL, the family that knows the others.
pub const CONTROLLER: u16 = 0x10;
/// Octets of struct genlmsghdr, which stands before the attributes.
pub const HEADER: usize = 4;

/// A request to a generic family: command, version, attributes.
pub fn request(family: u16, extra: u16, command: u8, version: u8) -> Request {
    Request::new(family, extra, &[command, version, 0, 0])
}

/// What the controller says of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// The message type to use.
    pub id: u16,
    /// CTRL_ATTR_VERSION.
    pub version: u32,
    /// Multicast groups by name and number.
    pub groups: Vec<(String, u32)>,
}

impl Family {
    /// Looks `name` up, e.g. `wireguard`.
    ///
    /// # Errors
    /// [`Error::Kernel`] with ENOENT when this kernel has no such family (or may not load its module).
    pub fn find(socket: &mut Socket, name: &str) -> Result<Family, Error> {
        // CTRL_CMD_GETFAMILY 3, CTRL_ATTR_FAMILY_NAME 2
        let answer = socket.exchange(&request(CONTROLLER, flags::ACK, 3, 1).text(2, name))?;
        let message = answer.messages().next().ok_or(Error::Malformed("no family in the answer"))?;
        let attrs = message.attrs(HEADER);
        let id = attrs.find(1).and_then(|attr| attr.u16()).ok_or(Error::Malformed("a family without an id"))?;
        let groups = attrs.find(7).map(|attr| attr.nested()).into_iter().flatten();
        let groups = groups
            .filter_map(|group| {
                let group = group.nested();
                Some((group.find(1)?.text(), group.find(2)?.u32()?))
            })
            .collect();
        Ok(Family { id, version: attrs.find(3).and_then(|attr| attr.u32()).unwrap_or(0), groups })
    }
}
