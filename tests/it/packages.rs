//! The packages: each of the three lists of files holds what the others hold.

use std::{collections::BTreeSet, fs, path::Path};

/// What one kind of package alone has, or has by a key of its own.
const OWN: [&str; 2] = ["LICENSE", "packaging/lintian-overrides"];

#[test]
fn every_package_holds_the_same_files() {
    let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
    let metadata = &manifest["package"]["metadata"];
    let debian = sources(&metadata["deb"]["assets"], |asset| &asset[0]);
    let rpm = sources(&metadata["generate-rpm"]["assets"], |asset| &asset["source"]);
    assert_eq!(debian, rpm, "the Debian package, and the RPM");
    assert_eq!(debian, archive_sources(), "the Debian package, and the archive");
    for source in &debian {
        let is_made = source.starts_with("target/") || source.contains('*');
        assert!(is_made || root().join(source).is_file(), "{source} is in no checkout");
    }
}

fn sources(
    assets: &toml::Value,
    source: impl Fn(&toml::Value) -> &toml::Value,
) -> BTreeSet<String> {
    let assets = assets.as_array().expect("a list").iter();
    let sources = assets.map(|asset| source(asset).as_str().expect("a path").to_owned());
    sources.filter(|source| !OWN.contains(&source.as_str())).collect()
}

/// Returns the sources in the list of `packaging/install`.
fn archive_sources() -> BTreeSet<String> {
    let script = read("packaging/install");
    let (_, list) = script.split_once("<<'LIST'\n").expect("a list");
    let (list, rest) = list.split_once("\nLIST\n").expect("its end");
    let (_, pages) = rest.split_once("for page in ").expect("the pages");
    let (pages, _) = pages.split_once("; do").expect("their end");
    let sources = list.lines().map(|line| {
        let source = line.split(' ').next().expect("a path");
        source.replace("target/packaging/release", "target/release")
    });
    sources
        .filter(|source| !OWN.contains(&source.as_str()))
        .chain(pages.split(' ').map(str::to_owned))
        .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("a file of the checkout")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
