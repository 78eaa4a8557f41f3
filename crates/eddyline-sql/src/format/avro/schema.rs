//! Schemas of Avro: those that files carry, and the one that a table has.

use crate::format::FormatColumn;
use crate::parser::span::{SqlError, SqlResult};
use crate::types::{SqlType, TypeKind};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

/// The most types in a schema, and the deepest nesting of its text.
const TYPES_MAX: usize = 10_000;
const DEPTH_MAX: usize = 100;

/// What the numbers of a type count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Logical {
    /// The scale.
    Decimal(u8),
    /// Units per second; whether it is a time of day.
    Units(i64, bool),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Enum(Vec<String>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<(String, usize)>),
}

impl Shape {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Shape::Null => "null",
            Shape::Boolean => "boolean",
            Shape::Int => "int",
            Shape::Long => "long",
            Shape::Float => "float",
            Shape::Double => "double",
            Shape::Bytes => "bytes",
            Shape::Text => "string",
            Shape::Fixed(_) => "fixed",
            Shape::Enum(_) => "enum",
            Shape::Array(_) => "array",
            Shape::Map(_) => "map",
            Shape::Union(_) => "union",
            Shape::Record(_) => "record",
        }
    }
}

/// A type of a schema. Others are meant by their number, so that records may hold themselves.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AvroType {
    pub(super) shape: Shape,
    pub(super) logical: Option<Logical>,
}

/// The types of a schema; the first is the whole.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub(super) types: Vec<AvroType>,
    named: BTreeMap<String, usize>,
}

