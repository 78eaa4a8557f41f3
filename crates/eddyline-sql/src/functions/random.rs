//! Random numbers and UUIDs.
//!
//! Without a seed they differ from run to run, which no result that has to be repeated may depend on. With a seed the
//! sequence is that of Java's generator; it begins anew with each batch of rows.

use super::signature::{Takes, params};
use super::{Argument, CallInfo, Function, Resolved, any_nullable, arity};
use crate::row::{ColumnBuilder, ColumnView, Value};
use crate::types::TypeKind;
use arrow_array::ArrayRef;
use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::columns("RAND", resolve_rand, rand).not_deterministic(),
    Function::columns("RAND_INTEGER", resolve_rand_integer, rand_integer).not_deterministic(),
    Function::rows("UUID", resolve_uuid, |_, _| Ok(Value::Text(uuid()))).not_deterministic(),
];

/// Java's linear congruential generator.
struct JavaRandom(u64);

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const MASK: u64 = (1 << 48) - 1;

impl JavaRandom {
    fn new(seed: u64) -> Self {
        JavaRandom((seed ^ MULTIPLIER) & MASK)
    }

    fn bits(&mut self, count: u32) -> i32 {
        self.0 = self.0.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        (self.0 >> (48 - count)) as i32
    }

    fn double(&mut self) -> f64 {
        let (high, low) = (i64::from(self.bits(26)), i64::from(self.bits(27)));
        ((high << 27) + low) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// At least 0 and below `bound`, which is positive.
    fn below(&mut self, bound: i32) -> i32 {
        if bound & (bound - 1) == 0 {
            return ((i64::from(bound) * i64::from(self.bits(31))) >> 31) as i32;
        }
        loop {
            let bits = self.bits(31);
            let value = bits % bound;
            if bits.wrapping_sub(value).wrapping_add(bound - 1) >= 0 {
                return value;
            }
        }
    }
}

/// A number that nobody can foresee.
fn entropy() -> u64 {
    thread_local! {
        static STATE: Cell<(u64, u64)> = Cell::new((RandomState::new().build_hasher().finish(), 0));
    }
    STATE.with(|state| {
        let (seed, count) = state.get();
        state.set((seed, count + 1));
        // The finaliser of SplitMix64 over a counter.
        let mut mixed = seed.wrapping_add((count + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    })
}

fn resolve_rand(arguments: &[Argument]) -> Result<Resolved, String> {
    let params = params(arguments, &[Takes::Integer], 1)?;
    Ok(Resolved { params, result: TypeKind::Double.with_nullability(any_nullable(arguments)) })
}

fn rand(columns: &[ArrayRef], rows: usize, info: &CallInfo) -> Result<ArrayRef, String> {
    let seeds = columns.first().map(ColumnView::new);
    let mut generators = Generators::default();
    let mut builder = ColumnBuilder::new(&info.result.kind);
    for row in 0..rows {
        match seeds.as_ref().map(|seeds| seeds.int(row)) {
            Some(None) => builder.append_null(),
            seed => builder.append(&Value::Float(generators.with(seed.flatten()).double())),
        }
    }
    Ok(builder.finish())
}

/// The generator of a batch: it goes on for as long as the seed is the same.
#[derive(Default)]
struct Generators {
    last: Option<(Option<i64>, JavaRandom)>,
}

impl Generators {
    fn with(&mut self, seed: Option<i64>) -> &mut JavaRandom {
        if self.last.as_ref().is_none_or(|(known, _)| *known != seed) {
            self.last = Some((seed, JavaRandom::new(seed.map_or_else(entropy, |seed| seed as u64))));
        }
        &mut self.last.as_mut().expect("invariant: it was made just now").1
    }
}

/// A bound, or a seed and a bound.
fn resolve_rand_integer(arguments: &[Argument]) -> Result<Resolved, String> {
    let takes = [Takes::Integer, Takes::Integer];
    let params = params(arguments, &takes, 1)?;
    Ok(Resolved { params, result: TypeKind::Int.with_nullability(any_nullable(arguments)) })
}

fn rand_integer(columns: &[ArrayRef], rows: usize, info: &CallInfo) -> Result<ArrayRef, String> {
    let views: Vec<ColumnView<'_>> = columns.iter().map(ColumnView::new).collect();
    let (bounds, seeds) = match &views[..] {
        [seeds, bounds] => (bounds, Some(seeds)),
        [bounds] => (bounds, None),
        _ => return Err("takes a bound, or a seed and a bound".into()),
    };
    let mut generators = Generators::default();
    let mut builder = ColumnBuilder::new(&info.result.kind);
    for row in 0..rows {
        let seed = seeds.map(|seeds| seeds.int(row));
        let (Some(bound), false) = (bounds.int(row), seed == Some(None)) else {
            builder.append_null();
            continue;
        };
        let bound = i32::try_from(bound).ok().filter(|bound| *bound > 0);
        let bound = bound.ok_or("takes a bound that is positive")?;
        builder.append_int(i64::from(generators.with(seed.flatten()).below(bound)));
    }
    Ok(builder.finish())
}

fn resolve_uuid(arguments: &[Argument]) -> Result<Resolved, String> {
    arity(arguments, 0..=0)?;
    Ok(Resolved { params: Vec::new(), result: TypeKind::Char(36).not_null() })
}

/// A random UUID, of version 4.
fn uuid() -> String {
    let high = entropy() & !0xf000 | 0x4000;
    let low = entropy() & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
