//! [`Data`] for options, sequences, maps, tuples and boxes.

use super::value::{item_from_value, mismatch};
use super::{Data, DataType, DecodeError, Reader, Value, decode_element, encode_element, write_count};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What a processor loads from memory at once, bytes.
const CACHE_LINE_BYTES: usize = 64;

impl<T: Data> Data for Option<T> {
    const HAS_HEAP: bool = T::HAS_HEAP;
    fn schema() -> DataType {
        DataType::Optional(Box::new(T::schema()))
    }
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.encode(out);
            }
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.byte()? {
            0 => Ok(None),
            1 => Ok(Some(T::decode(input)?)),
            other => {
                Err(DecodeError::new(format!("0 or 1 expected before an optional value, {other} found")))
            }
        }
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Optional(None) => Ok(None),
            Value::Optional(Some(inner)) => Ok(Some(T::from_value(*inner)?)),
            present => Ok(Some(T::from_value(present)?)),
        }
    }
    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, T::heap_bytes)
    }
}

fn decode_items<T: Data>(input: &mut Reader<'_>) -> Result<Vec<T>, DecodeError> {
    let count = input.element_count()?;
    T::decode_elements(count, input)
}

fn items_from_value<T: Data, C: FromIterator<T>>(value: Value) -> Result<C, DecodeError> {
    match value {
        Value::List(items) => items.into_iter().map(T::from_value).collect(),
        Value::Bytes(bytes) => {
            bytes.into_iter().map(|byte| T::from_value(Value::UInt(u128::from(byte), 8))).collect()
        }
        other => Err(mismatch("list", &other)),
    }
}

fn encode_vec<T: Data>(items: &[T], out: &mut Vec<u8>) {
    T::encode_elements(items, out);
}

fn encode_deque<T: Data>(items: &VecDeque<T>, out: &mut Vec<u8>) {
    let (front, back) = items.as_slices();
    T::encode_elements(front, out);
    T::encode_elements(back, out);
}

fn encode_set<T: Data>(items: &BTreeSet<T>, out: &mut Vec<u8>) {
    for item in items {
        T::encode_elements(std::slice::from_ref(item), out);
    }
}

macro_rules! sequences {
    ($($type:ident, $encode:ident $(, $bound:ident)?;)*) => {$(
        impl<T: Data $(+ $bound)?> Data for $type<T> {
            fn schema() -> DataType { T::sequence_schema() }
            fn encode(&self, out: &mut Vec<u8>) {
                write_count(self.len(), out);
                $encode(self, out);
            }
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> { Ok($type::from_iter(decode_items(input)?)) }
            fn from_value(value: Value) -> Result<Self, DecodeError> { items_from_value(value) }
            fn heap_bytes(&self) -> usize {
                let flat = self.len() * size_of::<T>();
                if T::HAS_HEAP { flat + self.iter().map(T::heap_bytes).sum::<usize>() } else { flat }
            }
        }
    )*};
}

sequences! { Vec, encode_vec; VecDeque, encode_deque; BTreeSet, encode_set, Ord; }

impl<K: Data + Ord, V: Data> Data for BTreeMap<K, V> {
    fn schema() -> DataType {
        DataType::Map(Box::new(K::schema()), Box::new(V::schema()))
    }
    fn encode(&self, out: &mut Vec<u8>) {
        write_count(self.len(), out);
        for (key, value) in self {
            encode_element(out, |out| {
                key.encode(out);
                value.encode(out);
            });
        }
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = input.element_count()?;
        let mut entries = BTreeMap::new();
        for _ in 0..count {
            let (key, value) = decode_element(input, |input| Ok((K::decode(input)?, V::decode(input)?)))?;
            entries.insert(key, value);
        }
        Ok(entries)
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Map(entries) => entries
                .into_iter()
                .map(|(key, value)| Ok((K::from_value(key)?, V::from_value(value)?)))
                .collect(),
            other => Err(mismatch("map", &other)),
        }
    }
    fn heap_bytes(&self) -> usize {
        let flat = self.len() * (size_of::<K>() + size_of::<V>());
        flat + self.iter().map(|(key, value)| key.heap_bytes() + value.heap_bytes()).sum::<usize>()
    }
}

impl<T: Data, const N: usize> Data for [T; N] {
    const HAS_HEAP: bool = T::HAS_HEAP;
    fn schema() -> DataType {
        DataType::Tuple((0..N).map(|_| T::schema()).collect())
    }
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        T::encode_array(self, out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut items = Vec::with_capacity(N);
        for _ in 0..N {
            items.push(T::decode(input)?);
        }
        items.try_into().map_err(|_| DecodeError::new("wrong number of array elements"))
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut values = value.into_tuple(N)?.into_iter();
        let items = (0..N).map(|index| item_from_value(&mut values, index)).collect::<Result<Vec<T>, _>>()?;
        items.try_into().map_err(|_| DecodeError::new("wrong number of array elements"))
    }
    fn heap_bytes(&self) -> usize {
        self.iter().map(T::heap_bytes).sum()
    }
    #[inline]
    fn touch(&self) -> u64 {
        let per_line = (CACHE_LINE_BYTES / size_of::<T>().max(1)).max(1);
        let seen = self.iter().step_by(per_line).fold(0, |seen, item| seen ^ item.touch());
        seen ^ self.last().map_or(0, T::touch)
    }
}

macro_rules! pointers {
    ($($type:ident $(, $bound:ident)?;)*) => {$(
        impl<T: Data $(+ $bound)?> Data for $type<T> {
            fn schema() -> DataType { T::schema() }
            fn encode(&self, out: &mut Vec<u8>) { (**self).encode(out) }
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> { Ok($type::new(T::decode(input)?)) }
            fn from_value(value: Value) -> Result<Self, DecodeError> { Ok($type::new(T::from_value(value)?)) }
            fn heap_bytes(&self) -> usize { size_of::<T>() + (**self).heap_bytes() }
        }
    )*};
}

pointers! { Box; Arc, Sync; }

macro_rules! tuples {
    ($($count:literal: $($name:ident . $index:tt),+;)*) => {$(
        impl<$($name: Data),+> Data for ($($name,)+) {
            const HAS_HEAP: bool = $($name::HAS_HEAP)||+;
            fn schema() -> DataType { DataType::Tuple(vec![$($name::schema()),+]) }
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) { $(self.$index.encode(out);)+ }
            #[inline]
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> { Ok(($($name::decode(input)?,)+)) }
            fn from_value(value: Value) -> Result<Self, DecodeError> {
                let mut items = value.into_tuple($count)?.into_iter();
                Ok(($(item_from_value::<$name>(&mut items, $index)?,)+))
            }
            fn heap_bytes(&self) -> usize { 0 $(+ self.$index.heap_bytes())+ }
            #[inline]
            fn touch(&self) -> u64 { 0 $(^ self.$index.touch())+ }
        }
    )*};
}

tuples! {
    1: A.0;
    2: A.0, B.1;
    3: A.0, B.1, C.2;
    4: A.0, B.1, C.2, D.3;
    5: A.0, B.1, C.2, D.3, E.4;
    6: A.0, B.1, C.2, D.3, E.4, F.5;
    7: A.0, B.1, C.2, D.3, E.4, F.5, G.6;
    8: A.0, B.1, C.2, D.3, E.4, F.5, G.6, H.7;
}
