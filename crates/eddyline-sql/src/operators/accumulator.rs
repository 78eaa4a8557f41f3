//! Aggregates as they are kept: they take rows in and, where rows may be taken back, out again.

use super::batches::Incoming;
use crate::expr::text_format::value_to_text;
use crate::plan::{AggregateCall, AggregateFunction};
use crate::row::{ColumnView, SortOrder, Value, encode_sort_key};
use crate::types::{SqlType, TypeKind};
use eddyline_core::{Data, Reader};
use std::collections::BTreeMap;

/// The state of one aggregate call for one group.
#[derive(Debug, Clone, PartialEq, Data)]
pub(crate) enum Accumulator {
    Count(i64),
    /// Sum and number of whole numbers; the sum wraps.
    Whole(i64, i64),
    Decimal(i128, i64),
    /// Sum and number.
    Float(f64, i64),
    /// Number, mean, and sum of the squares of the distances from it, by Welford's method.
    Moments(i64, f64, f64),
    /// The best value so far, by its sort key: for rows that are never taken back.
    Best(Option<(Vec<u8>, Vec<u8>)>),
    /// The best whole number, date or time so far: for rows that are never taken back.
    BestWhole(Option<i64>),
    /// The best text so far: for rows that are never taken back.
    BestText(Option<String>),
    /// All values by sort key, with their number.
    Ordered(BTreeMap<Vec<u8>, (Vec<u8>, i64)>),
    /// One encoded value.
    One(Option<Vec<u8>>),
    /// Encoded values in the order in which they came.
    List(Vec<Vec<u8>>),
    /// Encoded values with their number.
    Bag(BTreeMap<Vec<u8>, i64>),
    /// The distinct arguments with their number, and the aggregate over them.
    Distinct(BTreeMap<Vec<u8>, i64>, Vec<Accumulator2>),
}

/// The aggregate within DISTINCT: types must not be recursive.
#[derive(Debug, Clone, PartialEq, Data)]
pub(crate) enum Accumulator2 {
    Count(i64),
    Whole(i64, i64),
    Decimal(i128, i64),
    Float(f64, i64),
    Moments(i64, f64, f64),
    Bag(BTreeMap<Vec<u8>, i64>),
    List(Vec<Vec<u8>>),
    BestWhole(Option<i64>),
    BestText(Option<String>),
}

/// A call, prepared.
#[derive(Debug, Clone)]
pub(crate) struct Aggregator {
    function: AggregateFunction,
    args: Vec<usize>,
    arg_types: Vec<SqlType>,
    pub(crate) filter: Option<usize>,
    distinct: bool,
    ignore_nulls: bool,
    order: Vec<SortOrder>,
    pub(crate) result: SqlType,
    retracts: bool,
}

impl Aggregator {
    /// `call` over columns of `types`; `retracts` says whether rows may be taken back.
    pub(crate) fn new(call: &AggregateCall, types: &[SqlType], retracts: bool) -> Self {
        Aggregator {
            function: call.function,
            args: call.args.clone(),
            arg_types: call.args.iter().map(|arg| types[*arg].clone()).collect(),
            filter: call.filter,
            distinct: call.distinct,
            ignore_nulls: call.ignore_nulls,
            order: call.order.clone(),
            result: call.result.clone(),
            retracts,
        }
    }

    fn first_kind(&self) -> &TypeKind {
        self.arg_types.first().map_or(&TypeKind::Null, |data_type| &data_type.kind)
    }

    pub(crate) fn create(&self) -> Accumulator {
        use AggregateFunction::*;
        if self.distinct {
            return Accumulator::Distinct(BTreeMap::new(), vec![inner_of(self.create_plain())]);
        }
        match self.function {
            ApproxCountDistinct => Accumulator::Bag(BTreeMap::new()),
            _ => self.create_plain(),
        }
    }

