//! What is never shown.

use serde_json::Value;

/// Parts of keys whose values nobody else shall see.
const SECRET: [&str; 11] =
    ["auth", "credential", "dsn", "key", "pass", "pwd", "secret", "token", "uri", "url", "user"];

/// Whether a value of this key may be shown in an error.
pub(super) fn may_be_shown(key: &str, value: &Value) -> bool {
    let last = key.rsplit('.').next().unwrap_or_default().to_lowercase();
    let is_plain = match value {
        // An address may have a password in it, whatever the key.
        Value::String(text) => !text.contains("://") && !text.contains('@'),
        Value::Array(_) | Value::Object(_) => false,
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    };
    is_plain && !SECRET.iter().any(|part| last.contains(part))
}

/// A message without these values: somebody else may have written them into it.
pub(super) fn without<'a>(message: String, hidden: impl Iterator<Item = &'a Value>) -> String {
    let mut hidden: Vec<_> = hidden.flat_map(texts).filter(|text| !text.is_empty()).collect();
    // A password may be a part of an address.
    hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
    hidden.iter().fold(message, |message, text| message.replace(text.as_str(), "***"))
}

/// All texts in a value.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Number(number) => vec![number.to_string()],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(map) => map.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) => Vec::new(),
    }
}
