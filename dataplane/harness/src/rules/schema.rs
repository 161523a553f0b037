//! JSON Schema (draft 2020-12), as far as schemars writes it.

use serde_json::{Map, Value};

const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];

/// What is wrong with a schema in itself: unknown types, references that lead nowhere, shapes that are not
/// schemas.
pub(super) fn errors_in(schema: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    walk(schema, schema, "#", &mut errors);
    errors
}

fn walk(root: &Value, schema: &Value, at: &str, errors: &mut Vec<String>) {
    let members = match schema {
        Value::Bool(_) => return,
        Value::Object(members) => members,
        _ => return errors.push(format!("{at} is neither an object nor a boolean")),
    };
    for kind in types(members) {
        if !TYPES.contains(&kind) {
            errors.push(format!("{at}/type is '{kind}'"));
        }
    }
    if let Some(reference) = members.get("$ref").and_then(Value::as_str)
        && resolve(root, reference).is_none()
    {
        errors.push(format!("{at}/$ref leads nowhere: {reference}"));
    }
    for name in ["properties", "$defs", "patternProperties"] {
        for (key, inner) in members.get(name).and_then(Value::as_object).into_iter().flatten() {
            walk(root, inner, &format!("{at}/{name}/{key}"), errors);
        }
    }
    for name in ["items", "additionalProperties", "not"] {
        if let Some(inner) = members.get(name) {
            walk(root, inner, &format!("{at}/{name}"), errors);
        }
    }
    for name in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        for (i, inner) in members.get(name).and_then(Value::as_array).into_iter().flatten().enumerate() {
            walk(root, inner, &format!("{at}/{name}/{i}"), errors);
        }
    }
    let properties = members.get("properties").and_then(Value::as_object);
    for key in members.get("required").and_then(Value::as_array).into_iter().flatten() {
        let known = key.as_str().is_some_and(|key| properties.is_some_and(|all| all.contains_key(key)));
        if !known && properties.is_some() {
            errors.push(format!("{at}/required names {key}, which is no property"));
        }
    }
}

/// Why a schema does not accept a value; empty when it does.
pub(super) fn refusals(schema: &Value, value: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    accept(schema, schema, value, "config", &mut errors);
    errors
}

fn accept(root: &Value, schema: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
    let members = match schema {
        Value::Object(members) => members,
        Value::Bool(false) => return errors.push(format!("{at} is not allowed")),
        _ => return,
    };
    let before = errors.len();
    if let Some(inner) = members.get("$ref").and_then(Value::as_str).and_then(|path| resolve(root, path)) {
        accept(root, inner, value, at, errors);
    }
    let kinds: Vec<&str> = types(members).collect();
    if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind, value)) {
        errors.push(format!("{at} is not of type {}", kinds.join(" or ")));
    }
    if let Some(choices) = members.get("enum").and_then(Value::as_array)
        && !choices.contains(value)
    {
        errors.push(format!("{at} is none of the listed values"));
    }
    if members.get("const").is_some_and(|only| only != value) {
        errors.push(format!("{at} is not the only value allowed"));
    }
    bounds(members, value, at, errors);
    alternatives(root, members, value, at, errors);
    if errors.len() > before {
        return;
    }
    match value {
        Value::Object(object) => accept_members(root, members, object, at, errors),
        Value::Array(items) => {
            let first = members.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            for (i, item) in items.iter().enumerate() {
                if let Some(inner) = first.get(i).or(members.get("items")) {
                    accept(root, inner, item, &format!("{at}[{i}]"), errors);
                }
            }
        }
        _ => {}
    }
}

fn bounds(members: &Map<String, Value>, value: &Value, at: &str, errors: &mut Vec<String>) {
    let limit = |name: &str| members.get(name).and_then(Value::as_f64);
    let Some(number) = value.as_f64() else { return };
    if limit("minimum").is_some_and(|least| number < least) {
        errors.push(format!("{at} is below its minimum"));
    }
    if limit("maximum").is_some_and(|most| number > most) {
        errors.push(format!("{at} is above its maximum"));
    }
}

fn alternatives(
    root: &Value,
    members: &Map<String, Value>,
    value: &Value,
    at: &str,
    errors: &mut Vec<String>,
) {
    let fits = |inner: &&Value| {
        let mut refused = Vec::new();
        accept(root, inner, value, at, &mut refused);
        refused.is_empty()
    };
    let count = |name: &str| {
        let all = members.get(name)?.as_array()?;
        Some((all.iter().filter(fits).count(), all.len()))
    };
    if let Some((fitting, all)) = count("allOf")
        && fitting < all
    {
        errors.push(format!("{at} does not fit all of {all} schemas"));
    }
    if count("anyOf").is_some_and(|(fitting, _)| fitting == 0) {
        errors.push(format!("{at} fits none of its alternatives"));
    }
    if let Some((fitting, _)) = count("oneOf")
        && fitting != 1
    {
        errors.push(format!("{at} fits {fitting} of its alternatives instead of one"));
    }
}

fn accept_members(
    root: &Value,
    schema: &Map<String, Value>,
    object: &Map<String, Value>,
    at: &str,
    errors: &mut Vec<String>,
) {
    let properties = schema.get("properties").and_then(Value::as_object);
    for key in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if key.as_str().is_some_and(|key| !object.contains_key(key)) {
            errors.push(format!("{at} lacks {key}"));
        }
    }
    for (key, value) in object {
        let inner = properties.and_then(|all| all.get(key)).or(schema.get("additionalProperties"));
        if let Some(inner) = inner {
            accept(root, inner, value, &format!("{at}.{key}"), errors);
        }
    }
}

/// `type` is one name or a list of them.
fn types(members: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let kind = members.get("type");
    let one = kind.and_then(Value::as_str);
    let several = kind.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    one.into_iter().chain(several)
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => value.is_number(),
    }
}

/// A reference within the same document, `#/…`.
fn resolve<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(reference.strip_prefix('#')?)
}
