//! What the kernel is asked: tables, chains, rules, sets with their elements, objects, flowtables.

use std::collections::HashMap;
use std::rc::Rc;

use netkit_nf::nft::build::Source;
use netkit_nf::nft::{Element, NftChain, NftFlowtable, NftObject, NftRule, NftSet, NftTable, attribute, command};
use netkit_nl::netfilter::{request, subsystem};
use netkit_nl::{Dump, Error, Message, Protocol, Request, Socket, flags};

/// asm-generic/errno-base.h
pub(crate) const ENOENT: i32 = 2;
/// How often a chain is read again that was changed while it was read.
const ATTEMPTS: u32 = 8;

/// The socket for what is listed.
pub(crate) struct Kernel {
    socket: Socket,
}

fn ask(what: u8, extra: u16, family: u8) -> Request {
    request(subsystem::NFTABLES, what, extra, family)
}

impl Kernel {
    /// # Errors
    /// As socket(2).
    pub(crate) fn open() -> Result<Kernel, Error> {
        Ok(Kernel { socket: Socket::open(Protocol::Netfilter)? })
    }

    fn all<T>(&mut self, ask: &Request, read: impl Fn(&Message<'_>) -> Option<T>) -> Result<Vec<T>, Error> {
        let dump: Dump = self.socket.dump(ask)?;
        Ok(dump.messages().filter_map(|message| read(&message)).collect())
    }

    /// Tables of a family, 0 for all, in the order in which they were made.
    pub(crate) fn tables(&mut self, family: u8) -> Result<Vec<NftTable>, Error> {
        self.all(&ask(command::GET_TABLE, flags::DUMP, family), NftTable::read)
    }

    /// Chains of all tables of a family.
    pub(crate) fn chains(&mut self, family: u8) -> Result<Vec<NftChain>, Error> {
        self.all(&ask(command::GET_CHAIN, flags::DUMP, family), NftChain::read)
    }

    /// One chain.
    pub(crate) fn chain(&mut self, family: u8, table: &str, name: &str) -> Result<Option<NftChain>, Error> {
        let ask =
            ask(command::GET_CHAIN, 0, family).text(attribute::CHAIN_TABLE, table).text(attribute::CHAIN_NAME, name);
        self.one(&ask, NftChain::read)
    }

    fn one<T>(&mut self, ask: &Request, read: impl Fn(&Message<'_>) -> Option<T>) -> Result<Option<T>, Error> {
        match self.socket.exchange(ask) {
            Ok(dump) => Ok(dump.messages().find_map(|message| read(&message))),
            Err(error) if error.errno() == ENOENT => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets of a table, anonymous ones included.
    pub(crate) fn sets(&mut self, table: &NftTable) -> Result<Vec<NftSet>, Error> {
        let ask = ask(command::GET_SET, flags::DUMP, table.family).text(attribute::SET_TABLE, &table.name);
        self.all(&ask, NftSet::read)
    }

    /// Objects of a table.
    pub(crate) fn objects(&mut self, table: &NftTable) -> Result<Vec<NftObject>, Error> {
        let ask = ask(command::GET_OBJECT, flags::DUMP, table.family).text(attribute::OBJECT_TABLE, &table.name);
        self.all(&ask, NftObject::read)
    }

    /// Flowtables of a table; none where the kernel has no such thing.
    pub(crate) fn flowtables(&mut self, table: &NftTable) -> Result<Vec<NftFlowtable>, Error> {
        let ask = ask(command::GET_FLOWTABLE, flags::DUMP, table.family).text(attribute::FLOWTABLE_TABLE, &table.name);
        match self.all(&ask, NftFlowtable::read) {
            Err(error) if error.is_unsupported() => Ok(Vec::new()),
            other => other,
        }
    }

    /// The rules of one chain. Begins again when the chain changed meanwhile: `restart` forgets what `each` did.
    pub(crate) fn rules<T>(
        &mut self,
        chain: &NftChain,
        state: &mut T,
        restart: impl Fn(&mut T),
        mut each: impl FnMut(&mut T, &NftRule<'_>),
    ) -> Result<(), Error> {
        let ask = ask(command::GET_RULE, flags::DUMP, chain.family)
            .text(attribute::RULE_TABLE, &chain.table)
            .text(attribute::RULE_CHAIN, &chain.name);
        for attempt in 1..=ATTEMPTS {
            let result = self.socket.stream(&ask, |message| {
                if let Some(rule) = NftRule::read(&message) {
                    each(state, &rule);
                }
                Ok::<(), Error>(())
            });
            match result {
                Ok(outcome) if outcome.interrupted && attempt < ATTEMPTS => restart(state),
                Ok(_) => return Ok(()),
                Err(Error::Overrun) if attempt < ATTEMPTS => restart(state),
                Err(error) if error.errno() == ENOENT => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Sets as rules need them, over a socket of their own: the other one is in the middle of a dump.
pub(crate) struct Sets {
    socket: Socket,
    family: u8,
    table: String,
    known: HashMap<String, Option<Rc<NftSet>>>,
}

impl Sets {
    /// # Errors
    /// As socket(2).
    pub(crate) fn open() -> Result<Sets, Error> {
        Ok(Sets { socket: Socket::open(Protocol::Netfilter)?, family: 0, table: String::new(), known: HashMap::new() })
    }

    /// What was read of a table already.
    pub(crate) fn learn(&mut self, table: &NftTable, sets: &[Rc<NftSet>]) {
        (self.family, self.table) = (table.family, table.name.clone());
        self.known = sets.iter().map(|set| (set.name.clone(), Some(Rc::clone(set)))).collect();
    }
}

impl Source for Sets {
    fn set(&mut self, family: u8, table: &str, name: &str) -> Option<Rc<NftSet>> {
        if (self.family, self.table.as_str()) != (family, table) {
            (self.family, self.table) = (family, table.to_owned());
            self.known.clear();
        }
        if let Some(found) = self.known.get(name) {
            return found.clone();
        }
        let ask = ask(command::GET_SET, 0, family).text(attribute::SET_TABLE, table).text(attribute::SET_NAME, name);
        let found = self
            .socket
            .exchange(&ask)
            .ok()
            .and_then(|dump| dump.messages().find_map(|message| NftSet::read(&message)))
            .map(Rc::new);
        self.known.insert(name.to_owned(), found.clone());
        found
    }

    fn elements(&mut self, set: &NftSet, each: &mut dyn FnMut(&Element<'_>)) {
        let ask = ask(command::GET_ELEMENT, flags::DUMP, set.family)
            .text(attribute::ELEMENTS_TABLE, &set.table)
            .text(attribute::ELEMENTS_SET, &set.name);
        // A set that went away meanwhile has none.
        let _ = self.socket.stream(&ask, |message| {
            Element::read_all(&message).for_each(|element| each(&element));
            Ok::<(), Error>(())
        });
    }
}
