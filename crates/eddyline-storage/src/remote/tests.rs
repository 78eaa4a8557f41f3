//! The adapter on `object_store`'s own storage in memory; real servers are tested in `eddyline-tests`.

use super::*;
use object_store::memory::InMemory;

fn objects() -> RemoteObjects {
    let problems = Problems::new("s3://bucket/some", Vec::new(), "");
    RemoteObjects::new(Arc::new(InMemory::new()), "some/", Duration::from_secs(1), problems).unwrap()
}

#[test]
fn objects_are_put_once_listed_and_removed() {
    let objects = objects();
    assert_eq!((objects.list("a").unwrap(), objects.length("a/b").unwrap()), (Vec::new(), None));
    assert!(objects.put_new("a/b", b"first").unwrap());
    assert!(!objects.put_new("a/b", b"second").unwrap());
    assert!(
        objects.put_new("a/b", b"first").unwrap(),
        "the same again is what a repeated request looks like"
    );
    assert!(objects.put_new("a/empty", b"").unwrap() && !objects.put_new("a/empty", b"").unwrap());
    assert!(objects.put_new("a/below/c", b"x").unwrap());
    assert_eq!(objects.read("a/b").unwrap(), b"first");
    assert_eq!(objects.read_range("a/b", 1, 3).unwrap(), b"irs");
    assert!(objects.read_range("a/b", 3, 9).is_err());
    let names: Vec<_> =
        objects.list("a").unwrap().into_iter().map(|entry| (entry.name, entry.is_directory)).collect();
    assert_eq!(names, [("b".into(), false), ("below".into(), true), ("empty".into(), false)]);
    objects.remove(&["a/b".into(), "a/empty".into(), "a/below/c".into(), "a/none".into()]).unwrap();
    objects.clear_if_empty("a").unwrap();
    assert_eq!(objects.list("").unwrap(), []);
    let error = objects.read("a/b").unwrap_err();
    assert!(error.report().contains("s3://bucket/some/a/b"), "{}", error.report());
}

#[test]
fn large_objects_go_in_parts_and_appear_whole() {
    let objects = objects();
    let whole: Vec<u8> = (0..20_000_003u32).map(|index| (index % 253) as u8).collect();
    for length in [0, 5, 8 << 20, (8 << 20) + 1, whole.len()] {
        let name = format!("parts/{length}");
        let mut writer = objects.create(&name).unwrap();
        whole[..length].chunks(700_001).for_each(|chunk| writer.write(chunk).unwrap());
        assert_eq!(objects.length(&name).unwrap(), None, "nothing is seen before it is whole");
        writer.finish().unwrap();
        assert_eq!(objects.length(&name).unwrap(), Some(length as u64));
        assert!(objects.read(&name).unwrap() == whole[..length]);
    }
    let mut given_up = objects.create("parts/given-up").unwrap();
    given_up.write(&whole).unwrap();
    drop(given_up);
    assert_eq!(objects.length("parts/given-up").unwrap(), None);
    let mut twice = objects.create("parts/5").unwrap();
    twice.write(b"other").unwrap();
    assert!(twice.finish().unwrap_err().message().contains("exists already"));
}
