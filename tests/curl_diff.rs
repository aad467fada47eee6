//! curl against Debian's curl: the same command line, the same origin, and then the bytes of every request, standard output,
//! the exit status and the files written are compared.
//!
//! `NETKIT_DIFF=PATTERN` shows the differences of the cases that contain it. Lines that differ for a known reason stand in
//! `tests/golden/curl/known_differences.txt`, `case <TAB> reason`; one that no longer differs is a failure too.

#![allow(clippy::print_stderr)]

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libtest_mimic::Trial;

use crate::lab::origin::Origin;
use crate::lab::{Stop, TempDir, netkit, run, tool, trial};

/// Nothing here waits longer than a name server that does not answer.
const LIMIT: Duration = Duration::from_secs(120);
/// Cases at a time; most of their time is waiting.
const WORKERS: usize = 8;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("curl_diff::http", || differential("http", &cases())),
        trial("curl_diff::known_differences_are_cases", every_known_difference_is_a_case),
    ]
}

/// What the origin answers, by the path of the request.
fn answer(head: &str) -> (Vec<u8>, bool) {
    let mut words = head.split_whitespace();
    let method = words.next().unwrap_or("");
    let target = words.next().unwrap_or("");
    let target = target.strip_prefix("http://").and_then(|rest| rest.find('/').map(|at| &rest[at..])).unwrap_or(target);
    let path = target.split('?').next().unwrap_or("");
    let plain = |status: &str, extra: &str, body: &str| {
        let sent = if method == "HEAD" { "" } else { body };
        let length = body.len();
        (format!("HTTP/1.1 {status}\r\n{extra}Content-Length: {length}\r\n\r\n{sent}").into_bytes(), false)
    };
    let raw = |text: &str| (text.as_bytes().to_vec(), true);
    let has = |text: &str| head.contains(text);
    if let Some(status) = path.strip_prefix("/status/") {
        return plain(&format!("{status} Said"), "", "body");
    }
    if let Some(rest) = path.strip_prefix("/redirect/") {
        let (status, place) = rest.split_once('/').unwrap_or((rest, ""));
        let place = match place {
            "relative" => "next?a=b",
            "absolute" => "/final",
            "space" => "/with space",
            "up" => "../../up",
            "query" => "?only=query",
            "fragment" => "/final#part",
            "loop" => target,
            "ftp" => "ftp://127.0.0.1/x",
            "file" => "file:///etc/hostname",
            "empty" => "",
            other => other,
        };
        return plain(&format!("{status} Moved"), &format!("Location: {place}\r\n"), "moved");
    }
    match path {
        "/close" => raw("HTTP/1.0 200 OK\r\n\r\nuntil close"),
        "/short" => raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"),
        "/nothing" => raw(""),
        "/old" => raw("just a body, no head"),
        "/weird" => raw("HTTP/1.1 abc\r\n\r\n"),
        "/nocolon" => raw("HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\nok"),
        "/badlength" => raw("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nx"),
        "/lf" => raw("HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
        "/fold" => raw("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok"),
        "/chunked" => (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\nhello\r\n1;ext=1\r\n!\r\n0\r\nX-T: v\r\n\r\n".to_vec(),
            false,
        ),
        "/badchunk" => raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"),
        "/cutchunk" => raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
        "/cookie" => plain(
            "200 OK",
            "Set-Cookie: a=1; Path=/\r\nSet-Cookie: deep=2; Path=/deep\r\nSet-Cookie: h=3; HttpOnly\r\nSet-Cookie: gone=4; Max-Age=0\r\n\
             Set-Cookie: later=5; Expires=Wed, 01 Jan 2098 00:00:00 GMT\r\nSet-Cookie: bad=6; Domain=example.com\r\n",
            "cookies",
        ),
        "/early" => (
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec(),
            false,
        ),
        "/range" if has("Range: bytes=2-4") => plain("206 Partial Content", "Content-Range: bytes 2-4/10\r\n", "234"),
        "/range" if has("Range: bytes=4-") => plain("206 Partial Content", "Content-Range: bytes 4-9/10\r\n", "456789"),
        "/range" if has("Range: bytes=10-") => plain("416 No", "Content-Range: bytes */10\r\n", ""),
        "/range" => plain("200 OK", "", "0123456789"),
        "/basic" if has("Authorization: Basic") => plain("200 OK", "", "in"),
        "/basic" => plain("401 No", "WWW-Authenticate: Basic realm=\"r\"\r\n", "out"),
        "/digest" if has("Authorization: Digest") => plain("200 OK", "", "in"),
        "/digest" => plain(
            "401 No",
            "WWW-Authenticate: Digest realm=\"r\", nonce=\"abc\", qop=\"auth\", algorithm=MD5, opaque=\"o\"\r\n",
            "out",
        ),
        "/both" if has("Authorization: Digest") => plain("200 OK", "", "in"),
        "/both" => plain("401 No", "WWW-Authenticate: Basic realm=\"r\"\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"abc\"\r\n", "out"),
        "/gzip" => {
            let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
            body.extend(miniz_oxide::deflate::compress_to_vec(b"unfolded text", 6));
            // CRC32 and length of "unfolded text"; curl leaves the checksum to zlib, so it has to be right.
            body.extend(crc32(b"unfolded text").to_le_bytes());
            body.extend(13u32.to_le_bytes());
            let mut out = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
            out.extend(body);
            (out, false)
        }
        "/lzma" => plain("200 OK", "Content-Encoding: lzma\r\n", "x"),
        "/disposition" => plain("200 OK", "Content-Disposition: attachment; filename=\"named by server\"\r\n", "named"),
        "/modified" => plain("200 OK", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "old"),
        "/notmodified" => ("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n".as_bytes().to_vec(), false),
        "/etag" => plain("200 OK", "ETag: \"tag\"\r\n", "tagged"),
        "/nocontent" => ("HTTP/1.1 204 No Content\r\n\r\n".as_bytes().to_vec(), false),
        "/connclose" => (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok".to_vec(), true),
        "/empty" => plain("200 OK", "", ""),
        "/big" => plain("200 OK", "", &"x".repeat(200_000)),
        _ => plain("200 OK", "Content-Type: text/plain\r\n", "hello\n"),
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |mut sum, byte| {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
        }
        sum
    })
}

/// Command lines: `O` at the start of a word stands for the origin's URL, `D` for its host and port. `-q` and `-s` are
/// given to all of them, as the meter depends on time.
#[allow(clippy::too_many_lines)] // the table of cases
fn cases() -> Vec<String> {
    let mut all: Vec<String> = CASES
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    for status in
        [200, 201, 204, 205, 299, 300, 304, 400, 401, 403, 404, 407, 410, 416, 418, 429, 500, 502, 503, 504, 599]
    {
        if status != 204 && status != 304 {
            all.push(format!("O/status/{status} -w %{{http_code}}"));
            all.push(format!("-i O/status/{status}"));
        }
        all.push(format!("-f O/status/{status}"));
        all.push(format!("--fail-with-body O/status/{status}"));
    }
    for status in [301, 302, 303, 307, 308] {
        for place in ["absolute", "relative", "up", "query", "fragment", "space", "loop"] {
            let most = if place == "loop" { "--max-redirs 3" } else { "" };
            all.push(format!(
                "-L {most} -w %{{url_effective}}|%{{num_redirects}}|%{{http_code}} O/redirect/{status}/{place}"
            ));
        }
        all.push(format!("-w %{{redirect_url}} O/redirect/{status}/absolute"));
        all.push(format!("-L -d x=y O/redirect/{status}/absolute"));
        all.push(format!("-L -I O/redirect/{status}/absolute"));
        all.push(format!("-L -T up.txt O/redirect/{status}/absolute"));
        all.push(format!("-L -X DELETE O/redirect/{status}/absolute"));
        all.push(format!("-L -F a=b -o /dev/null O/redirect/{status}/absolute"));
        all.push(format!("-L -d x=y --post301 --post302 --post303 O/redirect/{status}/absolute"));
        all.push(format!("-L -u u:p O/redirect/{status}/http://localhost:PORT/final"));
        all.push(format!("-L --location-trusted -u u:p O/redirect/{status}/absolute"));
    }
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "x"] {
        all.push(format!("-X {method} O/a"));
        all.push(format!("-X {method} -d data O/a"));
        all.push(format!("-X {method} -H A:b -u u:p O/a"));
    }
    for header in [
        "A: b",
        "A:",
        "A;",
        "A:b",
        "A:  b  ",
        "Host: other",
        "Host:",
        "User-Agent: me",
        "User-Agent:",
        "Accept:",
        "Accept: x/y",
        "Content-Type: a/b",
        "Content-Type:",
        "Content-Length: 1",
        "Expect:",
        "Connection: close",
        "Connection: keep-alive",
        "Transfer-Encoding: chunked",
        "Cookie: c=d",
        "Referer: r",
        "Authorization: Bearer t",
        "Range: bytes=1-2",
        "Accept-Encoding: x",
        "If-Modified-Since: x",
        "nocolon",
        "TE: trailers",
        "X-A: \u{e4}",
        "Content-Type;",
    ] {
        all.push(format!("-H '{header}' O/a"));
        all.push(format!("-H '{header}' -d abc O/a"));
        all.push(format!("-H '{header}' -T up.txt O/a"));
        all.push(format!("-H '{header}' -A agent -e ref -b k=v -r 1-3 -u u:p --compressed O/a"));
    }
    for path in [
        "/a/../b",
        "/./a",
        "/a//b",
        "/%2e%2e/a",
        "/a?b?c",
        "/a#frag",
        "/%zz",
        "/a;b",
        "?q=1",
        "/..",
        "/a/..",
        "/\u{e4}",
        "/a%20b",
        "//a",
    ] {
        all.push(format!("O{path}"));
        all.push(format!("--path-as-is O{path}"));
        all.push(format!("-G -d x=y O{path}"));
    }
    all
}

