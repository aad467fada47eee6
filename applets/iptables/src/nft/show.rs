//! Reads and prints, table by table and chain by chain.

use std::collections::HashMap;
use std::io::Write;
use std::rc::Rc;

use netkit_core::Ctx;
use netkit_nf::nft::build::{self, Source as _};
use netkit_nf::nft::datatype::{Name, Style};
use netkit_nf::nft::elements::{Collector, Shape};
use netkit_nf::nft::set::flag;
use netkit_nf::nft::tree::{Elem, Stmt};
use netkit_nf::nft::{NftChain, NftFlowtable, NftObject, NftRule, NftSet, NftTable, family, json, ruleset};

use super::args::{Command, Options, What};
use super::kernel::{Kernel, Sets};
use super::names::Known;

/// Why nothing more is printed.
pub(crate) enum Trouble {
    /// The kernel refused.
    Read(netkit_nl::Error),
    /// It is not there.
    Absent(String),
    /// It could not be printed.
    Print(netkit_core::Error),
}

impl From<netkit_nl::Error> for Trouble {
    fn from(error: netkit_nl::Error) -> Trouble {
        Trouble::Read(error)
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Trouble {
        Trouble::Print(error.into())
    }
}

/// Chains by family and table.
type Chains = HashMap<(u8, String), Vec<NftChain>>;

pub(crate) fn run(ctx: &mut Ctx, options: &Options, commands: &[Command]) -> Result<(), Trouble> {
    let known = Known::new(options.services, options.users);
    let names = |name: Name, number: u64| known.find(name, number);
    let style = Style {
        numeric_symbol: options.numeric,
        numeric_priority: options.numeric || options.numeric_priority,
        numeric_protocol: options.numeric || options.numeric_protocol,
        numeric_time: options.numeric || options.numeric_time,
        stateless: options.stateless,
        terse: options.terse,
        handles: options.handles,
        names: &names,
    };
    let mut lister = Lister {
        kernel: Kernel::open()?,
        sets: Sets::open()?,
        style,
        json: options.json,
        extended: false,
        managed: Vec::new(),
        out: String::new(),
    };
    for command in commands {
        if options.json {
            lister.out.push_str("{\"nftables\": [");
            json::push(&mut lister.out, &json::metainfo(super::VERSION, super::RELEASE));
        }
        lister.command(command, &mut *ctx.stdout)?;
        if options.json {
            ctx.stdout.write_all(b"]}\n")?;
        }
    }
    for table in lister.managed {
        ctx.say(&format!("# Warning: table {table} is managed by iptables-nft, do not touch!"));
    }
    Ok(())
}

/// What one invocation works with.
struct Lister<'s> {
    kernel: Kernel,
    sets: Sets,
    style: Style<'s>,
    json: bool,
    /// A rule of the table at hand has extensions of x_tables.
    extended: bool,
    /// Tables with such rules.
    managed: Vec<String>,
    out: String,
}

