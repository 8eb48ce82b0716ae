//! Protobuf bodies: what newer `kubectl create` and `kubectl auth` send, and client-go's leader election, and nothing they do not.
//!
//! Messages are described by small tables. A field that no table knows is refused unless it is empty: an object that
//! silently lost a field is worse than an answer that says "use JSON".

use crate::failure::Failure;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value};

const MAGIC: &[u8] = b"k8s\0";
/// How deep messages may be nested: more than any described one is.
const MAX_DEPTH: usize = 16;

/// What a field holds.
#[derive(Clone, Copy)]
enum Type {
    Text,
    Number,
    Flag,
    /// A map from text to text.
    Map,
    Time,
    /// The same in microseconds.
    MicroTime,
    /// A message around a text that is JSON itself.
    Json,
    Message(&'static Message),
    Texts,
    Messages(&'static Message),
}

/// Fields by number: the number, the JSON name, the type.
struct Message(&'static [(u64, &'static str, Type)]);

use Type::{Flag, Json, Map as TextMap, Message as Inner, Messages, MicroTime, Number, Text, Texts, Time};

static OWNER: Message = Message(&[
    (1, "kind", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "controller", Flag),
    (7, "blockOwnerDeletion", Flag),
]);
static META: Message = Message(&[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (5, "uid", Text),
    (6, "resourceVersion", Text),
    (7, "generation", Number),
    (8, "creationTimestamp", Time),
    (11, "labels", TextMap),
    (12, "annotations", TextMap),
    (13, "ownerReferences", Messages(&OWNER)),
    (14, "finalizers", Texts),
    (17, "managedFields", Messages(&MANAGED)),
]);
static MANAGED: Message = Message(&[
    (1, "manager", Text),
    (2, "operation", Text),
    (3, "apiVersion", Text),
    (4, "time", Time),
    (6, "fieldsType", Text),
    (7, "fieldsV1", Json),
    (8, "subresource", Text),
]);
static LEASE_SPEC: Message = Message(&[
    (1, "holderIdentity", Text),
    (2, "leaseDurationSeconds", Number),
    (3, "acquireTime", MicroTime),
    (4, "renewTime", MicroTime),
    (5, "leaseTransitions", Number),
    (6, "strategy", Text),
    (7, "preferredHolder", Text),
]);
static LEASE: Message = Message(&[(1, "metadata", Inner(&META)), (2, "spec", Inner(&LEASE_SPEC))]);
static NAMESPACE_SPEC: Message = Message(&[(1, "finalizers", Texts)]);
static NAMESPACE_STATUS: Message = Message(&[(1, "phase", Text)]);
static NAMESPACE: Message = Message(&[
    (1, "metadata", Inner(&META)),
    (2, "spec", Inner(&NAMESPACE_SPEC)),
    (3, "status", Inner(&NAMESPACE_STATUS)),
]);
static LOCAL_REFERENCE: Message = Message(&[(1, "name", Text)]);
static SERVICE_ACCOUNT: Message = Message(&[
    (1, "metadata", Inner(&META)),
    (3, "imagePullSecrets", Messages(&LOCAL_REFERENCE)),
    (4, "automountServiceAccountToken", Flag),
]);
static CONFIG_MAP: Message = Message(&[
    (1, "metadata", Inner(&META)),
    (2, "data", TextMap),
    (4, "immutable", Flag),
]);
static RULE: Message = Message(&[
    (1, "verbs", Texts),
    (2, "apiGroups", Texts),
    (3, "resources", Texts),
    (4, "resourceNames", Texts),
    (5, "nonResourceURLs", Texts),
]);
static ROLE: Message = Message(&[(1, "metadata", Inner(&META)), (2, "rules", Messages(&RULE))]);
static SUBJECT: Message = Message(&[
    (1, "kind", Text),
    (2, "apiGroup", Text),
    (3, "name", Text),
    (4, "namespace", Text),
]);
static ROLE_REF: Message = Message(&[(1, "apiGroup", Text), (2, "kind", Text), (3, "name", Text)]);
static BINDING: Message = Message(&[
    (1, "metadata", Inner(&META)),
    (2, "subjects", Messages(&SUBJECT)),
    (3, "roleRef", Inner(&ROLE_REF)),
]);
static PORT: Message = Message(&[
    (1, "name", Text),
    (3, "containerPort", Number),
    (4, "protocol", Text),
]);
static CONTAINER: Message = Message(&[
    (1, "name", Text),
    (2, "image", Text),
    (3, "command", Texts),
    (4, "args", Texts),
    (5, "workingDir", Text),
    (6, "ports", Messages(&PORT)),
]);
static POD_SPEC: Message = Message(&[
    (2, "containers", Messages(&CONTAINER)),
    (3, "restartPolicy", Text),
]);
static TEMPLATE: Message = Message(&[(1, "metadata", Inner(&META)), (2, "spec", Inner(&POD_SPEC))]);
static SELECTOR: Message = Message(&[(1, "matchLabels", TextMap)]);
static STRATEGY: Message = Message(&[(1, "type", Text)]);
static DEPLOYMENT_SPEC: Message = Message(&[
    (1, "replicas", Number),
    (2, "selector", Inner(&SELECTOR)),
    (3, "template", Inner(&TEMPLATE)),
    (4, "strategy", Inner(&STRATEGY)),
]);
static DEPLOYMENT_STATUS: Message = Message(&[
    (1, "observedGeneration", Number),
    (2, "replicas", Number),
    (3, "updatedReplicas", Number),
    (4, "availableReplicas", Number),
    (5, "unavailableReplicas", Number),
    (7, "readyReplicas", Number),
]);
static DEPLOYMENT: Message = Message(&[
    (1, "metadata", Inner(&META)),
    (2, "spec", Inner(&DEPLOYMENT_SPEC)),
    (3, "status", Inner(&DEPLOYMENT_STATUS)),
]);
static RESOURCE: Message = Message(&[
    (1, "namespace", Text),
    (2, "verb", Text),
    (3, "group", Text),
    (4, "version", Text),
    (5, "resource", Text),
    (6, "subresource", Text),
    (7, "name", Text),
]);
static URL: Message = Message(&[(1, "path", Text), (2, "verb", Text)]);
static ACCESS_SPEC: Message = Message(&[
    (1, "resourceAttributes", Inner(&RESOURCE)),
    (2, "nonResourceAttributes", Inner(&URL)),
]);
static ACCESS_STATUS: Message = Message(&[
    (1, "allowed", Flag),
    (2, "reason", Text),
    (3, "evaluationError", Text),
    (4, "denied", Flag),
]);
static ACCESS_REVIEW: Message = Message(&[
    (1, "metadata", Inner(&META)),
    (2, "spec", Inner(&ACCESS_SPEC)),
    (3, "status", Inner(&ACCESS_STATUS)),
]);
static RULES_SPEC: Message = Message(&[(1, "namespace", Text)]);
static RULES_STATUS: Message = Message(&[(3, "incomplete", Flag), (4, "evaluationError", Text)]);
static RULES_REVIEW: Message = Message(&[
    (1, "metadata", Inner(&META)),
    (2, "spec", Inner(&RULES_SPEC)),
    (3, "status", Inner(&RULES_STATUS)),
]);
static USER: Message = Message(&[(1, "username", Text), (2, "uid", Text), (3, "groups", Texts)]);
static SELF_STATUS: Message = Message(&[(1, "userInfo", Inner(&USER))]);
static SELF_REVIEW: Message = Message(&[(1, "metadata", Inner(&META)), (2, "status", Inner(&SELF_STATUS))]);
static TYPE: Message = Message(&[(1, "apiVersion", Text), (2, "kind", Text)]);