const CASES: &str = r#"
O
O/
O/a O/b
-i O/a
-I O/a
-I O/a O/b
-0 O/a
--http1.1 O/a
-A agent O/a
-A '' O/a
-e http://ref/ O/a
-e ';auto' -L O/redirect/302/absolute
-e 'first;auto' -L O/redirect/302/absolute
-b a=b O/a
-b a=b -b c=d O/a
-b jar.txt O/deep/x
-c - O/cookie
-c out.jar O/cookie
-b '' O/cookie O/deep/x O/a
-b jar.txt -j O/a
-b jar.txt -c out.jar O/cookie
-r 2-4 O/range
-r 2- O/a
-r -3 O/a
-r 5 O/a
-r 0-1,3-4 O/a
-C 4 O/range
-C 4 -o ten.txt O/range
-C - -o four.txt O/range
-C - -o none.txt O/range
-C - -o ten.txt O/range
-C 4 O/a
-d a=b O/a
-d a=b -d c=d O/a
-d @up.txt O/a
-d @lines.txt O/a
--data-ascii @lines.txt O/a
--data-binary @lines.txt O/a
--data-raw @lines.txt O/a
--data-urlencode 'a b&c' O/a
--data-urlencode '=a b' O/a
--data-urlencode 'n=a b' O/a
--data-urlencode '@lines.txt' O/a
--data-urlencode 'n@lines.txt' O/a
-d '' O/a
--json '{"a":1}' O/a
--json '{"a":' --json '1}' O/a
--json @up.txt -H 'Content-Type: x' O/a
-G -d a=b -d c=d O/a
-G -d a=b O/a?z
-G --data-urlencode 'q=a b' O/a
-G -I -d a=b O/a
--url-query a=b O/a
--url-query 'a=b c' --url-query +raw O/a?x
-I -d x O/a
-F a=b O/a
-F a=b -F c=d O/a
-F 'a=@up.txt' O/a
-F 'a=@up.txt;type=x/y' O/a
-F 'a=@up.txt;filename=other' O/a
-F 'a=@up.txt;filename="o\"t"' O/a
-F 'a=<up.txt' O/a
-F 'a=b;type=text/x' O/a
-F 'a=@up.txt,lines.txt' O/a
-F 'a=@pic.png' O/a
-F 'a=@none.html' O/a
-F 'a="quoted;text"' O/a
-F 'a=b;headers="X: y"' O/a
-F 'a"b=c' O/a
--form-escape -F 'a"b=c' O/a
--form-string 'a=@b;c' O/a
-F 'a=b;encoder=base64' O/a
-F a O/a
-F 'a=@pic.png' -H 'Content-Type: multipart/related' O/a
-T up.txt O/a
-T up.txt O/
-T up.txt O/dir/
-T none O/a
-T 'sp ace.txt' O/
-T empty.txt O/a
-T up.txt -H 'Transfer-Encoding: chunked' O/a
-T big.bin -o /dev/null O/a
-T big.bin -H 'Expect:' O/a
-d @big.bin O/a
-T up.txt -C 2 O/a
-0 -T up.txt O/a
-u u:p O/basic
-u u: O/basic
-u :p O/basic
--basic -u u:p O/basic
-u 'u:p:q' O/a
O/basic
http://u:p@D/basic
http://u@D/a
http://u%20x:p%40@D/a
-u a:b http://u:p@D/a
--digest -u u:p O/digest
--digest -u u:p -d x=y O/digest
--digest -u u:p -T up.txt O/digest
--digest -u u:p -I O/digest
--anyauth -u u:p O/digest
--anyauth -u u:p O/basic
--anyauth -u u:p O/both
--anyauth -u u:p -d x=y O/both
--digest -u u:p O/digest O/digest
--digest -u u:p O/basic
-u u:p O/digest
--oauth2-bearer tok O/a
-n --netrc-file netrc.txt O/a
--netrc-file netrc.txt O/a
--netrc-file netrc.txt -u other O/a
--netrc-optional --netrc-file none O/a
--compressed O/gzip
--compressed O/a
--compressed -i O/gzip
O/gzip -o gz
--compressed O/lzma
--raw O/chunked
O/chunked
-i O/chunked
-D - O/chunked
--tr-encoding O/a
O/close
O/short
O/nothing
O/old
--http0.9 O/old
O/weird
O/nocolon
O/badlength
O/lf
-i O/lf
O/fold
-i O/fold
O/badchunk
O/cutchunk
O/early
-i O/early
O/nocontent
-i O/nocontent
-o nc O/nocontent
O/notmodified
O/connclose O/connclose
O/empty -o e
O/big -o big
-D heads -o body O/a
-D heads -o body O/a O/b
-o f O/a
-o f1 O/a -o f2 O/b
-o f O/a O/b
-O O/name.txt
-O O/name.txt?query
-O O/a -O O/b
-O O/dir/
--remote-name-all O/a O/b
-OJ O/disposition
-OJ O/a
-J -O O/disposition O/disposition
--output-dir sub --create-dirs -O O/a
--output-dir sub -O O/a
-o new/dir/f --create-dirs O/a
-o new/dir/f O/a
-o '#1_#2' 'O/{a,b}/[1-2]'
-o 'x#1' 'O/[a-c]'
'O/{a,b}'
'O/[1-3]'
'O/[01-10:3]'
-g 'O/{a,b}'
-g 'O/[1-2]'
'O/{a'
'O/[1-'
'O/a}'
-R -o f O/modified
-z 'Sun, 06 Nov 1994 08:49:37 GMT' O/modified
-z '-Sun, 06 Nov 1994 08:49:37 GMT' O/modified
-z 'Sun, 06 Nov 1990 08:49:37 GMT' O/modified
-z '2030-01-01' O/modified
-z up.txt O/a
-z nonsense O/a
--etag-save tag O/etag
--etag-compare tag.txt O/etag
--etag-compare none O/etag
--max-filesize 3 O/a
--max-filesize 30 O/a
--max-filesize 100 O/big
--max-redirs 0 -L O/redirect/302/absolute
--max-redirs 0 O/redirect/302/absolute
--max-redirs -1 -L O/redirect/302/absolute
-L O/redirect/302/ftp
-L O/redirect/302/file
-L O/redirect/302/empty
--proto =https O/a
--proto-redir =https -L O/redirect/302/absolute
--proto-default http D/a
--request-target /other O/a
--request-target '*' -X OPTIONS O/a
-X GET -L O/redirect/302/absolute
--resolve example.test:PORT:127.0.0.1 http://example.test:PORT/a
--resolve '*:PORT:127.0.0.1' http://example.test:PORT/a
--connect-to example.test:80:127.0.0.1:PORT http://example.test/a
--connect-to ::127.0.0.1:PORT http://example.test/a
-x D O/proxied
-x http://D http://example.test/a
-x http://u:p@D http://example.test/a
-x D -U u:p http://example.test/a
-x D -I http://example.test/a
-x D --proxy-header 'X: y' http://example.test/a
-x D -H 'X: y' http://example.test/a
-x D --noproxy 127.0.0.1 O/a
-x D --noproxy '*' O/a
-x D -d x=y http://example.test/a
-x D http://example.test:8080/a
-x D -u a:b -U c:d http://example.test/a
-x 127.0.0.1:1 http://example.test/a
-p -x D http://example.test/a
--unix-socket nosuch.sock http://h/a
--interface 127.0.0.1 O/a
--interface nosuch-if0 O/a
--local-port 1-2 O/a
-4 O/a
http://127.0.0.1:1/
http://nosuch.invalid/
http://
http://a b/
http://127.0.0.1:99999/
http://[::1/
ftp://127.0.0.1/x
nosuch://x/
O/a --next -d x O/b
O/a --next -H 'X: y' O/b --next -I O/c
--next O/a
-d x -T up.txt O/a
-K conf.txt
-K none.txt O/a
-K conf.txt O/second
--url O/a
--nosuch O/a
-o
-m x O/a
-m -1 O/a
--max-redirs x O/a
--no-url O/a
-w '%{http_code} %{response_code} %{method} %{scheme} %{http_version}\n' O/a
-w '%{size_download}|%{size_header}|%{size_upload}\n' -d abc O/a
-w '%{content_type}|%{num_connects}|%{num_headers}\n' O/a
-w '%{urlnum} %{url} %{exitcode} %{errormsg}\n' O/a
-w '%{remote_ip} %{num_redirects} %{redirect_url}\n' O/redirect/302/absolute
-w '%header{content-type}\n' O/a
-w '%{onerror}bad\n' O/a
-w '%{stderr}to stderr' O/a
-w 'a\tb\nc%%d%{nosuch}' O/a
-w '%{header_json}' O/cookie
-w '%{filename_effective}\n' -o f O/a
-w '%{ssl_verify_result} %{num_certs}\n' O/a
-w @fmt.txt O/a
-w '%{exitcode} %{errormsg}\n' http://127.0.0.1:1/
-w '%{size_request}\n' -A x O/a
-f -o f O/status/404
-f O/status/404 O/a
--fail-early -f O/status/404 O/a
-f --fail-with-body O/status/404
--retry 2 --retry-delay 1 -o f O/a
--remove-on-error -o f O/short
--ignore-content-length O/close
-N O/a
--limit-rate 1M O/a
--haproxy-protocol O/a
file://BASE/up.txt
-I file://BASE/empty.txt
file:///nosuch/file
-r 1-2 file://BASE/up.txt
--disallow-username-in-url http://u@D/a
--create-file-mode 600 -o f O/a
"#;

