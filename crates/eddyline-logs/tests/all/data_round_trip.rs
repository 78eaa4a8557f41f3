//! What travels between operators survives its encoding.

use eddyline_core::Data;
use eddyline_core::data::{from_bytes, to_bytes};
use eddyline_logs::{LogEvent, PathCount, Session};
use std::fmt::Debug;

#[track_caller]
fn check<T: Data + PartialEq + Debug>(value: T) {
    let bytes = to_bytes(&value);
    assert_eq!(from_bytes::<T>(&bytes).expect("the same schema"), value);
    assert!(value.heap_bytes() > 0, "texts own memory");
}

#[test]
fn values_survive_their_encoding() {
    check(LogEvent { time: -5, host: "::1".into(), path: "/\u{fffd}".into(), status: 599, bytes: u64::MAX });
    check(Session { host: "a".into(), start: 1, end: 2, requests: 3, bytes: 4 });
    check(PathCount { path: "/".into(), count: 1 });
}
