//! What tests over the corpus share.

use serde_json::Value;

/// The tables of `script`: those that its first line names, or the usual ones.
pub fn tables_of(script: &str) -> &'static str {
    match script.lines().next().and_then(|line| line.strip_prefix("-- tables: ")) {
        None => include_str!("../flink/tables.sql"),
        Some("cases") => include_str!("../flink/cases.sql"),
        Some("shop") => include_str!("../flink/shop.sql"),
        Some("tpch") => include_str!("../flink/tpch.sql"),
        Some(other) => panic!("there are no tables `{other}`"),
    }
}

/// A value so that equal values are equal texts: floats rounded.
fn normal(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => format!("{:.9e}", number.as_f64().unwrap_or(f64::NAN)),
        Value::Array(items) => format!("[{}]", items.iter().map(normal).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// JSON with its objects as arrays of their values, in the order in which they stand in the text.
fn without_names(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(letter) = rest.chars().next() {
        let mut length = letter.len_utf8();
        match letter {
            '{' => text.push('['),
            '}' => text.push(']'),
            '"' => {
                let mut escaped = false;
                let end = rest[1..].find(|letter| {
                    let ends = letter == '"' && !escaped;
                    escaped = letter == '\\' && !escaped;
                    ends
                });
                length = end.map_or(rest.len(), |end| end + 2);
                if rest[length..].starts_with(':') {
                    length += 1;
                } else {
                    text.push_str(&rest[..length]);
                }
            }
            other => text.push(other),
        }
        rest = &rest[length..];
    }
    text
}

/// The values of a row in the order in which they stand, whatever their names.
pub fn values_of(line: &str) -> String {
    normal(&serde_json::from_str(&without_names(line)).expect("a row"))
}