pub fn words(line: &str, origin: &Origin, base: &Path) -> Vec<String> {
    let mut out: Vec<(String, bool)> = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    let mut any = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                any = true;
            }
            ' ' if !quoted => {
                if any || !word.is_empty() {
                    out.push((std::mem::take(&mut word), any));
                }
                any = false;
            }
            c => word.push(c),
        }
    }
    if any || !word.is_empty() {
        out.push((word, any));
    }
    let address = origin.address.to_string();
    let port = origin.address.port().to_string();
    out.into_iter()
        .map(|(word, _)| {
            let word = match word.strip_prefix('O') {
                Some(rest) if rest.is_empty() || rest.starts_with(['/', '?', '#']) => format!("http://{address}{rest}"),
                _ => word,
            };
            let word = if word == "D" || word.starts_with("D/") { word.replacen('D', &address, 1) } else { word };
            let word = word.replace("//D", &format!("//{address}")).replace("@D", &format!("@{address}"));
            word.replace("PORT", &port).replace("BASE", &base.to_string_lossy())
        })
        .collect()
}

/// The files every case finds.
fn furnish(dir: &Path, origin: &Origin) -> Result<(), Stop> {
    fs::write(dir.join("up.txt"), "uploaded")?;
    fs::write(dir.join("sp ace.txt"), "space")?;
    fs::write(dir.join("empty.txt"), "")?;
    fs::write(dir.join("lines.txt"), "one\r\ntwo &\nthree\n")?;
    fs::write(dir.join("pic.png"), [137u8, 80, 78, 71, 0, 1, 2])?;
    fs::write(dir.join("ten.txt"), "0123456789")?;
    fs::write(dir.join("four.txt"), "0123")?;
    fs::write(dir.join("big.bin"), vec![b'b'; 1_200_000])?;
    fs::write(dir.join("tag.txt"), "\"tag\"\n")?;
    fs::write(dir.join("fmt.txt"), "%{http_code}\n")?;
    fs::write(
        dir.join("netrc.txt"),
        "machine 127.0.0.1 login n password q\nmachine 127.0.0.1 login other password z\n",
    )?;
    fs::write(
        dir.join("conf.txt"),
        format!("# c\nurl = \"http://{}/conf\"\n-H \"X: y\"\nuser-agent: me\nsilent\n", origin.address),
    )?;
    fs::write(
        dir.join("jar.txt"),
        "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\ts\n127.0.0.1\tFALSE\t/deep\tFALSE\t4000000000\tdeep\td\n\
         example.com\tFALSE\t/\tFALSE\t0\tother\to\n",
    )?;
    // Every file has one fixed day: `file://` shows it, and the two programs may run in different seconds.
    let old = std::time::UNIX_EPOCH + Duration::from_secs(784_111_777);
    for entry in fs::read_dir(dir)? {
        fs::File::options().write(true).open(entry?.path())?.set_modified(old)?;
    }
    Ok(())
}

