//! Whole applets over a file from anybody: the first byte chooses a command line, the rest is the file. Only such lines
//! stand here as read that file, print, and do nothing else. (`xxd -r` without `-p` is left out: an address in its input
//! stands for that many zeros, as in the peer.)
#![no_main]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Cursor, Write};
use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use netkit_core::{Applet, Build, Ctx, SystemClock};

/// Applet and arguments; `@` stands for the file.
const LINES: &[(&[Applet], &str)] = &[
    (netkit_ip::APPLETS, "ip -s -s -d monitor file @"),
    (netkit_ip::APPLETS, "ip -j -d -s -N monitor file @"),
    (netkit_ip::APPLETS, "ip -o -r -iec -c=always monitor label file @"),
    (netkit_tcpdump::APPLETS, "tcpdump -r @ -vvv -e -XX"),
    (netkit_tcpdump::APPLETS, "tcpdump -nr @ --flows"),
    (netkit_tcpdump::APPLETS, "tcpdump -nr @ --json"),
    (netkit_tcpdump::APPLETS, "tcpdump -nr @ --dns tcp or udp"),
    (netkit_tcpdump::APPLETS, "tcpdump -nr @ --http"),
    (netkit_tcpdump::APPLETS, "tcpdump -nr @ --sni"),
    (netkit_tls_probe::APPLETS, "openssl x509 -in @ -text -nameopt RFC2253"),
    (netkit_tls_probe::APPLETS, "openssl verify -CAfile @ -untrusted @ -no-CApath -show_chain @"),
    (netkit_tls_probe::APPLETS, "tls-probe cert @"),
    (netkit_tls_probe::APPLETS, "tls-probe cert --json @"),
    (netkit_jq::APPLETS, "jq --from yaml -c . @"),
    (netkit_jq::APPLETS, "jq --stream -S . @"),
    (netkit_jq::APPLETS, "jq --seq -C . @"),
    (netkit_jq::APPLETS, "jq -R fromjson? @"),
    (netkit_jq::APPLETS, "jq -Rs [splits(\"a+\"),@base64d?,fromdate?,tonumber?] @"),
    (netkit_mini::APPLETS, "xxd -r -p @"),
    (netkit_mini::APPLETS, "base64 -d @"),
    (netkit_mini::APPLETS, "grep -E -f @ @"),
    (netkit_mini::APPLETS, "grep -ion -f @ @"),
    (netkit_mini::APPLETS, "sort -V @"),
    (netkit_mini::APPLETS, "sort -h -k2,3n -t: @"),
    (netkit_mini::APPLETS, "tar -tvf @"),
    (netkit_mini::APPLETS, "gunzip -c -f @"),
];

static BUILD: Build = Build { version: "0", commit: "", epoch: "", target: "", trust_roots: "" };

/// Counts what is printed, up to a bound, so that what never ends is found.
#[derive(Clone, Default)]
struct Sink(Rc<RefCell<usize>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        *self.0.borrow_mut() += bytes.len();
        assert!(*self.0.borrow() < 256 << 20);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, data)) = bytes.split_first() else { return };
    let Some((applets, line)) = LINES.get(usize::from(*choice) % LINES.len()) else { return };
    // A name that only this process has; the applet opens it as any file.
    let path = format!("/dev/shm/netkit-fuzz-{}", std::process::id());
    if File::create(&path).and_then(|mut file| file.write_all(data)).is_err() {
        return;
    }
    let mut words = line.split(' ').map(|word| if word == "@" { path.clone() } else { word.to_owned() });
    let name = words.next().unwrap_or_default();
    let called = |applet: &&Applet| applet.name == name || applet.aliases.contains(&name.as_str());
    if let Some(applet) = applets.iter().find(called) {
        let mut ctx = Ctx {
            name: name.clone(),
            argv0: name.clone().into(),
            args: words.map(Into::into).collect(),
            stdin: Box::new(BufReader::new(Cursor::new(data.to_vec()))),
            stdout: Box::new(Sink::default()),
            stderr: Box::new(Sink::default()),
            stdout_is_terminal: false,
            stderr_is_terminal: false,
            explain: true,
            env: BTreeMap::new(),
            clock: &SystemClock,
            table: &[],
            build: &BUILD,
        };
        let _ = (applet.main)(&mut ctx);
    }
    let _ = std::fs::remove_file(&path);
});