    /// The state of the call over arguments that are known to be distinct, or need not be.
    pub(crate) fn create_plain(&self) -> Accumulator {
        use AggregateFunction::*;
        match self.function {
            Count => Accumulator::Count(0),
            Sum | Sum0 | Avg => match self.first_kind() {
                TypeKind::Decimal(..) => Accumulator::Decimal(0, 0),
                kind if kind.is_approximate() => Accumulator::Float(0.0, 0),
                _ => Accumulator::Whole(0, 0),
            },
            StddevPop | StddevSamp | VarPop | VarSamp => Accumulator::Moments(0, 0.0, 0.0),
            Min | Max if self.retracts => Accumulator::Ordered(BTreeMap::new()),
            Min | Max => match self.first_kind() {
                kind if kind.is_text() => Accumulator::BestText(None),
                kind if kind.is_integer() || kind.is_temporal() => Accumulator::BestWhole(None),
                _ => Accumulator::Best(None),
            },
            FirstValue | LastValue if !self.retracts => Accumulator::One(None),
            Collect | ApproxCountDistinct | Percentile => Accumulator::Bag(BTreeMap::new()),
            FirstValue | LastValue | ListAgg | ArrayAgg | SingleValue | JsonObjectAgg | JsonArrayAgg => {
                Accumulator::List(Vec::new())
            }
        }
    }

    fn argument(&self, views: &[ColumnView<'_>], row: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for arg in &self.args {
            views[*arg].encode(row, &mut bytes);
        }
        bytes
    }

    pub(crate) fn function(&self) -> AggregateFunction {
        self.function
    }

    pub(crate) fn is_distinct(&self) -> bool {
        self.distinct
    }

    pub(crate) fn args(&self) -> &[usize] {
        &self.args
    }

    /// Whether rows count whose arguments are NULL.
    pub(crate) fn takes_nulls(&self) -> bool {
        use AggregateFunction::*;
        match self.function {
            ArrayAgg | SingleValue | JsonObjectAgg => true,
            FirstValue | LastValue | JsonArrayAgg => !self.ignore_nulls,
            _ => false,
        }
    }