impl Lister<'_> {
    fn flush(&mut self, out: &mut dyn Write) -> Result<(), Trouble> {
        out.write_all(self.out.as_bytes())?;
        self.out.clear();
        Ok(())
    }

    fn command(&mut self, command: &Command, out: &mut dyn Write) -> Result<(), Trouble> {
        match command {
            Command::Nothing => {
                self.kernel.tables(0)?;
            }
            Command::Tables { family } => {
                for table in self.kernel.tables(*family)? {
                    if self.json {
                        self.item(&json::table(&table));
                        continue;
                    }
                    self.out.push_str(&format!("table {} {}\n", family::name(table.family), table.name));
                }
            }
            Command::Ruleset { family } => {
                let tables = self.kernel.tables(*family)?;
                let mut chains = self.chains(*family)?;
                for table in &tables {
                    self.whole(table, &mut chains, out)?;
                }
            }
            Command::Table { family, table } => {
                let table = self.table(*family, table)?;
                let mut chains = self.chains(*family)?;
                self.whole(&table, &mut chains, out)?;
            }
            Command::Many { what, family, table } => self.many(*what, *family, table.as_deref(), out)?,
            Command::One { what, family, table, name } => self.one(*what, *family, table, name, out)?,
        }
        self.flush(out)
    }

    fn table(&mut self, family: u8, name: &str) -> Result<NftTable, Trouble> {
        let tables = self.kernel.tables(family)?;
        let missing = || Trouble::Absent(format!("table {} {name}", family::name(family)));
        tables.into_iter().find(|table| table.name == name).ok_or_else(missing)
    }

    fn chains(&mut self, family: u8) -> Result<Chains, Trouble> {
        let mut chains = Chains::new();
        for chain in self.kernel.chains(family)? {
            chains.entry((chain.family, chain.table.clone())).or_default().push(chain);
        }
        Ok(chains)
    }

    /// One more member of the list.
    fn item(&mut self, value: &netkit_core::json::Value) {
        self.out.push_str(", ");
        json::push(&mut self.out, value);
    }

    /// A table's first lines without what it holds.
    fn shell(&mut self, table: &NftTable) {
        if self.json {
            return;
        }
        let style = Style { handles: false, ..self.style };
        let plain = NftTable { flags: 0, userdata: Vec::new(), ..table.clone() };
        ruleset::table(&mut self.out, &plain, &style);
    }

    fn close(&mut self) {
        if !self.json {
            self.out.push_str("}\n");
        }
    }

    /// As [`Lister::whole`]: there rules come after all chains.
    fn whole_json(&mut self, table: &NftTable, chains: &mut Chains, out: &mut dyn Write) -> Result<(), Trouble> {
        self.item(&json::table(table));
        for object in self.kernel.objects(table)? {
            self.item(&json::object(&object));
        }
        let sets: Vec<Rc<NftSet>> = self.kernel.sets(table)?.into_iter().map(Rc::new).collect();
        self.sets.learn(table, &sets);
        for set in sets.iter().filter(|set| !set.has(flag::ANONYMOUS)) {
            self.set(set);
            self.flush(out)?;
        }
        for flowtable in self.kernel.flowtables(table)? {
            self.item(&json::flowtable(&flowtable));
        }
        let chains = chains.remove(&(table.family, table.name.clone())).unwrap_or_default();
        for chain in &chains {
            self.item(&json::chain(chain));
        }
        for chain in &chains {
            self.rules(chain)?;
            self.flush(out)?;
        }
        Ok(())
    }

    fn whole(&mut self, table: &NftTable, chains: &mut Chains, out: &mut dyn Write) -> Result<(), Trouble> {
        if self.json {
            return self.whole_json(table, chains, out);
        }
        let mut blank = ruleset::table(&mut self.out, table, &self.style);
        let mut gap = |out: &mut String| {
            if std::mem::replace(&mut blank, true) {
                out.push('\n');
            }
        };
        for object in self.kernel.objects(table)? {
            gap(&mut self.out);
            ruleset::object(&mut self.out, &object, &self.style);
        }
        let sets: Vec<Rc<NftSet>> = self.kernel.sets(table)?.into_iter().map(Rc::new).collect();
        self.sets.learn(table, &sets);
        for set in sets.iter().filter(|set| !set.has(flag::ANONYMOUS)) {
            gap(&mut self.out);
            self.set(set);
            self.flush(out)?;
        }
        for flowtable in self.kernel.flowtables(table)? {
            gap(&mut self.out);
            ruleset::flowtable(&mut self.out, &flowtable, &self.style);
        }
        for chain in chains.remove(&(table.family, table.name.clone())).unwrap_or_default() {
            gap(&mut self.out);
            self.chain(&chain, true)?;
            self.flush(out)?;
        }
        self.out.push_str("}\n");
        self.flush(out)
    }

    fn elements(&mut self, set: &NftSet) -> Vec<Elem> {
        if self.style.terse {
            return Vec::new();
        }
        let mut collector = Collector::new(set, Shape::of(set, None));
        self.sets.elements(set, &mut |element| collector.add(element));
        collector.finish()
    }

    fn set(&mut self, set: &NftSet) {
        if self.json {
            let elements = self.elements(set);
            let value = json::set(set, &elements, &self.style);
            return self.item(&value);
        }
        ruleset::set(&mut self.out, set, &self.style);
        let elements = self.elements(set);
        ruleset::elements(&mut self.out, set, &elements, &self.style);
        self.out.push_str("\t}\n");
    }

    fn rules(&mut self, chain: &NftChain) -> Result<(), Trouble> {
        let start = self.out.len();
        let (sets, style, json, extended) = (&mut self.sets, &self.style, self.json, &mut self.extended);
        self.kernel.rules(
            chain,
            &mut self.out,
            |out| out.truncate(start),
            |out, rule: &NftRule<'_>| {
                let statements = build::statements(rule, sets);
                *extended |= statements.iter().any(|statement| matches!(statement, Stmt::Extension { .. }));
                if json {
                    out.push_str(", ");
                    json::push(out, &json::rule(rule, &statements, style));
                } else {
                    ruleset::rule(out, &statements, rule.handle, rule.userdata, style);
                }
            },
        )?;
        let table = format!("{} {}", family::name(chain.family), chain.table);
        if std::mem::take(&mut self.extended) && !self.json && !self.managed.contains(&table) {
            self.managed.push(table);
        }
        Ok(())
    }

    fn chain(&mut self, chain: &NftChain, rules: bool) -> Result<(), Trouble> {
        if self.json {
            self.item(&json::chain(chain));
        } else {
            ruleset::chain(&mut self.out, chain, &self.style);
        }
        if rules {
            self.rules(chain)?;
        }
        if !self.json {
            self.out.push_str("\t}\n");
        }
        Ok(())
    }

    fn object(&mut self, object: &NftObject) {
        if self.json {
            self.item(&json::object(object));
        } else {
            ruleset::object(&mut self.out, object, &self.style);
        }
    }

    fn flowtable(&mut self, flowtable: &NftFlowtable) {
        if self.json {
            self.item(&json::flowtable(flowtable));
        } else {
            ruleset::flowtable(&mut self.out, flowtable, &self.style);
        }
    }

    fn many(&mut self, what: What, family: u8, only: Option<&str>, out: &mut dyn Write) -> Result<(), Trouble> {
        let tables = match only {
            Some(name) => {
                let table = self.table(family, name)?;
                // Of sets nft lists those of every table of the family then.
                if matches!(what, What::Set) { self.kernel.tables(family)? } else { vec![table] }
            }
            None => self.kernel.tables(family)?,
        };
        let mut chains = if what == What::Chain { self.chains(family)? } else { Chains::new() };
        for table in &tables {
            let objects = match what {
                What::Object(_) => self.kernel.objects(table)?,
                _ => Vec::new(),
            };
            // nft passes over tables without any object when it is asked for some.
            if matches!(what, What::Object(_)) && objects.is_empty() {
                continue;
            }
            self.shell(table);
            match what {
                What::Chain => {
                    for chain in chains.remove(&(table.family, table.name.clone())).unwrap_or_default() {
                        // Here nft leaves the blank line between two out.
                        self.chain(&chain, false)?;
                    }
                }
                What::Object(kind) => {
                    for object in objects.iter().filter(|object| object.kind == kind) {
                        self.object(object);
                    }
                }
                What::Flowtable => {
                    for flowtable in self.kernel.flowtables(table)? {
                        self.flowtable(&flowtable);
                    }
                }
                What::Set | What::Map | What::Meter => {
                    for set in self.kernel.sets(table)?.iter().filter(|set| is(set, what)) {
                        self.set(set);
                    }
                }
            }
            self.close();
            self.flush(out)?;
        }
        Ok(())
    }

    fn one(&mut self, what: What, family: u8, table: &str, name: &str, out: &mut dyn Write) -> Result<(), Trouble> {
        let found = self.table(family, table)?;
        let missing = || Trouble::Absent(format!("{name} in table {} {table}", family::name(family)));
        self.shell(&found);
        match what {
            What::Chain => {
                let chain = self.kernel.chain(family, table, name)?.ok_or_else(missing)?;
                self.chain(&chain, true)?;
            }
            What::Object(kind) => {
                let objects = self.kernel.objects(&found)?;
                let object = objects.iter().find(|object| object.kind == kind && object.name == name);
                self.object(object.ok_or_else(missing)?);
            }
            What::Flowtable => {
                let flowtables = self.kernel.flowtables(&found)?;
                let flowtable = flowtables.iter().find(|flowtable| flowtable.name == name).ok_or_else(missing)?;
                self.flowtable(flowtable);
            }
            What::Set | What::Map | What::Meter => {
                let set = self.sets.set(family, table, name).filter(|set| is(set, what)).ok_or_else(missing)?;
                self.set(&set);
            }
        }
        self.close();
        self.flush(out)
    }
}

/// Whether a set is one of those asked for.
fn is(set: &NftSet, what: What) -> bool {
    match what {
        What::Meter => ruleset::is_meter(set),
        What::Map => !set.has(flag::ANONYMOUS) && set.has(flag::MAP | flag::OBJECT),
        _ => !set.has(flag::ANONYMOUS | flag::MAP | flag::OBJECT),
    }
}
