//! Checkpoints that earlier versions have written can still be read.

#![allow(clippy::unwrap_used)] // a test may stop at what it does not expect

use eddyline_protocol::ManifestKind;
use eddyline_state::{
    CheckpointStore, FileObjects, FileSystem, MemoryFileSystem, ObjectStorage, open_snapshot,
};
use std::path::Path;
use std::sync::Arc;

/// The checkpoints that were written in that format: a file per `file` line, its bytes in hexadecimal below.
fn written_by(text: &str) -> CheckpointStore {
    let files = MemoryFileSystem::new();
    for file in text.split("file ").filter(|file| !file.is_empty()) {
        let (name, hex) = file.split_once('\n').unwrap();
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
        let path = Path::new("/checkpoints/eddyline-logs").join(name);
        files.create_dir_all(path.parent().unwrap()).unwrap();
        files.create_new(&path).unwrap().unwrap().write(&bytes).unwrap();
    }
    CheckpointStore::new(Arc::new(files), "/checkpoints", "eddyline-logs").unwrap()
}

#[test]
fn a_checkpoint_of_format_1_is_read_whole_and_becomes_a_savepoint() {
    let store = written_by(include_str!("data/checkpoint-format-1.txt"));
    let newest = *store.complete_checkpoints().unwrap().last().unwrap();
    let manifest = store.read_manifest(newest).unwrap();
    assert_eq!((manifest.format, manifest.kind, &manifest.origin), (1, ManifestKind::Checkpoint, &None));
    let uids: Vec<_> = manifest.operators.iter().map(|operator| operator.uid.as_str()).collect();
    assert!(uids.contains(&"dead-letters"), "{uids:?}");
    store.check_files(&manifest).unwrap();
    store.verify(&manifest).unwrap();
    let target: Arc<dyn ObjectStorage> =
        Arc::new(FileObjects::new(Arc::new(MemoryFileSystem::new()), "/kept"));
    let written = store.write_savepoint(newest, target.as_ref()).unwrap();
    let savepoint = open_snapshot(target, &written.directory).unwrap();
    savepoint.verify().unwrap();
    assert_eq!((savepoint.manifest.format, savepoint.manifest.kind), (2, ManifestKind::Savepoint));
}