    /// Whether row `row` counts.
    #[inline]
    pub(crate) fn wants(&self, views: &[ColumnView<'_>], row: usize) -> bool {
        if let Some(filter) = self.filter
            && views[filter].bool(row) != Some(true)
        {
            return false;
        }
        if self.function == AggregateFunction::ListAgg {
            return !self.args.first().is_some_and(|arg| views[*arg].is_null(row));
        }
        self.takes_nulls() || !self.args.iter().any(|arg| views[*arg].is_null(row))
    }

    /// Takes row `row` in, or with `retracts` out.
    pub(crate) fn update(
        &self,
        accumulator: &mut Accumulator,
        views: &[ColumnView<'_>],
        row: usize,
        retracts: bool,
    ) -> Result<(), String> {
        if !self.wants(views, row) {
            return Ok(());
        }
        let sign: i64 = if retracts { -1 } else { 1 };
        if let Accumulator::Distinct(seen, inner) = accumulator {
            let key = self.argument(views, row);
            let count = seen.entry(key.clone()).or_insert(0);
            let before = *count;
            *count += sign;
            let after = *count;
            if after == 0 {
                seen.remove(&key);
            }
            if (before == 0 && after == 1) || (before == 1 && after == 0) {
                let mut plain = outer_of(inner.pop().unwrap_or(Accumulator2::Count(0)));
                let result = self.update_plain(&mut plain, views, row, sign);
                inner.push(inner_of(plain));
                return result;
            }
            return Ok(());
        }
        self.update_plain(accumulator, views, row, sign)
    }

    /// Takes in, or out if they are taken back, those of `rows` that count. The aggregate is not DISTINCT.
    pub(crate) fn update_rows(
        &self,
        accumulator: &mut Accumulator,
        views: &[ColumnView<'_>],
        rows: &[u32],
        input: &Incoming,
    ) -> Result<(), String> {
        let sign = |row: usize| if input.is_retraction(row) { -1 } else { 1 };
        let counting = rows.iter().map(|row| *row as usize).filter(|row| self.wants(views, *row));
        match accumulator {
            Accumulator::Count(count) => *count += counting.map(sign).sum::<i64>(),
            Accumulator::Whole(sum, count) => {
                let view = &views[self.args[0]];
                for row in counting {
                    let sign = sign(row);
                    *sum = sum.wrapping_add(view.int(row).unwrap_or(0).wrapping_mul(sign));
                    *count += sign;
                }
            }
            Accumulator::BestWhole(best) => {
                let view = &views[self.args[0]];
                let values = counting.filter_map(|row| view.int(row)).chain(*best);
                *best = if self.function == AggregateFunction::Max { values.max() } else { values.min() };
            }
            _ => {
                for row in counting {
                    self.update_plain(accumulator, views, row, sign(row))?;
                }
            }
        }
        Ok(())
    }

    /// Takes in, or with a negative `sign` out, a row that counts and whose arguments are new.
    #[inline]
    pub(crate) fn update_plain(
        &self,
        accumulator: &mut Accumulator,
        views: &[ColumnView<'_>],
        row: usize,
        sign: i64,
    ) -> Result<(), String> {
        let view = |number: usize| &views[self.args[number]];
        match accumulator {
            Accumulator::Count(count) => *count += sign,
            Accumulator::Whole(sum, count) => {
                let value = view(0).int(row).unwrap_or(0);
                *sum = sum.wrapping_add(value.wrapping_mul(sign));
                *count += sign;
            }
            Accumulator::Decimal(sum, count) => {
                let value = view(0).decimal(row).unwrap_or(0);
                *sum = sum.wrapping_add(value * i128::from(sign));
                *count += sign;
            }
            Accumulator::Float(sum, count) => {
                *sum += view(0).float(row).unwrap_or(0.0) * sign as f64;
                *count += sign;
                if *count == 0 {
                    *sum = 0.0;
                }
            }
            Accumulator::Moments(count, mean, spread) => {
                let value = number(view(0), row, self.first_kind());
                *count += sign;
                if *count == 0 {
                    (*mean, *spread) = (0.0, 0.0);
                    return Ok(());
                }
                let distance = value - *mean;
                *mean += distance * sign as f64 / *count as f64;
                *spread += distance * (value - *mean) * sign as f64;
            }
            Accumulator::Best(best) => {
                let key = self.extreme_key(&view(0).value(row));
                if best.as_ref().is_none_or(|(known, _)| key < *known) {
                    *best = Some((key, self.argument(views, row)));
                }
            }
            Accumulator::BestWhole(best) => {
                let value = view(0).int(row).unwrap_or(0);
                let wants_max = self.function == AggregateFunction::Max;
                *best = Some(match *best {
                    Some(known) if wants_max => known.max(value),
                    Some(known) => known.min(value),
                    None => value,
                });
            }
            Accumulator::BestText(best) => {
                let value = view(0).text(row).unwrap_or_default();
                let is_better = |known: &String| {
                    if self.function == AggregateFunction::Max {
                        value > known.as_str()
                    } else {
                        value < known.as_str()
                    }
                };
                match best {
                    Some(known) if !is_better(known) => {}
                    Some(known) => {
                        known.clear();
                        known.push_str(value);
                    }
                    None => *best = Some(value.to_owned()),
                }
            }
            Accumulator::Ordered(values) => {
                let key = self.extreme_key(&view(0).value(row));
                let entry = values.entry(key.clone()).or_insert_with(|| (self.argument(views, row), 0));
                entry.1 += sign;
                if entry.1 == 0 {
                    values.remove(&key);
                }
            }
            Accumulator::One(one) => {
                if one.is_none() || self.function == AggregateFunction::LastValue {
                    *one = Some(self.argument(views, row));
                }
            }
            Accumulator::List(list) => {
                let mut bytes = self.argument(views, row);
                if !self.order.is_empty() {
                    // Sorted by the ORDER BY of the call: the key stands before the value.
                    let mut key = Vec::new();
                    for order in &self.order {
                        encode_sort_key(&views[order.column].value(row), *order, &mut key);
                    }
                    let mut keyed = (key.len() as u32).to_be_bytes().to_vec();
                    keyed.extend(key);
                    keyed.extend(bytes);
                    bytes = keyed;
                }
                if sign > 0 {
                    if self.function == AggregateFunction::SingleValue && !list.is_empty() {
                        return Err("a scalar sub-query gave more than one row".into());
                    }
                    list.push(bytes);
                } else if let Some(place) = list.iter().position(|known| *known == bytes) {
                    list.remove(place);
                }
            }
            Accumulator::Bag(bag) => {
                let bytes = self.argument(views, row);
                let count = bag.entry(bytes.clone()).or_insert(0);
                *count += sign;
                if *count == 0 {
                    bag.remove(&bytes);
                }
            }
            Accumulator::Distinct(..) => {}
        }
        Ok(())
    }

    /// A key whose least value is the wanted one.
    fn extreme_key(&self, value: &Value) -> Vec<u8> {
        let order =
            SortOrder { column: 0, descending: self.function == AggregateFunction::Max, nulls_first: false };
        let mut key = Vec::new();
        encode_sort_key(value, order, &mut key);
        key
    }

    fn decode(&self, bytes: &[u8]) -> Vec<Value> {
        let mut input = Reader::new(bytes);
        self.arg_types
            .iter()
            .map(|data_type| Value::decode(&data_type.kind, &mut input).unwrap_or(Value::Null))
            .collect()
    }

    fn decode_first(&self, bytes: &[u8]) -> Value {
        self.decode(bytes).into_iter().next().unwrap_or(Value::Null)
    }

    /// The list's values in order.
    fn listed(&self, list: &[Vec<u8>]) -> Vec<Vec<Value>> {
        if self.order.is_empty() {
            return list.iter().map(|bytes| self.decode(bytes)).collect();
        }
        let mut keyed: Vec<(&[u8], &[u8])> = list
            .iter()
            .map(|bytes| {
                let length = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
                (&bytes[4..4 + length], &bytes[4 + length..])
            })
            .collect();
        keyed.sort_by(|one, other| one.0.cmp(other.0));
        keyed.into_iter().map(|(_, bytes)| self.decode(bytes)).collect()
    }

    /// The result as it is now.
    pub(crate) fn result(&self, accumulator: &Accumulator) -> Value {
        use AggregateFunction::*;
        match accumulator {
            Accumulator::Distinct(_, inner) => match inner.first() {
                Some(inner) => self.result(&outer_of(inner.clone())),
                None => Value::Null,
            },
            Accumulator::Count(count) => Value::Int(*count),
            Accumulator::Whole(sum, count) => match self.function {
                Sum0 => Value::Int(self.wrapped(*sum)),
                _ if *count == 0 => Value::Null,
                Avg => Value::Int(self.wrapped(sum.wrapping_div(*count))),
                _ => Value::Int(self.wrapped(*sum)),
            },
            Accumulator::Float(sum, count) => match self.function {
                Sum0 => Value::Float(*sum),
                _ if *count == 0 => Value::Null,
                Avg => Value::Float(*sum / *count as f64),
                _ => Value::Float(*sum),
            },
            Accumulator::Decimal(sum, count) => self.decimal_result(*sum, *count),
            Accumulator::Moments(count, _, spread) => self.moments(*count, spread.max(0.0)),
            Accumulator::Best(best) => {
                best.as_ref().map_or(Value::Null, |(_, bytes)| self.decode_first(bytes))
            }
            Accumulator::BestWhole(best) => best.map_or(Value::Null, Value::Int),
            Accumulator::BestText(best) => best.clone().map_or(Value::Null, Value::Text),
            Accumulator::Ordered(values) => {
                values.first_key_value().map_or(Value::Null, |(_, (bytes, _))| self.decode_first(bytes))
            }
            Accumulator::One(one) => one.as_ref().map_or(Value::Null, |bytes| self.decode_first(bytes)),
            Accumulator::Bag(bag) => match self.function {
                ApproxCountDistinct => Value::Int(bag.len() as i64),
                Percentile => super::percentile::percentile(
                    bag.iter().map(|(bytes, count)| (self.decode(bytes), *count)),
                    &self.arg_types,
                ),
                _ => Value::Map(
                    bag.iter().map(|(bytes, count)| (self.decode_first(bytes), Value::Int(*count))).collect(),
                ),
            },
            Accumulator::List(list) => self.list_result(list),
        }
    }

    fn wrapped(&self, value: i64) -> i64 {
        match self.result.kind {
            TypeKind::TinyInt => i64::from(value as i8),
            TypeKind::SmallInt => i64::from(value as i16),
            TypeKind::Int => i64::from(value as i32),
            _ => value,
        }
    }

    fn decimal_result(&self, sum: i128, count: i64) -> Value {
        use crate::expr::{Arithmetic, decimal_arithmetic};
        let TypeKind::Decimal(_, scale) = self.first_kind() else { return Value::Null };
        match self.function {
            AggregateFunction::Sum0 => Value::Decimal(sum),
            _ if count == 0 => Value::Null,
            AggregateFunction::Avg => {
                let TypeKind::Decimal(_, target) = self.result.kind else { return Value::Null };
                decimal_arithmetic(Arithmetic::Divide, (sum, *scale), (i128::from(count), 0), target)
                    .map_or(Value::Null, Value::Decimal)
            }
            _ => Value::Decimal(sum),
        }
    }

    fn moments(&self, count: i64, spread: f64) -> Value {
        use AggregateFunction::*;
        let n = count as f64;
        let least = if matches!(self.function, StddevSamp | VarSamp) { 2 } else { 1 };
        if count < least {
            return Value::Null;
        }
        let variance = if least == 2 { spread / (n - 1.0) } else { spread / n };
        let result = if matches!(self.function, StddevPop | StddevSamp) { variance.sqrt() } else { variance };
        match self.result.kind {
            TypeKind::Decimal(precision, scale) => {
                crate::expr::decimal_of_float(result, precision, scale).map_or(Value::Null, Value::Decimal)
            }
            TypeKind::Float | TypeKind::Double => Value::Float(result),
            _ => Value::Int(result as i64),
        }
    }

    fn list_result(&self, list: &[Vec<u8>]) -> Value {
        use AggregateFunction::*;
        let values = self.listed(list);
        let first = |row: &Vec<Value>| row.first().cloned().unwrap_or(Value::Null);
        match self.function {
            FirstValue | SingleValue => values.first().map_or(Value::Null, first),
            LastValue => values.last().map_or(Value::Null, first),
            ArrayAgg => {
                if values.is_empty() {
                    Value::Null
                } else {
                    Value::List(values.iter().map(first).collect())
                }
            }
            ListAgg => {
                if values.is_empty() {
                    return Value::Null;
                }
                let mut text = String::new();
                for (number, row) in values.iter().enumerate() {
                    if number > 0 {
                        text.push_str(row.get(1).and_then(Value::as_text).unwrap_or(","));
                    }
                    text.push_str(row[0].as_text().unwrap_or_default());
                }
                Value::Text(text)
            }
            JsonArrayAgg => {
                let items = values.iter().map(|row| self.json(&first(row), 0));
                Value::Text(format!("[{}]", items.collect::<Vec<_>>().join(",")))
            }
            JsonObjectAgg => {
                let mut members = BTreeMap::new();
                for row in &values {
                    let value = row.get(1).cloned().unwrap_or(Value::Null);
                    if !(self.ignore_nulls && value.is_null()) {
                        let name = row[0].as_text().unwrap_or_default().to_owned();
                        members.insert(name, self.json(&value, 1));
                    }
                }
                let members = members
                    .iter()
                    .map(|(name, value)| format!("{}:{value}", serde_json::Value::from(name.as_str())));
                Value::Text(format!("{{{}}}", members.collect::<Vec<_>>().join(",")))
            }
            _ => Value::Null,
        }
    }

    /// A value as JSON text.
    fn json(&self, value: &Value, arg: usize) -> String {
        match value {
            Value::Null => "null".into(),
            Value::Bool(value) => value.to_string(),
            Value::Int(number) if self.arg_types[arg].kind.is_integer() => number.to_string(),
            Value::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            value => {
                let kind = &self.arg_types[arg].kind;
                let text = value_to_text(value, kind, &jiff::tz::TimeZone::UTC);
                if kind.is_numeric() { text } else { serde_json::Value::from(text).to_string() }
            }
        }
    }
}

fn number(view: &ColumnView<'_>, row: usize, kind: &TypeKind) -> f64 {
    match kind {
        TypeKind::Decimal(_, scale) => view.decimal(row).unwrap_or(0) as f64 / 10f64.powi(i32::from(*scale)),
        _ => view.float(row).or_else(|| view.int(row).map(|value| value as f64)).unwrap_or(0.0),
    }
}

fn inner_of(accumulator: Accumulator) -> Accumulator2 {
    match accumulator {
        Accumulator::Whole(sum, count) => Accumulator2::Whole(sum, count),
        Accumulator::Decimal(sum, count) => Accumulator2::Decimal(sum, count),
        Accumulator::Float(sum, count) => Accumulator2::Float(sum, count),
        Accumulator::Moments(count, sum, squares) => Accumulator2::Moments(count, sum, squares),
        Accumulator::Bag(bag) => Accumulator2::Bag(bag),
        Accumulator::List(list) => Accumulator2::List(list),
        Accumulator::Count(count) => Accumulator2::Count(count),
        Accumulator::One(one) => Accumulator2::List(one.into_iter().collect()),
        Accumulator::BestWhole(best) => Accumulator2::BestWhole(best),
        Accumulator::BestText(best) => Accumulator2::BestText(best),
        Accumulator::Best(_) | Accumulator::Ordered(_) | Accumulator::Distinct(..) => Accumulator2::Count(0),
    }
}

fn outer_of(accumulator: Accumulator2) -> Accumulator {
    match accumulator {
        Accumulator2::Count(count) => Accumulator::Count(count),
        Accumulator2::Whole(sum, count) => Accumulator::Whole(sum, count),
        Accumulator2::Decimal(sum, count) => Accumulator::Decimal(sum, count),
        Accumulator2::Float(sum, count) => Accumulator::Float(sum, count),
        Accumulator2::Moments(count, sum, squares) => Accumulator::Moments(count, sum, squares),
        Accumulator2::BestWhole(best) => Accumulator::BestWhole(best),
        Accumulator2::BestText(best) => Accumulator::BestText(best),
        Accumulator2::Bag(bag) => Accumulator::Bag(bag),
        Accumulator2::List(list) => Accumulator::List(list),
    }
}

/// Appends the encoded results of `aggregators`.
pub(crate) fn encode_results(aggregators: &[Aggregator], accumulators: &[Accumulator], out: &mut Vec<u8>) {
    for (call, state) in aggregators.iter().zip(accumulators) {
        match state {
            Accumulator::Count(count) => {
                out.push(1);
                out.extend_from_slice(&count.to_le_bytes());
            }
            state => call.result(state).encode(out),
        }
    }
}
