//! Joins the parts of all workers to the operators of one checkpoint.

use crate::manifest::{OperatorManifest, PartManifest, SegmentChain, StateDescriptor, StateKind};
use crate::message::WorkerIndex;
use std::collections::{BTreeMap, BTreeSet};

/// Merges by uid and state name; chains are concatenated in the order of workers, then ordered by group.
///
/// # Errors
/// A reason in words when two workers disagree about the shape of a state, or both claim a key group.
pub(super) fn merge_parts(
    parts: &BTreeMap<WorkerIndex, PartManifest>,
) -> Result<Vec<OperatorManifest>, String> {
    type States = BTreeMap<String, (StateDescriptor, Vec<SegmentChain>)>;
    let mut operators: BTreeMap<&str, States> = BTreeMap::new();
    for (worker, part) in parts {
        for operator in &part.operators {
            let states = operators.entry(&operator.uid).or_default();
            for state in &operator.states {
                let name = &state.descriptor.name;
                let (descriptor, chains) =
                    states.entry(name.clone()).or_insert_with(|| (state.descriptor.clone(), Vec::new()));
                if *descriptor != state.descriptor {
                    return Err(format!(
                        "worker {worker} describes state `{name}` of operator `{}` differently from the others",
                        operator.uid
                    ));
                }
                chains.extend(state.chains.iter().cloned());
            }
        }
    }
    let mut merged = Vec::with_capacity(operators.len());
    for (uid, states) in operators {
        let mut manifests = Vec::with_capacity(states.len());
        for (descriptor, mut chains) in states.into_values() {
            chains.sort_by_key(|chain| chain.group);
            check_groups(uid, &descriptor, &chains)?;
            manifests.push(crate::manifest::StateManifest { descriptor, chains });
        }
        merged.push(OperatorManifest { uid: uid.to_owned(), states: manifests });
    }
    Ok(merged)
}

/// A key group has one owner; were it written by two, a restore would see keys twice.
fn check_groups(uid: &str, descriptor: &StateDescriptor, chains: &[SegmentChain]) -> Result<(), String> {
    if !matches!(descriptor.kind, StateKind::KeyedValue | StateKind::Timers) {
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    match chains.iter().find(|chain| !seen.insert(chain.group)) {
        None => Ok(()),
        Some(chain) => Err(format!(
            "key group {} of state `{}` of operator `{uid}` was written by two workers",
            chain.group, descriptor.name
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::StateManifest;
    use eddyline_core::DataType;

    fn part(uid: &str, kind: StateKind, value: DataType, groups: &[u32]) -> PartManifest {
        let descriptor = StateDescriptor { name: "counts".into(), kind, key: DataType::Text, value };
        let chains = groups.iter().map(|&group| SegmentChain { group, segments: Vec::new() }).collect();
        let states = vec![StateManifest { descriptor, chains }];
        PartManifest { operators: vec![OperatorManifest { uid: uid.into(), states }], bytes_written: 1 }
    }

    fn merge(parts: &[PartManifest]) -> Result<Vec<OperatorManifest>, String> {
        merge_parts(&parts.iter().cloned().enumerate().map(|(w, part)| (w as WorkerIndex, part)).collect())
    }

    #[test]
    fn chains_of_one_state_are_concatenated_in_group_order() {
        let keyed = |groups: &[u32]| part("b", StateKind::KeyedValue, DataType::Bool, groups);
        let other = part("a", StateKind::KeyedValue, DataType::Bool, &[1]);
        let merged = merge(&[keyed(&[2, 3]), keyed(&[0, 1]), other]).unwrap();
        let uids: Vec<_> = merged.iter().map(|operator| operator.uid.as_str()).collect();
        assert_eq!(uids, ["a", "b"]);
        let groups: Vec<_> = merged[1].states[0].chains.iter().map(|chain| chain.group).collect();
        assert_eq!(groups, [0, 1, 2, 3]);
    }

    #[test]
    fn a_key_group_with_two_owners_is_refused_but_list_state_is_not() {
        let keyed = || part("a", StateKind::Timers, DataType::Bool, &[7]);
        assert!(merge(&[keyed(), keyed()]).unwrap_err().contains("key group 7"));
        let list = || part("a", StateKind::List, DataType::Bool, &[7]);
        assert_eq!(merge(&[list(), list()]).unwrap()[0].states[0].chains.len(), 2);
    }

    #[test]
    fn workers_that_disagree_on_the_shape_are_refused() {
        let left = part("a", StateKind::KeyedValue, DataType::Bool, &[0]);
        let right = part("a", StateKind::KeyedValue, DataType::Text, &[1]);
        assert!(merge(&[left, right]).unwrap_err().contains("`counts`"));
    }
}
