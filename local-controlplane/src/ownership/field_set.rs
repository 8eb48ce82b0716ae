//! Sets of paths, as `fieldsV1` holds them.
//!
//! A path is a member by itself: that `.spec.replicas` is in a set does not put `.spec` into it. This is upstream's
//! structured-merge-diff; the operations have the same meaning as there.

use super::element::Element;
use super::shape::Shape;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What stands for the path itself in the JSON form.
const ITSELF: &str = ".";

/// A set of paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSet(BTreeMap<Element, Node>);

/// A path, and those below it. Invariant: a node in a set is not empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) member: bool,
    pub(super) below: FieldSet,
}

impl Node {
    pub(super) fn leaf() -> Self {
        Self {
            member: true,
            below: FieldSet::default(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }

    fn union(&mut self, other: &Self) {
        self.member |= other.member;
        self.below.add_all(&other.below);
    }
}

impl FieldSet {
    /// The set of the given paths of fields.
    pub(super) fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            set.add_fields(path);
        }
        set
    }

    /// Adds a path of fields.
    pub(super) fn add_fields(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let node = self.0.entry(Element::field(first)).or_default();
        match rest {
            [] => node.member = true,
            rest => node.below.add_fields(rest),
        }
    }

    /// Adds what is at and below an element.
    pub(super) fn add(&mut self, element: Element, node: Node) {
        if !node.is_empty() {
            self.0.entry(element).or_default().union(&node);
        }
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        for (element, node) in &other.0 {
            match self.0.get_mut(element) {
                Some(own) => own.union(node),
                None => drop(self.0.insert(element.clone(), node.clone())),
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, element: &Element) -> Option<&Node> {
        self.0.get(element)
    }

    /// Whether a path of fields is a member.
    pub(super) fn has_fields(&self, path: &[&str]) -> bool {
        let Some((first, rest)) = path.split_first() else {
            return false;
        };
        let Some(node) = self.get(&Element::field(first)) else {
            return false;
        };
        match rest {
            [] => node.member,
            rest => node.below.has_fields(rest),
        }
    }

    #[must_use]
    pub(super) fn union(mut self, other: &Self) -> Self {
        self.add_all(other);
        self
    }

    #[must_use]
    pub(super) fn intersection(&self, other: &Self) -> Self {
        self.combined(other, |node, with| {
            with.map_or_else(Node::default, |with| Node {
                member: node.member && with.member,
                below: node.below.intersection(&with.below),
            })
        })
    }

    /// Leaves what is not in `other`: [`FieldSet::difference`] in place.
    pub(super) fn remove_all(&mut self, other: &Self) {
        for (element, with) in &other.0 {
            let Some(node) = self.0.get_mut(element) else {
                continue;
            };
            node.member &= !with.member;
            node.below.remove_all(&with.below);
            if node.is_empty() {
                self.0.remove(element);
            }
        }
    }

    /// What is not in `other`. A path stays although its parent goes.
    #[must_use]
    pub(super) fn difference(&self, other: &Self) -> Self {
        self.combined(other, |node, with| {
            with.map_or_else(
                || node.clone(),
                |with| Node {
                    member: node.member && !with.member,
                    below: node.below.difference(&with.below),
                },
            )
        })
    }

    /// What is neither in `other` nor below one of its members.
    #[must_use]
    pub(super) fn without_all_below(&self, other: &Self) -> Self {
        self.combined(other, |node, with| match with {
            None => node.clone(),
            Some(with) if with.member => Node::default(),
            Some(with) => Node {
                member: node.member,
                below: node.below.without_all_below(&with.below),
            },
        })
    }

    /// All paths here, each seen together with its counterpart in `other`.
    fn combined(&self, other: &Self, combine: impl Fn(&Node, Option<&Node>) -> Node) -> Self {
        let nodes = self.0.iter().filter_map(|(element, node)| {
            let combined = combine(node, other.0.get(element));
            (!combined.is_empty()).then(|| (element.clone(), combined))
        });
        Self(nodes.collect())
    }

    /// With the named fields on the way to every member: whoever has `.spec.replicas` has `.spec` as well, but not the
    /// items of a list nor the entries of a map on the way.
    #[must_use]
    pub(super) fn with_named_fields(&self, shape: Shape<'_>) -> Self {
        let nodes = self.0.iter().map(|(element, node)| {
            let (inner, named) = match element.as_field() {
                Some(name) => {
                    let field = shape.field(name);
                    (field.shape, field.is_named)
                }
                None if element.is_keyed() => (shape.items(), false),
                None => (Shape::open(), false),
            };
            let node = Node {
                member: node.member || (named && !node.below.is_empty()),
                below: node.below.with_named_fields(inner),
            };
            (element.clone(), node)
        });
        Self(nodes.collect())
    }

    /// Every member, as messages spell it; those of one level before those below them.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths("", &mut paths);
        paths
    }

    fn collect_paths(&self, prefix: &str, paths: &mut Vec<String>) {
        let members = self.0.iter().filter(|(_, node)| node.member);
        paths.extend(members.map(|(element, _)| format!("{prefix}{element}")));
        for (element, node) in &self.0 {
            node.below.collect_paths(&format!("{prefix}{element}"), paths);
        }
    }

    /// The form of `fieldsV1`.
    pub(super) fn to_json(&self) -> Value {
        let mut json = Map::new();
        for (element, node) in &self.0 {
            let mut inner = node.below.to_json();
            if let Some(inner) = inner
                .as_object_mut()
                .filter(|inner| node.member && !inner.is_empty())
            {
                inner.insert(ITSELF.into(), Value::Object(Map::new()));
            }
            json.insert(element.as_str().into(), inner);
        }
        Value::Object(json)
    }

    /// Reads `fieldsV1`. Nothing: it is not of that form.
    pub(super) fn from_json(json: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (key, inner) in json.as_object()? {
            if key == ITSELF {
                continue;
            }
            let below = Self::from_json(inner)?;
            let member = below.is_empty() || inner.get(ITSELF).is_some();
            set.0.insert(Element::parse(key)?, Node { member, below });
        }
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn set(json: Value) -> FieldSet {
        FieldSet::from_json(&json).unwrap()
    }

    #[test]
    fn a_set_is_told_from_another_member_by_member() {
        let left = set(json!({"f:a": {}, "f:b": {".": {}, "f:c": {}}, "f:d": {"f:e": {}}}));
        let right = set(json!({"f:a": {}, "f:b": {}, "f:d": {"f:e": {}, "f:f": {}}}));
        for (what, found, expected) in [
            (
                "union",
                left.clone().union(&right),
                json!({"f:a": {}, "f:b": {".": {}, "f:c": {}}, "f:d": {"f:e": {}, "f:f": {}}}),
            ),
            (
                "intersection",
                left.intersection(&right),
                json!({"f:a": {}, "f:b": {}, "f:d": {"f:e": {}}}),
            ),
            ("difference", left.difference(&right), json!({"f:b": {"f:c": {}}})),
            (
                "the other difference",
                right.difference(&left),
                json!({"f:d": {"f:f": {}}}),
            ),
            ("without all below", left.without_all_below(&right), json!({})),
        ] {
            assert_eq!(found.to_json(), expected, "{what}");
        }
    }

    #[test]
    fn paths_are_spelled_as_upstream_spells_them() {
        let set = set(json!({
            "f:spec": {"f:list": {"k:{\"port\":80,\"name\":\"a\"}": {".": {}, "f:x": {}}}, "f:set": {"v:\"y\"": {}, "v:3": {}}},
            "f:kind": {}, "i:2": {},
        }));
        let expected = [
            ".kind",
            "[2]",
            ".spec.list[name=\"a\",port=80]",
            ".spec.list[name=\"a\",port=80].x",
            ".spec.set[=\"y\"]",
            ".spec.set[=3]",
        ];
        assert_eq!(set.paths(), expected);
    }

    #[test]
    fn what_is_no_set_is_not_read() {
        for json in [
            json!([]),
            json!({"spec": {}}),
            json!({"x:y": {}}),
            json!({"k:{": {}}),
            json!({"f:a": 1}),
            json!({"i:x": {}}),
        ] {
            assert_eq!(FieldSet::from_json(&json), None, "{json}");
        }
    }

    fn sets() -> impl Strategy<Value = FieldSet> {
        let element = prop_oneof![
            "[a-c]".prop_map(|name| Element::field(&name)),
            (0..2).prop_map(|number| Element::parse(&format!("k:{{\"n\":{number}}}")).unwrap()),
        ];
        let leaf = Just(FieldSet::default());
        leaf.prop_recursive(3, 24, 4, move |inner| {
            proptest::collection::btree_map(element.clone(), (any::<bool>(), inner), 0..4).prop_map(|nodes| {
                let mut set = FieldSet::default();
                for (element, (member, below)) in nodes {
                    set.add(element, Node { member, below });
                }
                set
            })
        })
    }

    proptest! {
        #[test]
        fn a_set_survives_its_json_form(set in sets()) {
            prop_assert_eq!(FieldSet::from_json(&set.to_json()), Some(set));
        }

        #[test]
        fn difference_and_intersection_make_up_the_whole(left in sets(), right in sets()) {
            let (only, both) = (left.difference(&right), left.intersection(&right));
            prop_assert!(only.intersection(&right).is_empty());
            let mut rest = left.clone();
            rest.remove_all(&right);
            prop_assert_eq!(&rest, &only);
            prop_assert_eq!(&only.union(&both), &left);
            prop_assert_eq!(left.clone().union(&right), right.union(&left));
        }
    }
}
