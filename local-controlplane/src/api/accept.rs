//! Content negotiation: in which shape and encoding a client wants its answer.

use crate::failure::Failure;

/// How objects are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Object,
    Table,
    /// Metadata only.
    Partial,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) shape: Shape,
    pub(crate) yaml: bool,
}

/// The formats that are served, as a refusal lists them.
pub(crate) const SUPPORTED: &str = "application/json, application/yaml";

/// One clause of an `Accept` header.
struct Clause<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl Clause<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    }

    /// How much it is wanted, from 0 to 1.
    fn weight(&self) -> f32 {
        self.get("q")
            .and_then(|weight| weight.parse().ok())
            .unwrap_or(1.0)
    }
}

fn clauses(accept: &str) -> impl Iterator<Item = Clause<'_>> {
    accept
        .split(',')
        .map(str::trim)
        .filter(|clause| !clause.is_empty())
        .map(|clause| {
            let mut parts = clause.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            Clause {
                media,
                parameters: parts.filter_map(|part| part.split_once('=')).collect(),
            }
        })
}

impl Format {
    /// Whole objects as JSON.
    pub(crate) const JSON: Self = Self {
        shape: Shape::Object,
        yaml: false,
    };

    /// The first clause that can be served; without a header, JSON.
    pub(crate) fn negotiate(accept: Option<&str>, list: bool) -> Result<Self, Failure> {
        let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
            return Ok(Self::JSON);
        };
        let mut clauses: Vec<Clause<'_>> = clauses(accept).collect();
        clauses.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
        let chosen = clauses.into_iter().find_map(|clause| {
            let yaml = match clause.media {
                "application/json" | "*/*" => false,
                "application/yaml" => true,
                _ => return None,
            };
            let of_meta = clause.get("g") == Some("meta.k8s.io");
            let of_meta = of_meta && matches!(clause.get("v"), Some("v1" | "v1beta1"));
            let shape = match clause.get("as") {
                None => Shape::Object,
                Some("Table") if of_meta => Shape::Table,
                Some("PartialObjectMetadata") if of_meta && !list => Shape::Partial,
                Some("PartialObjectMetadataList") if of_meta && list => Shape::Partial,
                Some(_) if of_meta => return Some(Err(Failure::not_acceptable_shape())),
                Some(_) => return None,
            };
            Some(Ok(Self { shape, yaml }))
        });
        chosen.unwrap_or_else(|| Err(Failure::not_acceptable(SUPPORTED)))
    }
}

/// Whether a client asks for discovery in one document.
pub(crate) fn wants_aggregated_discovery(accept: Option<&str>) -> bool {
    clauses(accept.unwrap_or_default()).any(|clause| {
        clause.media == "application/json"
            && clause.get("g") == Some("apidiscovery.k8s.io")
            && clause.get("v") == Some("v2")
            && clause.get("as") == Some("APIGroupDiscoveryList")
    })
}
