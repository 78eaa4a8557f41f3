//! Every rule by which a value written by one version of a type is read by another.

use eddyline_core::data::{from_bytes_of, to_bytes};
use eddyline_core::{Data, DecodeError};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;

/// Reads `written` as another type.
fn read<W: Data, R: Data>(written: &W) -> Result<R, DecodeError> {
    from_bytes_of(&to_bytes(written), &W::schema())
}

fn check<W: Data, R: Data + PartialEq + Debug>(written: W, expected: R) {
    assert_eq!(read::<W, R>(&written).unwrap(), expected);
}

fn check_error<W: Data, R: Data + Debug>(written: W, expected: &str) {
    assert_eq!(read::<W, R>(&written).unwrap_err().to_string(), expected);
}

mod before {
    use super::*;
    #[derive(Clone, Data)]
    pub struct User {
        pub id: u32,
        pub name: String,
        pub visits: BTreeMap<String, u16>,
        pub state: State,
        pub address: Address,
    }
    #[derive(Clone, Data)]
    pub struct Address {
        pub town: String,
        pub code: u32,
    }
    #[derive(Clone, Data)]
    pub enum State {
        New,
        Active(u32),
        Blocked { reason: String },
        Gone,
    }
    impl User {
        pub fn example(state: State) -> Self {
            let address = Address { town: "Ulm".into(), code: 89073 };
            User { id: 1, name: "Ada".into(), visits: BTreeMap::from([("/".into(), 3)]), state, address }
        }
    }
}

mod after {
    use super::*;
    #[derive(Debug, Clone, PartialEq, Data)]
    pub struct User {
        pub state: State,
        pub email: Option<String>,
        pub visits: BTreeMap<String, u64>,
        #[data(alias = "name")]
        pub full_name: String,
        pub id: Option<i64>,
        pub address: Address,
    }
    #[derive(Debug, Clone, PartialEq, Data)]
    pub struct Address {
        #[data(alias = "zip", alias = "code")]
        pub postal_code: u64,
    }
    #[derive(Debug, Clone, PartialEq, Data)]
    pub enum State {
        #[data(alias = "Blocked")]
        Suspended {
            reason: Option<String>,
            until: Option<i64>,
        },
        Trial,
        Active(u64),
        New,
    }
}

#[test]
fn fields_come_go_widen_move_and_are_renamed_at_every_depth() {
    let expected = |state| after::User {
        state,
        email: None,
        visits: BTreeMap::from([("/".into(), 3)]),
        full_name: "Ada".into(),
        id: Some(1),
        address: after::Address { postal_code: 89073 },
    };
    use before::State as Before;
    check(before::User::example(Before::New), expected(after::State::New));
    check(before::User::example(Before::Active(4)), expected(after::State::Active(4)));
    let suspended = after::State::Suspended { reason: Some("spam".into()), until: None };
    check(before::User::example(Before::Blocked { reason: "spam".into() }), expected(suspended));
    check_error::<_, after::User>(
        before::User::example(Before::Gone),
        "field `state`: enum State has no variant `Gone` any more",
    );
}

#[derive(Debug, Clone, PartialEq, Data)]
struct One<T> {
    field: T,
}

#[derive(Debug, Clone, PartialEq, Data)]
struct Outer<T> {
    outer: T,
}

#[derive(Debug, Clone, PartialEq, Data)]
struct Two<T, U> {
    field: T,
    more: U,
}

#[test]
fn a_new_field_must_be_optional() {
    check(One { field: 1u8 }, Two { field: 1u8, more: None::<String> });
    check_error::<_, Two<u8, String>>(
        One { field: 1u8 },
        "field `more`: the writer had no such field, and it is not optional here",
    );
}

#[test]
fn a_dropped_field_is_skipped() {
    check(Two { field: vec![1u8], more: 2u64 }, One { field: vec![1u8] });
    check(Two { field: "x".to_string(), more: 2u64 }, Outer { outer: None::<u8> });
}

#[test]
fn numbers_widen_and_never_narrow() {
    check(-3i8, -3i16);
    check(-3i32, -3i64);
    check(i64::MIN, i128::from(i64::MIN));
    check(3u8, 3u64);
    check(u64::MAX, u128::from(u64::MAX));
    check(3u32, 3i64);
    check(3u32, 3usize);
    check(0.1f32, f64::from(0.1f32));
    check(-3i32, -3.0f64);
    check('x', "x".to_string());
    check_error::<_, u32>(1u64, "a wider integer cannot become u32");
    check_error::<_, i32>(1u32, "a wider integer cannot become i32");
    check_error::<_, i8>(1i16, "a wider integer cannot become i8");
    check_error::<_, u64>(1i8, "u64 expected, signed integer found");
    check_error::<_, f32>(1f64, "f32 expected, float found");
    check_error::<_, f64>(1i64, "f64 expected, signed integer found");
}

#[test]
fn a_value_may_become_optional_and_not_the_other_way() {
    check(One { field: 1u8 }, One { field: Some(1u16) });
    check(Some(1u8), Some(1u16));
    check_error::<_, u8>(Some(1u8), "u8 expected, optional found");
}

#[test]
fn containers_map_part_by_part() {
    check((1u8, "x".to_string()), (1u32, Some("x".to_string())));
    check(vec![1u8, 2], VecDeque::from([1u8, 2]));
    check(vec![2u16, 1], BTreeSet::from([1u32, 2]));
    check(BTreeMap::from([(1u8, 2u8)]), BTreeMap::from([(1u16, Some(2u32))]));
    check([1u8, 2], [1u64, 2]);
    check(Box::new(1u8), 1u16);
    check_error::<_, (u8, u8)>((1u8, 2u8, 3u8), "a tuple of 2 expected, one of 3 found");
    check_error::<_, Vec<u8>>(BTreeMap::from([(1u8, 2u8)]), "list expected, map found");
}

#[test]
fn names_go_before_aliases() {
    #[derive(Debug, Clone, PartialEq, Data)]
    struct Renamed {
        #[data(alias = "field")]
        more: u8,
    }
    check(Two { field: 1u8, more: 2u8 }, Renamed { more: 2 });
    check(One { field: 1u8 }, Renamed { more: 1 });
    #[derive(Debug, Clone, PartialEq, Data)]
    enum Old {
        A,
        B,
    }
    #[derive(Debug, Clone, PartialEq, Data)]
    enum Now {
        #[data(alias = "A")]
        C,
        B,
        A,
    }
    check(Old::A, Now::A);
    check(Old::B, Now::B);
    assert_ne!(Now::C, Now::A);
}

#[test]
fn an_error_names_the_field_by_its_whole_path() {
    check_error::<_, Outer<One<bool>>>(
        Outer { outer: One { field: "x".to_string() } },
        "field `outer.field`: bool expected, text found",
    );
    check_error::<_, Outer<Vec<One<u8>>>>(
        Outer { outer: vec![One { field: 1u64 }] },
        "field `outer.field`: a wider integer cannot become u8",
    );
    check_error::<_, Outer<(u8, (u8, bool))>>(
        Outer { outer: (1u8, (2u8, 3u8)) },
        "field `outer.1.1`: bool expected, unsigned integer found",
    );
    #[derive(Debug, Clone, Data)]
    enum Wide {
        Active(u64),
    }
    check_error::<_, Outer<before::State>>(
        Outer { outer: Wide::Active(1) },
        "field `outer.Active.0`: a wider integer cannot become u32",
    );
    check_error::<_, One<u8>>((1u8,), "struct expected, tuple found");
    check_error::<_, Wide>(1u8, "Wide expected, unsigned integer found");
}

impl Debug for before::State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("State")
    }
}
