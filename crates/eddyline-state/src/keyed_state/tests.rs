//! Tests of the handles on keyed state.

use super::*;
use eddyline_core::KeyGroupRange;

const ALL: KeyGroupRange = KeyGroupRange { start: 0, end: 4 };

fn value<V: Data>(context: &KeyContext<String>) -> ValueState<V> {
    ValueState::in_table(context, &Rc::new(RefCell::new(KeyedTable::new("state", ALL, 4))))
}

fn select(context: &KeyContext<String>, key: &str) {
    let key = key.to_string();
    context.set(key.stable_hash(), &key);
}

#[test]
fn states_show_what_belongs_to_the_current_key() {
    let context = KeyContext::new();
    let (count, list) = (value::<u64>(&context), ListState::new(value::<Vec<u32>>(&context)));
    let map = MapState::new(value::<BTreeMap<String, i32>>(&context));
    select(&context, "a");
    assert_eq!((count.get(), list.get(), map.get(&"x".into())), (None, vec![], None));
    count.update(3);
    count.update(4);
    assert_eq!(count.with_mut(|| 0, |n| std::mem::replace(n, 9)), 4);
    list.add(1);
    list.add_all([2, 3]);
    assert_eq!(map.insert("x".into(), 1), None);
    select(&context, "b");
    assert_eq!((count.get(), list.get(), map.is_empty()), (None, vec![], true));
    count.with_mut(|| 10, |n| *n += 1);
    list.update(vec![7]);
    select(&context, "a");
    assert_eq!((count.get(), list.take(), map.contains(&"x".into())), (Some(9), vec![1, 2, 3], true));
    assert_eq!((map.remove(&"x".into()), map.remove(&"x".into())), (Some(1), None));
    assert!(map.with(|map| map.is_none()), "an empty map is forgotten");
    count.clear();
    assert_eq!((count.get(), list.get()), (None, vec![]));
    select(&context, "b");
    assert_eq!((count.take(), list.with(<[u32]>::len)), (Some(11), 1));
}

struct Mean;
impl Accumulator for Mean {
    type Input = f64;
    type State = (f64, u64);
    type Output = f64;
    fn create(&self) -> (f64, u64) {
        (0.0, 0)
    }
    fn add(&self, state: &mut (f64, u64), input: f64) {
        state.0 += input;
        state.1 += 1;
    }
    fn merge(&self, state: &mut (f64, u64), other: (f64, u64)) {
        state.0 += other.0;
        state.1 += other.1;
    }
    fn result(&self, state: &(f64, u64)) -> f64 {
        state.0 / state.1 as f64
    }
}

#[test]
fn reducing_and_aggregating_states_merge() {
    let context = KeyContext::new();
    let longest =
        ReducingState::new(
            value::<String>(&context),
            |a: &String, b: String| {
                if b.len() > a.len() { b } else { a.clone() }
            },
        );
    let mean = AggregatingState::new(value(&context), Mean);
    select(&context, "k");
    assert_eq!((longest.get(), mean.get()), (None, None));
    ["ab", "abc", "x"].iter().for_each(|text| longest.add(text.to_string()));
    [1.0, 2.0, 6.0].into_iter().for_each(|number| mean.add(number));
    assert_eq!((longest.get(), mean.get()), (Some("abc".to_string()), Some(3.0)));
    longest.clear();
    mean.clear();
    assert_eq!((longest.get(), mean.get()), (None, None));
}