fn described(kind: &str) -> Option<&'static Message> {
    Some(match kind {
        "Namespace" => &NAMESPACE,
        "ServiceAccount" => &SERVICE_ACCOUNT,
        "ConfigMap" => &CONFIG_MAP,
        "Role" | "ClusterRole" => &ROLE,
        "RoleBinding" | "ClusterRoleBinding" => &BINDING,
        "Deployment" => &DEPLOYMENT,
        "Lease" => &LEASE,
        "SelfSubjectAccessReview" => &ACCESS_REVIEW,
        "SelfSubjectRulesReview" => &RULES_REVIEW,
        "SelfSubjectReview" => &SELF_REVIEW,
        _ => return None,
    })
}

/// Why a body cannot be read.
enum Trouble {
    Malformed,
    /// Something that no table describes.
    Unknown(String),
}

/// Reads `k8s\0` and a `runtime.Unknown` into the JSON form of what is in it.
pub(crate) fn parse(body: &[u8], readable: &str) -> Result<Value, Failure> {
    read(body).map_err(|trouble| match trouble {
        Trouble::Malformed => {
            Failure::bad_request("the object provided is unrecognized: it is no protobuf object")
        }
        Trouble::Unknown(what) => {
            tracing::debug!(
                what,
                "a protobuf body holds what this server does not decode; JSON would do"
            );
            Failure::unsupported_media_type(readable)
        }
    })
}

