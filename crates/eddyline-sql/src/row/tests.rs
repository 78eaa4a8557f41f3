//! Rows go through columns, bytes and sort keys.

use super::{
    ColumnBuilder, ColumnView, SortOrder, Value, build_columns, columns_of_rows, encode_sort_key, row_bytes,
    views_of,
};
use crate::types::{RowField, SqlType, TypeKind};

fn types() -> Vec<SqlType> {
    let text = TypeKind::STRING.nullable();
    vec![
        TypeKind::Int.nullable(),
        text.clone(),
        TypeKind::Decimal(10, 2).nullable(),
        TypeKind::Array(Box::new(text.clone())).nullable(),
        TypeKind::Map(Box::new(text.clone()), Box::new(TypeKind::BigInt.nullable())).nullable(),
        TypeKind::Row(vec![RowField { name: "a".into(), data_type: TypeKind::Double.nullable() }]).nullable(),
        TypeKind::TimestampLtz(3).nullable(),
    ]
}

fn rows() -> Vec<Vec<Value>> {
    vec![
        vec![
            Value::Int(-7),
            Value::Text("ä".into()),
            Value::Decimal(-12_345),
            Value::List(vec![Value::Text("x".into()), Value::Null]),
            Value::Map(vec![(Value::Text("k".into()), Value::Int(1))]),
            Value::Row(vec![Value::Float(0.5)]),
            Value::Int(1_700_000_000_000_000),
        ],
        vec![Value::Null; 7],
    ]
}

#[test]
fn rows_go_through_columns_and_bytes() {
    let (types, rows) = (types(), rows());
    let columns = build_columns(&types, rows.iter().map(Vec::as_slice));
    let views = views_of(&columns);
    let bytes: Vec<Vec<u8>> = (0..2).map(|row| row_bytes(&views, row)).collect();
    let again = columns_of_rows(&types, bytes.iter().map(Vec::as_slice)).unwrap();
    assert_eq!(columns, again);
    for (row, expected) in rows.iter().enumerate() {
        assert_eq!(&super::decode_values(&types, &bytes[row]).unwrap(), expected);
        assert_eq!(&super::encode_values(expected), &bytes[row]);
        let values: Vec<Value> = again.iter().map(|column| ColumnView::new(column).value(row)).collect();
        assert_eq!(&values, expected);
    }
    assert!(columns_of_rows(&types, [&bytes[0][..9]]).is_err());
}

#[test]
fn sort_keys_order_as_values_do() {
    let texts = ["", "\0", "\0a", "a", "a\0", "ab", "b"];
    let mut values: Vec<Value> = texts.iter().map(|text| Value::Text((*text).into())).collect();
    values.insert(0, Value::Null);
    for descending in [false, true] {
        let order = SortOrder { column: 0, descending, nulls_first: !descending };
        let mut keys: Vec<Vec<u8>> = Vec::new();
        for value in &values {
            let mut key = Vec::new();
            encode_sort_key(value, order, &mut key);
            keys.push(key);
        }
        let sorted =
            keys.windows(2).all(|pair| if descending { pair[0] > pair[1] } else { pair[0] < pair[1] });
        assert!(sorted, "{descending}");
    }
    let floats = [f64::NEG_INFINITY, -1.5, 0.0, 1e-9, 2.0, f64::INFINITY];
    let order = SortOrder { column: 0, descending: false, nulls_first: true };
    let keys = floats.map(|value| {
        let mut key = Vec::new();
        encode_sort_key(&Value::Float(value), order, &mut key);
        key
    });
    assert!(keys.is_sorted());
}

#[test]
fn a_builder_takes_nulls_for_what_does_not_fit() {
    let mut builder = ColumnBuilder::new(&TypeKind::Int);
    builder.append(&Value::Text("no".into()));
    assert!(ColumnView::new(&builder.finish()).is_null(0));
}
