//! The krew manifest, by the rules that krew's `validation` package checks before it installs or indexes a plugin.

use serde_json::Value;

const MANIFEST: &str = include_str!("../../../plugins/leases.yaml");

/// What krew would refuse.
fn refusals(manifest: &Value, file: &str) -> Vec<String> {
    let mut refusals = Vec::new();
    let mut must = |holds: bool, rule: &str| {
        if !holds {
            refusals.push(rule.to_owned());
        }
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    must(
        manifest["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2",
        "apiVersion",
    );
    must(manifest["kind"] == "Plugin", "kind");
    let name = text(&manifest["metadata"]["name"]);
    let safe = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    };
    must(safe(&name), "a safe name");
    must(
        file == format!("{name}.yaml"),
        "the file has the name of the plugin",
    );
    let spec = &manifest["spec"];
    let version = text(&spec["version"]);
    let semver = version
        .strip_prefix('v')
        .map(str::parse::<election_core::Version>);
    must(
        semver.is_some_and(|parsed| parsed.is_ok()),
        "a version like v1.2.3",
    );
    let short = text(&spec["shortDescription"]);
    must(
        !short.is_empty() && !short.contains('\n') && short.len() <= 50,
        "a short description",
    );
    must(!short.ends_with('.'), "a short description without a full stop");
    must(!text(&spec["description"]).is_empty(), "a description");
    let platforms = spec["platforms"].as_array().cloned().unwrap_or_default();
    must(!platforms.is_empty(), "a platform");
    let mut selectors = Vec::new();
    for platform in &platforms {
        must(text(&platform["uri"]).starts_with("https://"), "an address");
        must(
            [".tar.gz", ".zip"]
                .iter()
                .any(|end| text(&platform["uri"]).ends_with(end)),
            "an archive that krew can open",
        );
        let sum = text(&platform["sha256"]);
        must(
            sum.len() == 64 && sum.chars().all(|c| "0123456789abcdef".contains(c)),
            "a sha256",
        );
        let bin = text(&platform["bin"]);
        must(
            !bin.is_empty() && !bin.contains("..") && !bin.starts_with('/'),
            "a bin within the archive",
        );
        let labels = platform["selector"]["matchLabels"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        must(!labels.is_empty(), "a selector");
        must(
            labels.keys().all(|label| label == "os" || label == "arch"),
            "labels os and arch",
        );
        must(!selectors.contains(&labels), "selectors that do not overlap");
        selectors.push(labels);
    }
    refusals
}

#[test]
fn krew_accepts_the_manifest() {
    let manifest: Value = serde_yaml::from_str(MANIFEST).unwrap();
    assert_eq!(refusals(&manifest, "leases.yaml"), [""; 0]);
    let program = format!("v{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        manifest["spec"]["version"], program,
        "it is the manifest of this version"
    );
}

#[test]
fn each_rule_refuses_what_breaks_it() {
    let refused = |pointer: &str, value: Value| {
        let mut manifest: Value = serde_yaml::from_str(MANIFEST).unwrap();
        *manifest.pointer_mut(pointer).unwrap() = value;
        refusals(&manifest, "leases.yaml")
    };
    for (pointer, value, rule) in [
        ("/apiVersion", "v1", "apiVersion"),
        ("/metadata/name", "../leases", "a safe name"),
        ("/spec/version", "0.1.0", "a version like v1.2.3"),
        (
            "/spec/shortDescription",
            "Too long for the table that krew search prints to people",
            "a short description",
        ),
        ("/spec/platforms/0/sha256", "abc", "a sha256"),
        ("/spec/platforms/0/bin", "../bin", "a bin within the archive"),
        (
            "/spec/platforms/1/selector/matchLabels/arch",
            "amd64",
            "selectors that do not overlap",
        ),
    ] {
        let found = refused(pointer, value.into());
        assert!(found.iter().any(|found| found == rule), "{pointer}: {found:?}");
    }
}
