//! What differs between two versions of an object, as sets of paths.

use super::element::Element;
use super::field_set::{FieldSet, Node};
use super::shape::{Form, Shape};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The differences from one object to another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Comparison {
    pub(super) added: FieldSet,
    pub(super) modified: FieldSet,
    pub(super) removed: FieldSet,
}

/// The differences at and below one place.
#[derive(Default)]
struct Diff {
    added: Node,
    modified: Node,
    removed: Node,
}

impl Comparison {
    /// What changed from `old` to `new`.
    pub(super) fn of(old: &Value, new: &Value, shape: Shape<'_>) -> Self {
        let diff = compare(Some(old), Some(new), shape);
        Self {
            added: diff.added.below,
            modified: diff.modified.below,
            removed: diff.removed.below,
        }
    }

    /// What the new object has and the old one has not, or has otherwise.
    pub(super) fn set(&self) -> FieldSet {
        self.modified.clone().union(&self.added)
    }
}

impl Diff {
    fn add(&mut self, element: &Element, inner: Self) {
        self.added.below.add(element.clone(), inner.added);
        self.modified.below.add(element.clone(), inner.modified);
        self.removed.below.add(element.clone(), inner.removed);
    }

    fn add_all(&mut self, other: &Self) {
        for (own, other) in [
            (&mut self.added, &other.added),
            (&mut self.modified, &other.modified),
            (&mut self.removed, &other.removed),
        ] {
            own.member |= other.member;
            own.below.add_all(&other.below);
        }
    }
}

fn compare(old: Option<&Value>, new: Option<&Value>, shape: Shape<'_>) -> Diff {
    let (old_form, new_form) = (old.map(|old| shape.form(old)), new.map(|new| shape.form(new)));
    let null = |value: Option<&Value>| value.is_none_or(Value::is_null);
    match (old_form, new_form) {
        _ if old == new => Diff::default(),
        (None, Some(form)) | (Some(form), None) => compare_as(form, old, new, shape),
        (_, Some(form)) if null(old) => compare_as(form, old, new, shape),
        (Some(form), _) if null(new) => compare_as(form, old, new, shape),
        (Some(old_form), Some(new_form)) if old_form != new_form => {
            // The one goes as what it was, the other comes as what it is.
            let mut diff = compare_as(old_form, old, new, shape);
            diff.add_all(&compare_as(new_form, old, new, shape));
            diff
        }
        (_, Some(form)) => compare_as(form, old, new, shape),
        (None, None) => Diff::default(),
    }
}

fn compare_as(form: Form, old: Option<&Value>, new: Option<&Value>, shape: Shape<'_>) -> Diff {
    let mut diff = Diff::default();
    let is_leaf = match form {
        Form::Scalar => true,
        Form::Map => shape.is_atomic_map() || (entries(old).is_empty() && entries(new).is_empty()),
        Form::List => {
            *shape.list() == crate::schema::ListType::Atomic
                || (items(old).is_empty() && items(new).is_empty())
        }
    };
    match form {
        _ if is_leaf => diff.modified.member = old.is_some() && new.is_some(),
        Form::Map => compare_maps(entries(old), entries(new), shape, &mut diff),
        _ => compare_lists(items(old), items(new), shape, &mut diff),
    }
    diff.added.member |= old.is_none();
    diff.removed.member |= new.is_none();
    diff
}

static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

fn entries(value: Option<&Value>) -> &Map<String, Value> {
    value.and_then(Value::as_object).unwrap_or(&NOTHING)
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn compare_maps(old: &Map<String, Value>, new: &Map<String, Value>, shape: Shape<'_>, diff: &mut Diff) {
    let gone = old.iter().filter(|(name, _)| !new.contains_key(*name));
    let pairs = new.iter().map(|(name, value)| (name, old.get(name), Some(value)));
    for (name, old, new) in pairs.chain(gone.map(|(name, value)| (name, Some(value), None))) {
        if old != new {
            diff.add(&Element::field(name), compare(old, new, shape.field(name).shape));
        }
    }
}

fn compare_lists(old: &[Value], new: &[Value], shape: Shape<'_>, diff: &mut Diff) {
    let (old, new) = (by_element(old, shape), by_element(new, shape));
    let elements: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    for element in elements {
        let (old, new) = (old.get(element), new.get(element));
        let items = |items: Option<&Vec<_>>| items.cloned().unwrap_or_default();
        diff.add(element, compare_items(&items(old), &items(new), shape.items()));
    }
}

/// Items of one element; more than one of them are duplicates, which are owned as a whole.
fn compare_items(old: &[&Value], new: &[&Value], shape: Shape<'_>) -> Diff {
    let mut diff = match (old, new) {
        ([_, _, ..], [first]) => compare(None, Some(first), shape),
        ([first], [_, _, ..]) => compare(Some(first), None, shape),
        ([] | [_], [] | [_]) => return compare(old.first().copied(), new.first().copied(), shape),
        _ => Diff::default(),
    };
    match (old.len() > 1, new.len() > 1) {
        (true, true) => diff.modified.member |= old != new,
        (true, false) => diff.removed.member = true,
        _ => diff.added.member = true,
    }
    diff
}

fn by_element<'a>(items: &'a [Value], shape: Shape<'_>) -> BTreeMap<Element, Vec<&'a Value>> {
    let mut found: BTreeMap<Element, Vec<&Value>> = BTreeMap::new();
    for item in items {
        if let Ok(element) = Element::item(shape.list(), shape.items(), item) {
            found.entry(element).or_default().push(item);
        }
    }
    found
}
