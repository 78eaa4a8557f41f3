//! The upsert keys of a relation: columns by which the changes of its rows can be told from those of others.
//!
//! A set of columns is a key if no two rows that are there at a time are equal in it, and if all changes of a row with
//! given values of it come in order, from one instance. Where rows are brought together by other columns, a key has to
//! contain these, or is none any more.

use super::{JoinKind, Op, RankFunction, Rel, WindowKind, join_keys};

/// More keys than these are not looked for.
const KEYS_MAX: usize = 16;

type Keys = Vec<Vec<usize>>;

/// The upsert keys of `rel`, each in ascending order; an empty one says that there is one row at most.
pub(crate) fn upsert_keys(rel: &Rel) -> Keys {
    let mut keys = found(rel);
    for key in &mut keys {
        key.sort_unstable();
        key.dedup();
    }
    keys.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
    keys.dedup();
    keys.truncate(KEYS_MAX);
    keys
}

/// Those of `keys` that contain the columns by which rows are brought together.
fn kept(keys: Keys, distribution: &[usize]) -> Keys {
    keys.into_iter().filter(|key| distribution.iter().all(|column| key.contains(column))).collect()
}

fn found(rel: &Rel) -> Keys {
    match &*rel.op {
        Op::Scan { table, .. } => {
            let key: Option<Vec<usize>> = table.primary_key.iter().map(|name| table.column(name)).collect();
            key.filter(|key| !key.is_empty()).into_iter().collect()
        }
        Op::Values { rows } => {
            if rows.len() <= 1 {
                vec![Vec::new()]
            } else {
                Vec::new()
            }
        }
        Op::Project { input, exprs } => {
            let place = |column: &usize| exprs.iter().position(|expr| expr.as_column() == Some(*column));
            let passed = |key: Vec<usize>| key.iter().map(place).collect::<Option<Vec<usize>>>();
            upsert_keys(input).into_iter().filter_map(passed).collect()
        }
        Op::Filter { input, .. } | Op::Sort { input, .. } | Op::Limit { input, .. } => upsert_keys(input),
        Op::Window { input, kind: WindowKind::Tumble { .. }, .. } => upsert_keys(input),
        Op::Window { .. } | Op::Unnest { .. } | Op::Expand { .. } | Op::Union { .. } => Vec::new(),
        Op::Aggregate { keys, .. } => vec![(0..keys.len()).collect()],
        Op::Rank { input, function, partition, start, end, number, .. } => {
            let mut keys = kept(upsert_keys(input), partition);
            if *function == RankFunction::RowNumber {
                let mut key = partition.clone();
                if start != end && *number {
                    key.push(input.columns.len());
                }
                if start == end || *number {
                    keys.push(key);
                }
            }
            keys
        }
        Op::Over { input, groups } => {
            groups.iter().fold(upsert_keys(input), |keys, group| kept(keys, &group.partition))
        }
        Op::Set { all: true, .. } => Vec::new(),
        Op::Set { .. } => vec![(0..rel.columns.len()).collect()],
        Op::TemporalJoin { left, condition, .. } => {
            let (pairs, _) = join_keys(Some(condition), left.columns.len());
            kept(upsert_keys(left), &pairs.iter().map(|(left, _)| *left).collect::<Vec<_>>())
        }
        Op::Join { left, right, kind, condition } => {
            let (pairs, _) = join_keys(condition.as_ref(), left.columns.len());
            of_join(left, right, *kind, &pairs)
        }
    }
}

fn of_join(left: &Rel, right: &Rel, kind: JoinKind, pairs: &[(usize, usize)]) -> Keys {
    let (left_on, right_on): (Vec<usize>, Vec<usize>) = pairs.iter().copied().unzip();
    let (left_keys, right_keys) = (upsert_keys(left), upsert_keys(right));
    // A key within the columns of the condition: a row has one partner at most.
    let is_single =
        |keys: &Keys, on: &[usize]| keys.iter().any(|key| key.iter().all(|column| on.contains(column)));
    let (single_left, single_right) = (is_single(&left_keys, &left_on), is_single(&right_keys, &right_on));
    let left_keys = kept(left_keys, &left_on);
    if !kind.has_right() {
        return left_keys;
    }
    let width = left.columns.len();
    let shifted = |key: &Vec<usize>| key.iter().map(|column| column + width).collect::<Vec<_>>();
    let right_keys: Keys = kept(right_keys, &right_on).iter().map(shifted).collect();
    let mut keys = Keys::new();
    if single_right && !kind.pads_left() {
        keys.extend(left_keys.iter().cloned());
    }
    if single_left && !kind.pads_right() {
        keys.extend(right_keys.iter().cloned());
    }
    for one in left_keys.iter().take(KEYS_MAX) {
        keys.extend(right_keys.iter().take(KEYS_MAX).map(|other| [one.as_slice(), other].concat()));
    }
    keys
}
