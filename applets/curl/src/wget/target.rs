//! Under which name a URL is saved.

use std::path::{Path, PathBuf};

use netkit_http::Url;
use netkit_http::url::percent_decode;

use super::options::Options;

/// Longest name of one file, as every file system here has it.
const MAX_NAME: usize = 255;
/// Most numbers tried behind a name that is taken.
const MAX_NUMBER: u32 = 1_000_000;

/// The file of a URL, before a number is put behind it.
pub(crate) fn file(options: &Options, url: &Url) -> PathBuf {
    let mut path = PathBuf::from(options.prefix.as_deref().unwrap_or(""));
    let (folders, last) = url.path.rsplit_once('/').unwrap_or(("", &url.path));
    if options.force_dirs {
        if options.protocol_dir {
            path.push(&url.scheme);
        }
        if options.host_dir {
            let port = url.port.filter(|port| netkit_http::url::default_port(&url.scheme) != Some(*port));
            path.push(port.map_or_else(|| url.host.clone(), |port| format!("{}:{port}", url.host)));
        }
        for folder in folders.split('/').filter(|folder| !folder.is_empty()) {
            path.push(safe(folder, None));
        }
    }
    let last = if last.is_empty() { options.default_page.as_str() } else { last };
    path.push(safe(last, url.query.as_deref()));
    path
}

/// A name from the server without any directory of its own.
pub(crate) fn named(options: &Options, name: &str) -> PathBuf {
    PathBuf::from(options.prefix.as_deref().unwrap_or("")).join(safe(name, None))
}

/// One part of a URL as the name of a file: unescaped, with what a file name cannot hold or should not escaped again.
fn safe(part: &str, query: Option<&str>) -> String {
    let mut bytes = percent_decode(part);
    if let Some(query) = query {
        bytes.push(b'?');
        bytes.extend(percent_decode(query));
    }
    let mut out = Vec::new();
    for byte in bytes {
        // The C1 controls are continuations in UTF-8 and stay there.
        if byte == b'/' || byte < 0x20 || byte == 0x7f {
            out.extend(format!("%{byte:02X}").into_bytes());
        } else {
            out.push(byte);
        }
    }
    let mut name = String::from_utf8_lossy(&out).into_owned();
    if name == "." || name == ".." {
        name = name.replace('.', "%2E");
    }
    while name.len() > MAX_NAME - 8 {
        name.pop();
    }
    name
}

/// The name itself, or with the first number that is free.
pub(crate) fn unique(path: &Path) -> PathBuf {
    if !path.exists() {
        return path.to_owned();
    }
    for number in 1..MAX_NUMBER {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        let candidate = PathBuf::from(name);
        if !candidate.exists() {
            return candidate;
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let options = Options::default();
        let name = |text: &str| file(&options, &Url::parse(text, false).unwrap()).display().to_string();
        assert_eq!(name("http://h"), "index.html");
        assert_eq!(name("http://h/a/"), "index.html");
        assert_eq!(name("http://h/%41b%20c"), "Ab c");
        assert_eq!(name("http://h/a?b=c%2Fd"), "a?b=c%2Fd");
        assert_eq!(name("http://h/x/%2e%2e%2fy"), "..%2Fy");
        assert_eq!(name("http://h/a%0Ab"), "a%0Ab");
        let options = Options { force_dirs: true, prefix: Some("p".to_owned()), ..Options::default() };
        let url = Url::parse("http://h:81/a/b/c", false).unwrap();
        assert_eq!(file(&options, &url).display().to_string(), "p/h:81/a/b/c");
        assert_eq!(named(&options, "../x").display().to_string(), "p/..%2Fx");
    }
}
