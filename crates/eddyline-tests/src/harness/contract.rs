//! What every storage of checkpoints has to keep to, whatever is behind it.

use eddyline_state::{DirectoryEntry, ObjectStorage};
use std::sync::{Arc, Barrier};

/// Threads that put the same name at the same time.
const RIVALS: usize = 6;

/// Checks `storage`, which has nothing below `contract/`.
///
/// # Panics
/// If it does not keep to it.
pub fn check_contract(storage: &Arc<dyn ObjectStorage>) {
    let good = |what: &str, outcome: eddyline::Result<bool>| match outcome {
        Ok(value) => value,
        Err(error) => panic!("{what}: {}", error.report()),
    };
    assert_eq!(storage.list("contract").map_err(|error| error.report()), Ok(Vec::new()));
    assert!(good("the first", storage.put_new("contract/a/one", b"first")));
    assert!(!good("the second", storage.put_new("contract/a/one", b"second")));
    assert_eq!(storage.read("contract/a/one").ok().as_deref(), Some(b"first".as_slice()));
    one_of_many_wins(storage);
    large_objects(storage);
    let entry = |name: &str, is_directory| DirectoryEntry { name: name.into(), is_directory };
    let listed = storage.list("contract").map_err(|error| error.report());
    assert_eq!(listed, Ok(vec![entry("a", true), entry("large", false), entry("rivals", true)]));
    assert_eq!(storage.length("contract/none").ok(), Some(None));
    assert!(storage.read("contract/none").is_err());
    let names = ["contract/a/one", "contract/large", "contract/none"].map(str::to_owned);
    assert!(storage.remove(&names).is_ok());
    assert!(storage.clear_if_empty("contract/a").is_ok());
    assert_eq!(storage.length("contract/large").ok(), Some(None));
    assert_eq!(storage.list("contract").ok(), Some(vec![entry("rivals", true)]));
}

fn one_of_many_wins(storage: &Arc<dyn ObjectStorage>) {
    for round in 0..5 {
        let start = Arc::new(Barrier::new(RIVALS));
        let rivals = (0..RIVALS).map(|rival| {
            let (storage, start) = (storage.clone(), start.clone());
            std::thread::spawn(move || {
                start.wait();
                // Whoever loses may also be told that it failed, but never that it won.
                storage.put_new(&format!("contract/rivals/{round}"), format!("{rival}").as_bytes()).ok()
            })
        });
        let outcomes: Vec<_> =
            rivals.collect::<Vec<_>>().into_iter().map(|rival| rival.join().ok()).collect();
        let winners: Vec<usize> = (0..RIVALS).filter(|rival| outcomes[*rival] == Some(Some(true))).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        let stored = storage.read(&format!("contract/rivals/{round}")).ok();
        assert_eq!(stored, Some(winners[0].to_string().into_bytes()));
    }
}

fn large_objects(storage: &Arc<dyn ObjectStorage>) {
    let whole: Vec<u8> = (0..21_000_007u32).map(|index| (index % 251) as u8).collect();
    let written = storage.create("contract/large").and_then(|mut writer| {
        whole.chunks(1 << 20).try_for_each(|chunk| writer.write(chunk))?;
        assert_eq!(storage.length("contract/large")?, None, "nothing is seen before it is whole");
        writer.finish()
    });
    assert_eq!(written.map_err(|error| error.report()), Ok(()));
    assert_eq!(storage.length("contract/large").ok(), Some(Some(whole.len() as u64)));
    for (offset, length) in [(0, 10), (4_194_300, 10), (8_000_000, 9_000_000), (21_000_000, 7), (5, 0)] {
        let read = storage.read_range("contract/large", offset, length).map_err(|error| error.report());
        assert!(read.as_deref() == Ok(&whole[offset as usize..(offset + length) as usize]), "{offset}");
    }
    assert!(storage.read_range("contract/large", 21_000_000, 8).is_err());
}
