//! [`Data`] for numbers, text and the like.

use super::value::mismatch;
use super::{Data, DataType, DecodeError, Reader, Value, write_count};
use crate::key::stable_hash;
use std::marker::PhantomData;

/// A signed integer that `value` becomes in `bits` bits: of no more bits itself, or unsigned and of fewer.
fn signed(value: Value, bits: u8, name: &str) -> Result<i128, DecodeError> {
    match value {
        Value::Int(number, from) if from <= bits => Ok(number),
        Value::UInt(number, from) if from < bits => i128::try_from(number).map_err(|_| too_wide(name)),
        Value::Int(..) | Value::UInt(..) => Err(too_wide(name)),
        other => Err(mismatch(name, &other)),
    }
}

/// An unsigned integer that `value` becomes in `bits` bits.
fn unsigned(value: Value, bits: u8, name: &str) -> Result<u128, DecodeError> {
    match value {
        Value::UInt(number, from) if from <= bits => Ok(number),
        Value::UInt(..) => Err(too_wide(name)),
        other => Err(mismatch(name, &other)),
    }
}

fn too_wide(name: &str) -> DecodeError {
    DecodeError::new(format!("a wider integer cannot become {name}"))
}

macro_rules! integers {
    ($($type:ty, $schema:ident, $widen:ident, $bits:literal $(, $block:ident)?;)*) => {$(
        impl Data for $type {
            const HAS_HEAP: bool = false;
            fn schema() -> DataType { DataType::$schema($bits) }
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) { out.extend_from_slice(&self.to_le_bytes()) }
            #[inline]
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> { Ok(Self::from_le_bytes(input.array()?)) }
            fn from_value(value: Value) -> Result<Self, DecodeError> {
                let number = $widen(value, $bits, stringify!($type))?;
                Self::try_from(number).map_err(|_| too_wide(stringify!($type)))
            }
            #[inline]
            fn touch(&self) -> u64 { *self as u64 }
            #[inline]
            fn stable_hash(&self) -> u64 { stable_hash(&self.to_le_bytes()) }
            #[inline]
            fn encode_array<const N: usize>(items: &[Self; N], out: &mut Vec<u8>) {
                let mut bytes = [[0; size_of::<Self>()]; N];
                let mut index = 0;
                while index < N {
                    bytes[index] = items[index].to_le_bytes();
                    index += 1;
                }
                out.extend_from_slice(bytes.as_flattened());
            }
            $($block!();)?
        }
    )*};
}

/// A sequence of `u8` is a block of bytes, in the schema and in the copying.
macro_rules! bytes {
    () => {
        fn sequence_schema() -> DataType {
            DataType::Bytes
        }
        #[inline]
        fn encode_elements(items: &[Self], out: &mut Vec<u8>) {
            out.extend_from_slice(items);
        }
        #[inline]
        fn decode_elements(count: usize, input: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
            Ok(input.take(count)?.to_vec())
        }
    };
}

integers! {
    i8, Int, signed, 8; i16, Int, signed, 16; i32, Int, signed, 32; i64, Int, signed, 64; i128, Int, signed, 128;
    u8, UInt, unsigned, 8, bytes; u16, UInt, unsigned, 16; u32, UInt, unsigned, 32; u64, UInt, unsigned, 64; u128, UInt, unsigned, 128;
}

macro_rules! sizes {
    ($($type:ty, $wide:ty, $schema:ident;)*) => {$(
        impl Data for $type {
            const HAS_HEAP: bool = false;
            fn schema() -> DataType { DataType::$schema(64) }
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) { (*self as $wide).encode(out) }
            #[inline]
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let wide = <$wide>::decode(input)?;
                <$type>::try_from(wide).map_err(|_| DecodeError::new(format!("{wide} does not fit this machine's {}", stringify!($type))))
            }
            fn from_value(value: Value) -> Result<Self, DecodeError> {
                let wide = <$wide>::from_value(value)?;
                <$type>::try_from(wide).map_err(|_| DecodeError::new(format!("{wide} does not fit this machine's {}", stringify!($type))))
            }
            #[inline]
            fn stable_hash(&self) -> u64 { (*self as $wide).stable_hash() }
        }
    )*};
}

sizes! { usize, u64, UInt; isize, i64, Int; }

impl Data for f32 {
    const HAS_HEAP: bool = false;
    fn schema() -> DataType {
        DataType::Float(32)
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::from_le_bytes(input.array()?))
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Float(number, 32) => Ok(number as f32),
            other => Err(mismatch("f32", &other)),
        }
    }
}

impl Data for f64 {
    const HAS_HEAP: bool = false;
    fn schema() -> DataType {
        DataType::Float(64)
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self::from_le_bytes(input.array()?))
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Float(number, _) => Ok(number),
            Value::Int(number, bits) if bits <= 32 => Ok(number as f64),
            Value::UInt(number, bits) if bits <= 32 => Ok(number as f64),
            other => Err(mismatch("f64", &other)),
        }
    }
}

impl Data for bool {
    const HAS_HEAP: bool = false;
    fn schema() -> DataType {
        DataType::Bool
    }
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::new(format!("0 or 1 expected for a bool, {other} found"))),
        }
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Bool(flag) => Ok(flag),
            other => Err(mismatch("bool", &other)),
        }
    }
}

impl Data for char {
    const HAS_HEAP: bool = false;
    fn schema() -> DataType {
        DataType::Char
    }
    fn encode(&self, out: &mut Vec<u8>) {
        u32::from(*self).encode(out);
    }
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let number = u32::decode(input)?;
        char::from_u32(number)
            .ok_or_else(|| DecodeError::new(format!("{number:#x} is no Unicode scalar value")))
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Char(character) => Ok(character),
            other => Err(mismatch("char", &other)),
        }
    }
}

impl Data for String {
    fn schema() -> DataType {
        DataType::Text
    }
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        write_count(self.len(), out);
        out.extend_from_slice(self.as_bytes());
    }
    #[inline]
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = input.count()?;
        let text = std::str::from_utf8(input.take(count)?);
        text.map(str::to_owned).map_err(|error| DecodeError::new(format!("text is not UTF-8: {error}")))
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Text(text) => Ok(text),
            Value::Char(character) => Ok(character.to_string()),
            other => Err(mismatch("String", &other)),
        }
    }
    #[inline]
    fn heap_bytes(&self) -> usize {
        self.capacity()
    }
}

impl Data for () {
    const HAS_HEAP: bool = false;
    fn schema() -> DataType {
        DataType::Unit
    }
    fn encode(&self, _out: &mut Vec<u8>) {}
    fn decode(_input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(())
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        match value {
            Value::Unit => Ok(()),
            other => Err(mismatch("unit", &other)),
        }
    }
}

impl<T: Send + 'static> Data for PhantomData<T> {
    const HAS_HEAP: bool = false;
    fn schema() -> DataType {
        DataType::Unit
    }
    fn encode(&self, _out: &mut Vec<u8>) {}
    fn decode(_input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(PhantomData)
    }
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        <()>::from_value(value).map(|()| PhantomData)
    }
}