fn read(body: &[u8]) -> Result<Value, Trouble> {
    let mut rest = body.strip_prefix(MAGIC).ok_or(Trouble::Malformed)?;
    let (mut envelope, mut raw) = (Map::new(), &[][..]);
    while let Some((number, content)) = field(&mut rest)? {
        match (number, content) {
            (1, Content::Bytes(bytes)) => envelope = message(&TYPE, bytes, 0)?,
            (2, Content::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let kind = envelope.get("kind").and_then(Value::as_str).unwrap_or_default();
    let described = described(kind).ok_or_else(|| Trouble::Unknown(format!("kind {kind}")))?;
    let mut object = message(described, raw, 0)?;
    object.append(&mut envelope);
    Ok(Value::Object(object))
}

enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The next field of a message.
fn field<'a>(rest: &mut &'a [u8]) -> Result<Option<(u64, Content<'a>)>, Trouble> {
    if rest.is_empty() {
        return Ok(None);
    }
    let tag = varint(rest)?;
    let content = match tag & 7 {
        0 => Content::Number(varint(rest)?),
        2 => {
            let length = usize::try_from(varint(rest)?).map_err(|_| Trouble::Malformed)?;
            let (bytes, after) = rest.split_at_checked(length).ok_or(Trouble::Malformed)?;
            *rest = after;
            Content::Bytes(bytes)
        }
        _ => return Err(Trouble::Malformed),
    };
    Ok(Some((tag >> 3, content)))
}

fn varint(rest: &mut &[u8]) -> Result<u64, Trouble> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(Trouble::Malformed)?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Trouble::Malformed)
}

fn message(described: &Message, bytes: &[u8], depth: usize) -> Result<Map<String, Value>, Trouble> {
    if depth > MAX_DEPTH {
        return Err(Trouble::Malformed);
    }
    let mut object = Map::new();
    let mut rest = bytes;
    while let Some((number, content)) = field(&mut rest)? {
        // Go writes every field that is no pointer, empty or not.
        let empty = matches!(content, Content::Number(0) | Content::Bytes([]));
        match described.0.iter().find(|(known, _, _)| *known == number) {
            Some((_, name, types)) => put(&mut object, name, *types, content, depth)?,
            None if empty => {}
            None => return Err(Trouble::Unknown(format!("field number {number}"))),
        }
    }
    Ok(object)
}

fn put(
    object: &mut Map<String, Value>,
    name: &str,
    types: Type,
    content: Content<'_>,
    depth: usize,
) -> Result<(), Trouble> {
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec())
            .map(Value::from)
            .map_err(|_| Trouble::Malformed)
    };
    let value = match (types, content) {
        (Text, Content::Bytes([])) => return Ok(()),
        // Go leaves out what is zero here; elsewhere zero means zero.
        (Number, Content::Number(0)) if name == "generation" => return Ok(()),
        (Text | Texts, Content::Bytes(bytes)) => text(bytes)?,
        // Two's complement, as protobuf writes negative numbers.
        (Number, Content::Number(number)) => number.cast_signed().into(),
        (Flag, Content::Number(number)) => (number != 0).into(),
        (Inner(inner) | Messages(inner), Content::Bytes(bytes)) => {
            Value::Object(message(inner, bytes, depth + 1)?)
        }
        (Time | MicroTime, Content::Bytes([])) => return Ok(()),
        (Time, Content::Bytes(bytes)) => crate::world::seconds(time(bytes)?).into(),
        (MicroTime, Content::Bytes(bytes)) => crate::world::micros(time(bytes)?).into(),
        (Json, Content::Bytes(bytes)) => json(bytes)?,
        (TextMap, Content::Bytes(bytes)) => {
            let entry = message(&ENTRY, bytes, depth + 1)?;
            let part = |key: &str| {
                entry
                    .get(key)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            let map = object.entry(name).or_insert_with(|| Value::Object(Map::new()));
            map[part("key")] = part("value").into();
            return Ok(());
        }
        _ => return Err(Trouble::Malformed),
    };
    if matches!(types, Texts | Messages(_)) {
        let list = object.entry(name).or_insert_with(|| Value::Array(Vec::new()));
        list.as_array_mut()
            .into_iter()
            .for_each(|list| list.push(value.clone()));
    } else {
        object.insert(name.to_owned(), value);
    }
    Ok(())
}

