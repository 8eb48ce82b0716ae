//! Table columns: what `kubectl get` prints.

use super::json_path::JsonPath;
use crate::world;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// One column and where its cells come from.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) types: String,
    pub(crate) format: String,
    pub(crate) description: String,
    /// Zero is always shown; more only with `-o wide`.
    pub(crate) priority: i64,
    pub(crate) cell: Cell,
}

/// Where a cell comes from.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    /// A JSON pointer; an absent value is shown as an empty cell.
    Pointer(&'static str),
    /// The number of entries at a JSON pointer.
    Count(&'static str),
    /// How long ago the time at a JSON pointer was.
    Age(&'static str),
    Computed(fn(&Value) -> Value),
    /// A column of a CustomResourceDefinition; dates are shown as ages.
    Path(JsonPath),
}

impl Column {
    pub(crate) fn new(name: &str, types: &str, cell: Cell) -> Self {
        let format = if name == "Name" { "name" } else { "" };
        Self {
            name: name.into(),
            types: types.into(),
            format: format.into(),
            description: String::new(),
            priority: 0,
            cell,
        }
    }

    pub(crate) fn wide(mut self) -> Self {
        self.priority = 1;
        self
    }

    pub(crate) fn definition(&self) -> Value {
        json!({
            "name": self.name, "type": self.types, "format": self.format,
            "description": self.description, "priority": self.priority,
        })
    }

    pub(crate) fn cell(&self, object: &Value) -> Value {
        match &self.cell {
            Cell::Pointer(pointer) => object.pointer(pointer).cloned().unwrap_or_else(|| "".into()),
            Cell::Count(pointer) => {
                let entries = object.pointer(pointer);
                entries
                    .map_or(0, |value| {
                        value
                            .as_array()
                            .map_or_else(|| value.as_object().map_or(0, serde_json::Map::len), Vec::len)
                    })
                    .into()
            }
            Cell::Age(pointer) => age(object.pointer(pointer).unwrap_or(&Value::Null)).into(),
            Cell::Computed(compute) => compute(object),
            Cell::Path(path) => match (path.first(object), self.types.as_str()) {
                (Some(value), "date") => age(value).into(),
                (Some(Value::Array(_) | Value::Object(_)), "string") => path
                    .first(object)
                    .map_or(Value::Null, |value| value.to_string().into()),
                (Some(value), "string") => value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
                    .into(),
                (value, _) => value.cloned().unwrap_or(Value::Null),
            },
        }
    }
}

/// How long ago `time` was, as kubectl writes durations: two units while they tell something.
pub(crate) fn age(time: &Value) -> String {
    let Some(then) = time.as_str().and_then(|text| text.parse::<Timestamp>().ok()) else {
        return "<unknown>".into();
    };
    human(world::wall().duration_since(then).as_secs())
}

fn human(seconds: i64) -> String {
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{big_unit}"),
        small => format!("{big}{big_unit}{small}{small_unit}"),
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        ..0 => {
            if seconds >= -1 {
                "0s".into()
            } else {
                "<invalid>".into()
            }
        }
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectl_writes_them() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (125, "2m5s"),
            (600, "10m"),
            (10_800, "3h"),
            (12_000, "3h20m"),
            (90_000, "25h"),
            (200_000, "2d7h"),
            (864_000, "10d"),
        ] {
            assert_eq!(human(seconds), text);
        }
    }
}
