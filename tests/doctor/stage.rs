//! A world made real: three network namespaces, an `/etc` of its own, and servers.
//!
//! ```text
//! client 10.1.0.2, fd01::2 --- 10.1.0.1, fd01::1 router 10.2.0.1, fd02::1 --- server 10.2.0.2, .10 to .19, fd02::10 to ::19
//!                                                                                    10.96.0.10, .11 (name servers)
//! ```
//! All links are called eth0 but the router's, `r0` towards the client and `r1` towards the server. Nobody has 10.1.0.77,
//! 10.2.0.77 or fd02::77; the router knows no way to 10.9.0.0/16. Unless the world says `skip base`, 10.96.0.10 knows
//! [`ZONE`] and 10.2.0.10 serves HTTP on port 80.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::format::World;
use crate::lab::tls::openssl;
use crate::lab::{Stop, TempDir};

/// What the cluster's name server knows.
const ZONE: &str = "web.shop.svc.cluster.local=10.2.0.10 api.default.svc.cluster.local=10.2.0.10 \
     dual.shop.svc.cluster.local=10.2.0.10,fd02::10 six.shop.svc.cluster.local=fd02::10 \
     three.shop.svc.cluster.local=10.2.0.10,10.2.0.11,10.2.0.12 example.com=10.2.0.15 db.shop.svc.cluster.local=10.2.0.14 \
     away.example.com=203.0.113.7 svc.shop.svc.cluster.local=10.96.0.80";
/// A pod's, unless the world says otherwise.
const RESOLV: &str =
    "nameserver 10.96.0.10;search default.svc.cluster.local svc.cluster.local cluster.local;options ndots:5";
/// Files that servers and tools here look for in `/etc`.
const ETC: &str = "passwd group ld.so.cache ld.so.conf services protocols ethertypes rpc nsswitch.conf mime.types \
     xtables.conf ssl/openssl.cnf";

const SETUP: &str = r#"
set -e
W=$1 C=$2 actors=$3
trap 'echo failed; sed "s/^/log: /" "$W"/*.log >&2 2>/dev/null || true' EXIT
mount -t tmpfs none /run
mkdir /run/netns
mkdir -p "$W/etc/ssl/certs"
(cd /etc && cp -a --parents $(ls -d $ETC 2>/dev/null) "$W/etc")
for name in alternatives ld.so.conf.d iproute2; do
    [ -d /etc/$name ] || continue
    mkdir "$W/etc/$name"
    mount --bind /etc/$name "$W/etc/$name"
done
cp "$C/ca.pem" "$W/etc/ssl/certs/ca-certificates.crt"
printf 'hosts: files dns\n' > "$W/etc/nsswitch.conf"
cp "$W/hosts" "$W/etc/hosts"
[ ! -e "$W/resolv.conf" ] || cp "$W/resolv.conf" "$W/etc/resolv.conf"
chmod a+rx "$W/etc" "$W/etc/ssl" "$W/etc/ssl/certs"
mount --rbind "$W/etc" /etc
ip netns add router
ip netns add server
# A router asks for neighbours with its own address, which must not wait for its check.
quick='for f in all default; do echo 0 > /proc/sys/net/ipv6/conf/$f/accept_dad; done'
sh -c "$quick"
ip netns exec router sh -c "$quick"
ip netns exec server sh -c "$quick"
far='link add r1 address 02:00:00:00:02:01 type veth peer name eth0 address 02:00:00:00:02:02 netns server'
if [ -e "$W/wire.actors" ]; then
    ip netns add wire
    ip -n wire link add w1 type veth peer name eth0 address 02:00:00:00:02:02 netns server
    far='link add r1 address 02:00:00:00:02:01 type veth peer name w0 netns wire'