struct Outcome {
    requests: String,
    stdout: String,
    status: i32,
    files: BTreeMap<PathBuf, String>,
}

impl Outcome {
    fn of(binary: &Path, line: &str) -> Result<Outcome, Stop> {
        let origin = Origin::start(Arc::new(answer))?;
        let dir = TempDir::new("curl-diff")?;
        furnish(&dir.0, &origin)?;
        let mut command = Command::new(binary);
        if binary == netkit() {
            command.arg("curl");
        }
        command.args(["-q", "-s"]).args(words(line, &origin, &dir.0)).current_dir(&dir.0);
        command.env_clear().env("HOME", &dir.0).env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        let output = run(&mut command, LIMIT)?;
        let mut files = BTreeMap::new();
        collect(&dir.0, &dir.0, &mut files)?;
        // It is only read, and looking through it takes longer than everything else.
        files.remove(Path::new("big.bin"));
        let address = origin.address.to_string();
        let port = origin.address.port().to_string();
        let base = dir.0.to_string_lossy().into_owned();
        let mask = |bytes: &[u8]| masked(&String::from_utf8_lossy(bytes), &address, &port, &base);
        let mut requests = String::new();
        for request in origin.take() {
            let _ = writeln!(requests, "{}\n----", mask(&request));
        }
        Ok(Outcome {
            requests,
            stdout: mask(&output.stdout),
            status: output.status.code().unwrap_or(-1),
            files: files.into_iter().map(|(path, bytes)| (path, mask(&bytes))).collect(),
        })
    }

