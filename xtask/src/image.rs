//! `cargo xtask image`: the scratch image, its last stage filled from `dist/` instead of the Containerfile's builder.
//!
//! Storage and runtime are those of the caller: `CONTAINERS_STORAGE_CONF` and `CONTAINERS_CONF` work as in podman(1).

use crate::musl::Way;
use crate::process::{command, find, run as run_command};
use crate::workspace::{root, source, version};
use crate::{Result, dist};

pub(crate) const USAGE: &str = "[--variant default|nonroot]";

/// The variants, which are stages of the Containerfile, and what their tags end with.
const VARIANTS: &[(&str, &str)] = &[("default", ""), ("nonroot", "-nonroot")];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let wanted = match arguments {
        [] => None,
        [flag, word] if flag == "--variant" => Some(word.as_str()),
        _ => return Err(format!("usage: cargo xtask image {USAGE}")),
    };
    if let Some(word) = wanted
        && !VARIANTS.iter().any(|(name, _)| *name == word)
    {
        return Err(format!("no variant `{word}`; {USAGE}"));
    }
    let builder = ["podman", "buildah"]
        .into_iter()
        .find_map(find)
        .ok_or("neither podman nor buildah is installed (Debian packages of these names)")?;
    let dist = dist::build(Way::Auto)?;
    let source = source();
    for (variant, suffix) in VARIANTS.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name)) {
        let tag = format!("localhost/netkit:{}{suffix}", version());
        println!("image: {tag}");
        let mut build = command(&builder);
        build
            .current_dir(root())
            .args(["build", "--quiet", "--file", "Containerfile", "--target", variant, "--tag", &tag])
            // Stands in for the stage of this name, so that nothing is pulled or compiled.
            .arg("--build-context")
            .arg(format!("tree={}", dist.rootfs.display()))
            .arg(format!("--build-arg=VERSION={}", version()));
        if let Some(commit) = &source.commit {
            build.arg(format!("--build-arg=REVISION={commit}"));
        }
        if let Some(epoch) = source.epoch {
            build.arg(format!("--build-arg=CREATED={}", rfc3339(epoch))).arg(format!("--timestamp={epoch}"));
        }
        run_command(build.arg("."))?;
    }
    Ok(())
}

/// Unix seconds as RFC 3339 in UTC, by counting whole years and months.
fn rfc3339(seconds: i64) -> String {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let (mut day, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let mut year = 1970;
    while day < 0 {
        year -= 1;
        day += if leap(year) { 366 } else { 365 };
    }
    while day >= if leap(year) { 366 } else { 365 } {
        day -= if leap(year) { 366 } else { 365 };
        year += 1;
    }
    let mut month = 1;
    for days in [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", day + 1)
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn dates() {
        // date -u -d @N +%FT%TZ
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_825_600, "2000-02-29T12:00:00Z"),
            (1_709_209_845, "2024-02-29T12:30:45Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), expected);
        }
    }
}