impl Schema {
    /// Reads the text of a schema.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let json: Json =
            serde_json::from_str(text).map_err(|error| format!("its schema is no JSON: {error}"))?;
        let mut schema = Schema::default();
        schema.add(&json, "", 0)?;
        Ok(schema)
    }

    fn add(&mut self, json: &Json, namespace: &str, depth: usize) -> Result<usize, String> {
        if depth > DEPTH_MAX || self.types.len() >= TYPES_MAX {
            return Err(format!("its schema has more than {DEPTH_MAX} levels or {TYPES_MAX} types"));
        }
        let name = match json {
            Json::String(name) => name.as_str(),
            Json::Array(branches) => {
                let place = self.reserve();
                let branches = branches.iter().map(|branch| self.add(branch, namespace, depth + 1));
                self.types[place].shape = Shape::Union(branches.collect::<Result<_, _>>()?);
                return Ok(place);
            }
            Json::Object(object) => match object.get("type") {
                Some(Json::String(name)) => name.as_str(),
                Some(inner) => return self.add(inner, namespace, depth + 1),
                None => return Err("its schema has an object without a type".into()),
            },
            _ => return Err("its schema is none".into()),
        };
        let simple = match name {
            "null" => Shape::Null,
            "boolean" => Shape::Boolean,
            "int" => Shape::Int,
            "long" => Shape::Long,
            "float" => Shape::Float,
            "double" => Shape::Double,
            "bytes" => Shape::Bytes,
            "string" => Shape::Text,
            "record" | "error" | "enum" | "fixed" | "array" | "map" if json.is_object() => {
                return self.add_complex(name, json, namespace, depth);
            }
            _ => {
                let known = self.named.get(&full_name(name, namespace)).or_else(|| self.named.get(name));
                return known.copied().ok_or_else(|| format!("its schema does not say what `{name}` is"));
            }
        };
        let place = self.reserve();
        let logical = logical_of(json);
        self.types[place] = AvroType { shape: simple, logical };
        Ok(place)
    }

    fn reserve(&mut self) -> usize {
        self.types.push(AvroType { shape: Shape::Null, logical: None });
        self.types.len() - 1
    }

    fn add_complex(
        &mut self,
        kind: &str,
        json: &Json,
        namespace: &str,
        depth: usize,
    ) -> Result<usize, String> {
        let place = self.reserve();
        let text = |key: &str| json.get(key).and_then(Json::as_str);
        let missing = |key: &str| format!("its schema has a type `{kind}` without `{key}`");
        let list = |key: &str| json.get(key).and_then(Json::as_array).ok_or_else(|| missing(key));
        let mut inner_namespace = namespace.to_owned();
        if matches!(kind, "record" | "error" | "enum" | "fixed") {
            let name = text("name").ok_or_else(|| missing("name"))?;
            let full = full_name(name, text("namespace").unwrap_or(namespace));
            inner_namespace = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
            self.named.insert(full, place);
        }
        let shape = match kind {
            "enum" => {
                let symbols = list("symbols")?.iter().filter_map(Json::as_str);
                Shape::Enum(symbols.map(str::to_owned).collect())
            }
            "fixed" => {
                let size =
                    json.get("size").and_then(Json::as_u64).and_then(|size| usize::try_from(size).ok());
                Shape::Fixed(size.ok_or_else(|| missing("size"))?)
            }
            "array" => {
                let items = json.get("items").ok_or_else(|| missing("items"))?;
                Shape::Array(self.add(items, &inner_namespace, depth + 1)?)
            }
            "map" => {
                let values = json.get("values").ok_or_else(|| missing("values"))?;
                Shape::Map(self.add(values, &inner_namespace, depth + 1)?)
            }
            _ => {
                let mut fields = Vec::new();
                for field in list("fields")? {
                    let name = field.get("name").and_then(Json::as_str).ok_or_else(|| missing("name"))?;
                    let data_type = field.get("type").ok_or_else(|| missing("type"))?;
                    fields.push((name.to_owned(), self.add(data_type, &inner_namespace, depth + 1)?));
                }
                Shape::Record(fields)
            }
        };
        self.types[place] = AvroType { shape, logical: logical_of(json) };
        Ok(place)
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn logical_of(json: &Json) -> Option<Logical> {
    Some(match json.get("logicalType")?.as_str()? {
        "decimal" => Logical::Decimal(json.get("scale").and_then(Json::as_u64).unwrap_or(0).try_into().ok()?),
        "time-millis" => Logical::Units(1_000, true),
        "time-micros" => Logical::Units(1_000_000, true),
        "timestamp-millis" | "local-timestamp-millis" => Logical::Units(1_000, false),
        "timestamp-micros" | "local-timestamp-micros" => Logical::Units(1_000_000, false),
        "timestamp-nanos" | "local-timestamp-nanos" => Logical::Units(1_000_000_000, false),
        _ => return None,
    })
}

/// The schema of a table's records, as Flink derives it.
pub(super) fn schema_of(columns: &[FormatColumn], legacy: bool) -> SqlResult<Json> {
    let fields = columns.iter().map(|column| (column.name.as_str(), &column.data_type));
    let mut record = record_of(fields.collect::<Vec<_>>().as_slice(), "record", legacy)?;
    record["namespace"] = json!("org.apache.flink.avro.generated");
    Ok(record)
}

fn record_of(fields: &[(&str, &SqlType)], name: &str, legacy: bool) -> SqlResult<Json> {
    let mut members = Vec::new();
    for (field, data_type) in fields {
        let mut member = json!({
            "name": field,
            "type": type_of(data_type, &format!("{name}_{field}"), legacy).map_err(|reason| {
                SqlError::new(format!("column `{field}`: {}", reason.message)).hint(
                    reason.hint.unwrap_or_else(|| "cast it to another type".to_owned())
                )
            })?,
        });
        if data_type.nullable {
            member["default"] = Json::Null;
        }
        members.push(member);
    }
    Ok(json!({ "type": "record", "name": name, "fields": members }))
}

fn type_of(data_type: &SqlType, name: &str, legacy: bool) -> SqlResult<Json> {
    let no_type = || SqlError::new(format!("Avro has no type for {}", data_type.kind));
    let logical = |base: &str, logical: &str| json!({ "type": base, "logicalType": logical });
    let with_units = |legacy: bool, prefix: &str, digits: u8| match digits {
        0..=3 => Ok(logical("long", &format!("{prefix}timestamp-millis"))),
        4..=6 if !legacy => Ok(logical("long", &format!("{prefix}timestamp-micros"))),
        _ if legacy => {
            Err(no_type().hint("set 'avro.timestamp_mapping.legacy' = 'false', or use TIMESTAMP(3)"))
        }
        _ => Err(no_type().hint("use a precision of 6 or less")),
    };
    let made = match &data_type.kind {
        TypeKind::Boolean => json!("boolean"),
        TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::Int => json!("int"),
        TypeKind::BigInt => json!("long"),
        TypeKind::Float => json!("float"),
        TypeKind::Double => json!("double"),
        TypeKind::Char(_) | TypeKind::VarChar(_) => json!("string"),
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => json!("bytes"),
        TypeKind::Decimal(precision, scale) => {
            json!({ "type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale })
        }
        TypeKind::Date => logical("int", "date"),
        TypeKind::Time(0..=3) => logical("int", "time-millis"),
        TypeKind::Timestamp(digits) => with_units(legacy, if legacy { "" } else { "local-" }, *digits)?,
        TypeKind::TimestampLtz(digits) if !legacy => with_units(false, "", *digits)?,
        TypeKind::TimestampLtz(_) => {
            return Err(no_type().hint("set 'avro.timestamp_mapping.legacy' = 'false'"));
        }
        TypeKind::Array(item) => json!({ "type": "array", "items": type_of(item, name, legacy)? }),
        TypeKind::Map(key, value) if key.kind.is_text() => {
            json!({ "type": "map", "values": type_of(value, name, legacy)? })
        }
        TypeKind::Multiset(item) if item.kind.is_text() => json!({ "type": "map", "values": "int" }),
        TypeKind::Map(..) | TypeKind::Multiset(_) => {
            return Err(no_type().hint("the keys of Avro's maps are texts"));
        }
        TypeKind::Row(fields) => {
            let fields: Vec<_> = fields.iter().map(|field| (field.name.as_str(), &field.data_type)).collect();
            record_of(&fields, name, legacy)?
        }
        _ => return Err(no_type()),
    };
    Ok(if data_type.nullable { json!(["null", made]) } else { made })
}
