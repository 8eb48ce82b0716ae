//! The forms of output, as snapshots.

use kubectl_leases::output::{Format, Printer};
use kubectl_leases::table::Shape;

use crate::fixtures::{cluster, sample, survey};

fn table(format: Option<Format>, shape: Shape) -> String {
    let mut out = Vec::new();
    Printer::new(format, false, shape)
        .print(&mut out, survey(&cluster()).coordinated())
        .unwrap();
    String::from_utf8(out).unwrap()
}

fn one(format: Option<Format>) -> String {
    let mut out = Vec::new();
    let status = survey(&sample())
        .one(&"kube-system/sample-controller".parse().unwrap())
        .unwrap();
    Printer::new(format, true, Shape::default())
        .print(&mut out, vec![status])
        .unwrap();
    String::from_utf8(out).unwrap()
}

const ALL: Shape = Shape {
    namespace: true,
    wide: false,
    headers: true,
};

#[test]
fn table_of_all_namespaces() {
    insta::assert_snapshot!(table(None, ALL));
}

#[test]
fn table_wide() {
    insta::assert_snapshot!(table(Some(Format::Wide), ALL));
}

#[test]
fn table_without_headers_and_namespace() {
    let text = table(None, Shape::default());
    assert!(!text.contains("NAME") && text.starts_with("demo "), "{text}");
}

#[test]
fn names() {
    let text = table(Some(Format::Name), ALL);
    assert_eq!(text.lines().next(), Some("lease.coordination.k8s.io/demo"));
}

#[test]
fn one_lease_in_full() {
    insta::assert_snapshot!(one(None));
}

#[test]
fn one_lease_as_json() {
    insta::assert_snapshot!(one(Some(Format::Json)));
}

#[test]
fn one_lease_as_yaml() {
    insta::assert_snapshot!(one(Some(Format::Yaml)));
}

#[test]
fn lines_of_the_table_stay_within_what_a_terminal_shows() {
    let text = table(
        None,
        Shape {
            headers: true,
            ..Shape::default()
        },
    );
    for line in text.lines() {
        assert!(
            line.chars().count() <= 110,
            "{} columns: {line}",
            line.chars().count()
        );
    }
}

#[test]
fn a_list_is_an_object_with_items() {
    let list: serde_json::Value = serde_json::from_str(&table(Some(Format::Json), ALL)).unwrap();
    assert_eq!(list["kind"], "LeaseStatusList");
    assert_eq!(list["items"].as_array().unwrap().len(), 4);
    assert_eq!(list["items"][0]["observed"]["source"], "ServerDate");
}

#[test]
fn an_offer_without_a_noted_time_says_so() {
    use crate::fixtures::{hand_written, offered};
    let described = |noted: bool| {
        let mut lease = offered("default/demo", "paper", 90);
        if !noted {
            lease.metadata.managed_fields = None;
        }
        let leases = [lease, hand_written("default/paper", "default/demo", "1.29")];
        let status = survey(&leases).one(&"default/demo".parse().unwrap()).unwrap();
        let mut out = Vec::new();
        Printer::new(None, true, Shape::default())
            .print(&mut out, vec![status])
            .unwrap();
        String::from_utf8(out).unwrap()
    };
    assert!(
        described(true).contains("Offered:     90s ago"),
        "{}",
        described(true)
    );
    assert!(described(false).contains("has not noted"), "{}", described(false));
}