    fn text(&self) -> String {
        let mut out = format!("status {}\nstdout:\n{}\nrequests:\n{}", self.status, self.stdout, self.requests);
        for (path, content) in &self.files {
            let shown: String = content.chars().take(300).collect();
            let _ = writeln!(out, "file {} ({}):\n{shown}", path.display(), content.len());
        }
        out
    }
}

pub fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<(), Stop> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
            files.insert(name, fs::read(&path)?);
        }
    }
    Ok(())
}

/// Replaces what differs between any two runs: the port, the version, boundaries and client nonces.
pub fn masked(text: &str, address: &str, port: &str, base: &str) -> String {
    let text = text.replace(address, "ORIGIN").replace(&format!(":{port}"), ":PORT").replace(base, "BASE");
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let mut line = line.to_owned();
        // Lengths that hold a boundary differ by its six more characters.
        for (start, ends) in [("curl/7.", " \r\n"), ("curl/8.", " \r\n"), ("cnonce=\"", "\""), ("response=\"", "\"")] {
            if let Some(at) = line.find(start) {
                let from = at + start.len();
                let end = line[from..].find(|c| ends.contains(c)).map_or(line.len(), |end| from + end);
                line.replace_range(at..end, &format!("{}X", start.trim_end_matches(['7', '8', '.'])));
            }
        }
        while let Some(at) = line.find(&"-".repeat(24)) {
            let from = at + line[at..].find(|c| c != '-').unwrap_or(24);
            let end = line[from..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(line.len(), |end| from + end);
            line.replace_range(at..end, "BOUNDARY");
        }
        out.push_str(&line);
    }
    // Since 8.7 only bodies above 1 MiB wait for 100 Continue.
    let small = out.lines().all(|line| !line.starts_with("Content-Length: 1200000"));
    if small && out.contains(" HTTP/1.") && !out.starts_with("HTTP/") {
        out = out.replace("Expect: 100-continue\r\n", "");
    }
    if let Some(rest) = out.strip_prefix("PROXY TCP4 ") {
        let end = rest.find('\r').unwrap_or(0);
        out = format!("PROXY X{}", &rest[end..]);
    }
    if out.contains("BOUNDARY") {
        let kept: Vec<String> = out
            .split('\n')
            .map(|line| {
                let chunk = line.ends_with('\r') && (2..6).contains(&line.len());
                let chunk = chunk && line.trim_end().bytes().all(|byte| byte.is_ascii_hexdigit());
                match () {
                    () if line.starts_with("Content-Length:") => "Content-Length: N\r".to_owned(),
                    () if chunk && line != "0\r" => "SIZE\r".to_owned(),
                    () => line.to_owned(),
                }
            })
            .collect();
        out = kept.join("\n");
    }
    out
}

