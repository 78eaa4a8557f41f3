//! Two results as bags of rows.

use serde_json::Value;
use std::collections::BTreeMap;

/// A value so that equal values are equal texts: floats rounded.
fn normal(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => format!("{:.9e}", number.as_f64().unwrap_or(f64::NAN)),
        Value::Array(items) => format!("[{}]", items.iter().map(normal).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// JSON with its objects as arrays of their values, in the order in which they stand in the text.
pub fn without_names(json: &str) -> String {
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

fn row(line: &str) -> Option<String> {
    Some(normal(&serde_json::from_str(&without_names(line)).ok()?))
}

fn bag(text: &str) -> BTreeMap<String, i64> {
    let mut bag = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        *bag.entry(row(line).unwrap_or_else(|| line.to_owned())).or_default() += 1;
    }
    bag
}

/// Rows that only one has: those of `theirs` with a minus, those of `ours` with a plus before them.
pub fn differences(theirs: &str, ours: &str) -> Vec<String> {
    let mut counts = bag(ours);
    for (row, count) in bag(theirs) {
        *counts.entry(row).or_default() -= count;
    }
    let sign = |count: i64| if count < 0 { '-' } else { '+' };
    counts
        .into_iter()
        .flat_map(|(row, count)| (0..count.abs()).map(move |_| format!("{} {row}", sign(count))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::differences;

    #[test]
    fn order_names_and_the_last_digits_do_not_matter() {
        let theirs = "[1,\"b\",0.30000000000000004]\n[2,null,[1,2]]\n";
        let ours = "{\"z\":2,\"a\":null,\"r\":{\"y\":1,\"x\":2}}\n{\"z\":1,\"a\":\"b\",\"r\":0.3}\n";
        assert!(differences(theirs, ours).is_empty());
    }

    #[test]
    fn how_often_a_row_is_there_matters() {
        assert_eq!(differences("[1]\n[1]\n[2]\n", "{\"a\":1}\n{\"a\":3}\n"), ["- [1]", "- [2]", "+ [3]"]);
    }
}