static ENTRY: Message = Message(&[(1, "key", Text), (2, "value", Text)]);
static SECONDS: Message = Message(&[(1, "seconds", Number), (2, "nanos", Number)]);

fn time(bytes: &[u8]) -> Result<Timestamp, Trouble> {
    let parts = message(&SECONDS, bytes, 0)?;
    let part = |name: &str| parts.get(name).and_then(Value::as_i64).unwrap_or_default();
    let nanos = i32::try_from(part("nanos")).map_err(|_| Trouble::Malformed)?;
    Timestamp::new(part("seconds"), nanos).map_err(|_| Trouble::Malformed)
}

fn json(bytes: &[u8]) -> Result<Value, Trouble> {
    let mut rest = bytes;
    match field(&mut rest)? {
        Some((1, Content::Bytes(text))) => serde_json::from_slice(text).map_err(|_| Trouble::Malformed),
        _ => Err(Trouble::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A length-delimited field.
    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn body(kind: &str, object: &[u8]) -> Vec<u8> {
        let types = [bytes(1, b"v1"), bytes(2, kind.as_bytes())].concat();
        [
            MAGIC.to_vec(),
            bytes(1, &types),
            bytes(2, object),
            bytes(3, b""),
            bytes(4, b""),
        ]
        .concat()
    }

    #[test]
    fn a_namespace_is_read_and_empty_fields_are_not_there() {
        let label = [bytes(1, b"a"), bytes(2, b"b")].concat();
        let metadata = [
            bytes(1, b"work"),
            bytes(2, b""),
            bytes(8, b""),
            bytes(11, &label),
            vec![56, 0],
        ]
        .concat();
        let namespace = [bytes(1, &metadata), bytes(2, b""), bytes(3, &bytes(1, b""))].concat();
        let expected = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "work", "labels": {"a": "b"}}, "spec": {}, "status": {},
        });
        assert_eq!(parse(&body("Namespace", &namespace), "").unwrap(), expected);
    }

    /// What client-go's leader election sends: a record, with the managed fields that it has read.
    #[test]
    fn a_lease_keeps_its_times_to_the_microsecond() {
        let managed = [bytes(1, b"peer"), bytes(7, &bytes(1, br#"{"f:spec":{}}"#))].concat();
        let metadata = [
            bytes(1, b"demo"),
            vec![0x8a, 0x01, u8::try_from(managed.len()).unwrap()],
            managed,
        ]
        .concat();
        // One second and 2,000 ns after the epoch.
        let time = [8, 1, 16, 0xd0, 0x0f];
        let spec = [bytes(1, b"alpha"), vec![16, 15], bytes(4, &time), vec![40, 0]].concat();
        let lease = [bytes(1, &metadata), bytes(2, &spec)].concat();
        let expected = json!({
            "apiVersion": "v1", "kind": "Lease",
            "metadata": {"name": "demo", "managedFields": [{"manager": "peer", "fieldsV1": {"f:spec": {}}}]},
            "spec": {
                "holderIdentity": "alpha", "leaseDurationSeconds": 15, "leaseTransitions": 0,
                "renewTime": "1970-01-01T00:00:01.000002Z",
            },
        });
        assert_eq!(parse(&body("Lease", &lease), "").unwrap(), expected);
    }

    #[test]
    fn what_is_not_described_is_refused_and_malformed_bytes_do_no_harm() {
        let unknown = bytes(9, b"something");
        assert_eq!(
            parse(&body("Namespace", &unknown), "").unwrap_err().code.as_u16(),
            415
        );
        assert_eq!(parse(&body("Pod", b""), "").unwrap_err().code.as_u16(), 415);
        let whole = body("Namespace", &bytes(1, &bytes(1, b"work")));
        for end in 0..whole.len() {
            let _ = parse(&whole[..end], "");
        }
        assert_eq!(
            parse(b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "")
                .unwrap_err()
                .code
                .as_u16(),
            400
        );
    }
}