fi
ip -batch - <<END
link set lo up
link add eth0 address 02:00:00:00:01:02 type veth peer name r0 address 02:00:00:00:01:01 netns router
addr add 10.1.0.2/24 dev eth0
addr add fd01::2/64 dev eth0 nodad
link set eth0 up
route add default via 10.1.0.1
route add default via fd01::1
END
ip -n router -batch - <<END
link set lo up
$far
addr add 10.1.0.1/24 dev r0
addr add fd01::1/64 dev r0 nodad
addr add 10.2.0.1/24 dev r1
addr add fd02::1/64 dev r1 nodad
link set r0 up
link set r1 up
route add 10.96.0.0/16 via 10.2.0.2
END
{
    echo link set lo up
    echo addr add 10.2.0.2/24 dev eth0
    for n in 10 11 12 13 14 15 16 17 18 19; do echo addr add 10.2.0.$n/24 dev eth0; echo addr add fd02::$n/64 dev eth0 nodad; done
    echo addr add 10.96.0.10/32 dev lo
    echo addr add 10.96.0.11/32 dev lo
    echo link set eth0 up
    echo route add default via 10.2.0.1
    echo route add default via fd02::1
} | ip -n server -batch -
# The router limits no ICMP error, and asks neighbours for a short time only.
cat > "$W/settings" <<'END'
for link in /proc/sys/net/ipv?/neigh/*; do
    echo 2 > $link/mcast_solicit
    echo 100 > $link/retrans_time_ms
done
echo 0 > /proc/sys/net/ipv4/icmp_ratemask
echo 100000 > /proc/sys/net/ipv4/icmp_msgs_per_sec
echo 0 > /proc/sys/net/ipv6/icmp/ratelimit
for link in /proc/sys/net/ipv4/conf/*; do echo 0 > $link/rp_filter; echo 0 > $link/send_redirects; done
END
if [ -e "$W/wire.actors" ]; then
    # Frames are copied as they are, so that they must be whole: nothing is left for a card to complete.
    for end in w0 w1; do ip -n wire link set $end up; done
    ip netns exec router ethtool -K r0 tx off > /dev/null
    ip netns exec router ethtool -K r1 tx off > /dev/null
    ip netns exec server ethtool -K eth0 tx off > /dev/null
    ethtool -K eth0 tx off > /dev/null
fi
sh "$W/settings"
ip netns exec server sh "$W/settings"
(cat "$W/settings"; echo 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding') > "$W/forward"
ip netns exec router sh "$W/forward"
until ip -o link show eth0 | grep -q 'state UP'; do sleep 0.01; done
until ip -n router -o link show r1 | grep -q 'state UP'; do sleep 0.01; done
until ip -n router -o link show r0 | grep -q 'state UP'; do sleep 0.01; done
until ip -n server -o link show eth0 | grep -q 'state UP'; do sleep 0.01; done
cd "$W"
in_place() { if [ $1 = client ]; then shift; "$@"; else ip netns exec "$@"; fi; }
for place in server router client; do
    [ ! -e $place.sh ] || in_place $place sh -e $place.sh > $place.log 2>&1
done
for place in wire server router client; do
    [ -e $place.actors ] || continue
    mkfifo $place.in $place.out
    in_place $place env NETKIT_LAB_WORLD="$W/$place.actors" "$actors" < $place.in > $place.out 2> $place.actors.log &
    # The writing end stays open as long as this shell lives.
    case $place in server) exec 4> $place.in;; router) exec 5> $place.in;; client) exec 6> $place.in;; wire) exec 7> $place.in;; esac
    read -r line < $place.out
    [ "$line" = + ]
done
n=0
while read -r place port command; do
    n=$((n + 1))
    # A server that reads its standard input ends when that does.
    (cd "$C" && tail -f /dev/null | in_place $place sh -c "exec $command" > "$W/daemon$n.log" 2>&1) &
    tries=0
    until in_place $place ss -Hltun "sport = :$port" | grep -q .; do
        sleep 0.02
        tries=$((tries + 1))
        [ $tries -lt 1500 ]
    done
done < daemons
[ ! -e late.sh ] || sh -e late.sh > late.log 2>&1
trap - EXIT
echo ready
cat > /dev/null
"#;

/// Certificates of all worlds.
///
/// | file | what it is |
/// |---|---|
/// | `ca.pem` | the authority that everybody in a world trusts |
/// | `web.pem`, `other.pem` | for `*.shop.svc.cluster.local`, `web` and 10.2.0.10; for another name |
/// | `plain.pem` | for no name at all but the one in its subject |
/// | `old.pem`, `future.pem` | as `web`, no longer and not yet valid |
/// | `self.pem`, `stranger.pem` | signed by itself; by an authority that nobody knows |
/// | `leaf.pem`, `full.pem` | signed by an intermediate authority, without and with it; `inter.pem` is that |
/// | `oldinter.pem` | the whole chain, with an intermediate that has ended |
pub fn certificates() -> Result<TempDir, Stop> {
    let dir = TempDir::new("worlds-ca")?;
    let d = &dir.0;
    fs::set_permissions(d, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for authority in ["ca", "unknown"] {
        openssl(
            d,
            &format!(
                "req -x509 {key} -keyout {authority}.key -out {authority}.pem -subj /O=Lab/CN={authority} -days 300"
            ),
        )?;
    }
    let names = "subjectAltName=DNS:web,DNS:*.shop.svc.cluster.local,DNS:example.com,IP:10.2.0.10,IP:fd02::10";
    fs::write(d.join("names"), names)?;
    fs::write(d.join("elsewhere"), "subjectAltName=DNS:other.example.net")?;
    fs::write(d.join("nameless"), "keyUsage=digitalSignature")?;
    fs::write(d.join("authority"), "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign")?;
    openssl(d, &format!("req {key} -keyout s.key -out s.csr -subj /O=Shop/CN=web"))?;
    openssl(d, &format!("req {key} -keyout inter.key -out inter.csr -subj /O=Lab/CN=intermediate"))?;
    let sign = |out: &str, csr: &str, by: &str, names: &str, rest: &str| {
        openssl(
            d,
            &format!(
                "x509 -req -in {csr}.csr -CA {by}.pem -CAkey {by}.key -CAcreateserial -out {out}.pem -extfile {names} {rest}"
            ),
        )
    };
    sign("web", "s", "ca", "names", "-days 300")?;
    sign("other", "s", "ca", "elsewhere", "-days 300")?;
    sign("stranger", "s", "unknown", "names", "-days 300")?;
    sign("plain", "s", "ca", "nameless", "-days 300")?;
    sign("inter", "inter", "ca", "authority", "-days 300")?;
    sign("leaf", "s", "inter", "names", "-days 300")?;
    fs::write(d.join("full.pem"), fs::read_to_string(d.join("leaf.pem"))? + &fs::read_to_string(d.join("inter.pem"))?)?;
    openssl(
        d,
        "req -x509 -key s.key -out self.pem -subj /O=Shop/CN=web -addext subjectAltName=DNS:*.shop.svc.cluster.local -days 300",
    )?;
    fs::write(d.join("index"), "")?;
    fs::write(
        d.join("ca.conf"),
        "[ca]\ndefault_ca=lab\n[lab]\ndatabase=index\nunique_subject=no\nrand_serial=yes\nnew_certs_dir=.\ndefault_md=sha256\npolicy=any\n[any]\norganizationName=optional\ncommonName=supplied\n",
    )?;
    for (out, csr, names, from, to) in [
        ("future", "s", "names", "20480101", "20490101"),
        ("old", "s", "names", "20200101", "20210101"),
        ("gone", "inter", "authority", "20200101", "20210101"),
    ] {
        let dates = format!("-startdate {from}000000Z -enddate {to}000000Z");
        let files = format!("-in {csr}.csr -cert ca.pem -keyfile ca.key -out {out}.pem -extfile {names}");
        openssl(d, &format!("ca -batch -config ca.conf {files} -notext {dates}"))?;
    }
    let chain = fs::read_to_string(d.join("leaf.pem"))? + &fs::read_to_string(d.join("gone.pem"))?;
    fs::write(d.join("oldinter.pem"), chain)?;
    // What nginx and openssl serve, and what haproxy wants in one file.
    fs::write(d.join("healthz"), "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n")?;
    fs::write(d.join("index.html"), "ok\n")?;
    for name in ["web", "leaf", "old", "other"] {
        let both = fs::read_to_string(d.join(format!("{name}.pem")))? + &fs::read_to_string(d.join("s.key"))?;
        fs::write(d.join(format!("{name}.both")), both)?;
    }
    Ok(dir)
}

/// A running world; dropping it ends every process in it and removes its files.
#[derive(Debug)]
pub struct Stage {
    holder: Child,
    dir: TempDir,
    environment: Vec<(String, String)>,
}

impl Stage {
    /// Makes the world and waits until all its servers listen. `certificates` and `binaries` are directories that every
    /// user may read.
    ///
    /// # Errors
    /// What the commands said that failed.
    pub fn new(world: &World, certificates: &Path) -> Result<Stage, Stop> {
        let dir = TempDir::new("world")?;
        fs::set_permissions(&dir.0, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let environment = lay_out(world, &dir.0, certificates)?;
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]);
        command.args(["sh", "-c", &SETUP.replace("$ETC", ETC), "sh"]);
        command.arg(&dir.0).arg(certificates).arg(std::env::current_exe()?);
        // What is said goes to a file: a pipe that nobody reads would stop the servers.
        let said = fs::File::create(dir.0.join("setup.err"))?;
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(said).spawn()?;
        let mut line = String::new();
        let out = holder.stdout.take().ok_or("no pipe")?;
        BufReader::new(out).read_line(&mut line)?;
        let stage = Stage { holder, dir, environment };
        if line.trim_end() != "ready" {
            let said = fs::read_to_string(stage.dir.0.join("setup.err")).unwrap_or_default();
            return Err(Stop::Fail(format!("{} did not start: {said}", world.name)));
        }
        Ok(stage)
    }

    /// A command on the client with an empty environment but PATH and what the world sets, as nobody with no capability
    /// and no way to get one if so wanted.
    pub fn command(&self, nobody: bool, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--net", "--mount", "--"]);
        if nobody {
            command.args(["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "--bounding-set=-all"]);
            command.args(["--inh-caps=-all", "--no-new-privs", "--"]);
        }
        command.arg(program.as_ref()).current_dir("/").env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C");
        command.env("TZ", "UTC");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// What runs in one of the three namespaces as root.
    pub fn shell(&self, place: &str, script: &str) -> Command {
        let mut command = self.command(false, "sh");
        let script = match place {
            "client" => script.to_owned(),
            _ => format!("ip netns exec {place} sh -c '{script}'"),
        };
        command.args(["-c", &script]);
        command
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.holder.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                // --kill-child takes the first process of the namespace along, and so all of them.
                let _ = self.holder.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Writes the files that the set-up reads; returns doctor's environment.
fn lay_out(world: &World, dir: &Path, certificates: &Path) -> Result<Vec<(String, String)>, Stop> {
    let fill = |text: &str| {
        text.replace("@W@", &dir.display().to_string()).replace("@C@", &certificates.display().to_string())
    };
    let source = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doctor/etc"));
    for entry in fs::read_dir(&source)? {
        let path = entry?.path();
        if let Some(name) = path.file_name() {
            fs::write(dir.join(name), fill(&fs::read_to_string(&path)?))?;
        }
    }
    let resolv = world.all("resolv").last().unwrap_or(RESOLV);
    if resolv != "none" {
        fs::write(
            dir.join("resolv.conf"),
            resolv.split(';').map(|line| line.trim().to_owned() + "\n").collect::<String>(),
        )?;
    }
    let mut hosts = String::from("127.0.0.1 localhost\n::1 localhost\n");
    for line in world.all("hosts") {
        hosts = hosts + line + "\n";
    }
    fs::write(dir.join("hosts"), hosts)?;
    let mut base = String::new();
    if !world.all("skip").any(|what| what == "base") {
        base.push_str("tcp 10.2.0.10:80 http 200\ntcp [fd02::10]:80 http 200\n");
    }
    if !world.all("skip").any(|what| what == "base" || what == "dns") {
        base.push_str(&format!("dns 10.96.0.10:53 ok {ZONE}\n"));
    }
    for (place, word) in [("server", "serve"), ("router", "serve@router"), ("client", "serve@client"), ("wire", "wire")]
    {
        let mut text = if place == "server" { base.clone() } else { String::new() };
        for line in world.all(word) {
            text.push_str(if place == "wire" { "wire w0 w1 " } else { "" });
            text.push_str(&line.replace("@ZONE@", ZONE));
            text.push('\n');
        }
        if !text.is_empty() {
            fs::write(dir.join(format!("{place}.actors")), text)?;
        }
    }
    for place in ["client", "router", "server", "late"] {
        let script: String = world.all(place).map(|line| fill(line) + "\n").collect();
        if !script.is_empty() {
            fs::write(dir.join(format!("{place}.sh")), script)?;
        }
    }
    let daemons: String = world.all("daemon").map(|line| fill(line) + "\n").collect();
    fs::write(dir.join("daemons"), daemons)?;
    let mut environment = Vec::new();
    for line in world.all("env") {
        let (name, value) = line.split_once('=').ok_or_else(|| format!("{}: env {line}", world.name))?;
        environment.push((name.to_owned(), fill(value)));
    }
    Ok(environment)
}