fn known() -> BTreeMap<String, String> {
    let text = include_str!("golden/curl/known_differences.txt");
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('\t'))
        .map(|(case, reason)| (case.to_owned(), reason.to_owned()))
        .collect()
}

fn every_known_difference_is_a_case() -> Result<(), Stop> {
    let cases = cases();
    for (case, reason) in known() {
        if !cases.contains(&case) || reason.trim().is_empty() {
            return Err(format!("no case or no reason: {case}").into());
        }
    }
    Ok(())
}

fn differential(what: &str, cases: &[String]) -> Result<(), Stop> {
    let peer = tool("curl", "curl")?;
    let known = known();
    let show = std::env::var("NETKIT_DIFF").ok();
    let mut wrong = Vec::new();
    let mut equal = 0;
    let cases: Vec<&String> =
        cases.iter().filter(|case| show.as_ref().is_none_or(|show| case.contains(show.as_str()))).collect();
    let queue = Mutex::new(cases.iter().copied().collect::<VecDeque<_>>());
    let results = Mutex::new(Vec::new());
    let pop = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(case) = pop() {
                    let text = |binary: &Path| match Outcome::of(binary, case) {
                        Ok(outcome) => outcome.text(),
                        Err(stop) => format!("{stop:?}"),
                    };
                    let began = std::time::Instant::now();
                    let both = (case.clone(), text(&peer), text(&netkit()));
                    if show.is_some() && began.elapsed() > Duration::from_secs(1) {
                        eprintln!("{case}: {:?}", began.elapsed());
                    }
                    results.lock().unwrap_or_else(PoisonError::into_inner).push(both);
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort();
    for (case, theirs, ours) in results {
        let same = theirs == ours;
        equal += usize::from(same);
        match (same, known.contains_key(&case)) {
            (true, true) => wrong.push(format!("{case}\n  no longer differs; take it off the list")),
            (false, false) => wrong.push(format!("{case}\n--- curl\n{theirs}\n--- netkit\n{ours}")),
            _ => {}
        }
    }
    if show.is_some() || std::env::var_os("NETKIT_DIFF_COUNT").is_some() {
        eprintln!("{what}: {equal} of {} equal", cases.len());
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n\n")).into())
    }
}
