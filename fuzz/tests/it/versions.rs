//! Versions: read or refused, never half; and in one order.

use std::cmp::Ordering;

use election_core::Version;

use crate::raw::Text;

#[test]
fn versions_are_read_or_refused_and_have_one_order() {
    bolero::check!().with_type::<[Text; 3]>().for_each(|texts| {
        let versions: Vec<Version> = texts.iter().filter_map(|text| read(&text.get())).collect();
        for a in &versions {
            assert_eq!(a.cmp(a), Ordering::Equal);
            for b in &versions {
                assert_eq!(a.cmp(b), b.cmp(a).reverse(), "{a} {b}");
                for c in &versions {
                    assert!(a > b || b > c || a <= c, "{a} <= {b} <= {c}");
                }
            }
        }
    });
}

fn read(text: &str) -> Option<Version> {
    let version: Version = match text.parse() {
        Ok(version) => version,
        Err(error) => {
            assert!(
                error.to_string().len() < 500,
                "an error is short, whatever was read"
            );
            return None;
        }
    };
    assert_eq!(version.as_str(), text, "it is kept as it was written");
    if !text.starts_with('v') {
        let other: Version = format!("v{text}").parse().expect("a v in front changes nothing");
        assert_eq!(version.cmp(&other), Ordering::Equal);
    }
    Some(version)
}
