//! Keys are made, kept, rotated, erased, and survive what fails.

use super::LocalKeys;
use crate::MasterKey;
use std::path::Path;
use std::sync::Arc;
use trailbox_clock::SeededRandom;
use trailbox_journal::{DataKeys as _, KeyError};

fn keys(dir: &Path, master: u8) -> LocalKeys {
    let random = Arc::new(SeededRandom::new(u64::from(master)));
    LocalKeys::open(dir, Arc::new(MasterKey::from_bytes([master; 32], random))).unwrap()
}

#[test]
fn a_made_key_is_there_for_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let made = keys(dir.path(), 1).current("111122223333").unwrap();
    assert_eq!(made.id, 1);
    let other = keys(dir.path(), 1);
    assert_eq!(other.by_id("111122223333", 1), Ok(made.key));
    assert_eq!(other.current("111122223333"), Ok(made));
    assert_eq!(other.accounts().unwrap(), ["111122223333"]);
}

#[test]
fn accounts_have_different_keys_and_files_hold_none_in_clear() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(dir.path(), 1);
    let (a, b) = (keys.current("a").unwrap(), keys.current("b").unwrap());
    assert_ne!(a.key, b.key);
    let file = std::fs::read(dir.path().join("a.json")).unwrap();
    assert!(!file.windows(32).any(|window| window == a.key));
}

#[test]
fn rotation_adds_a_key_and_keeps_the_old_one_readable() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(dir.path(), 1);
    let first = keys.current("a").unwrap();
    assert_eq!(keys.rotate("a"), Ok(2));
    assert_eq!(keys.current("a").unwrap().id, 2);
    assert_eq!(keys.by_id("a", 1), Ok(first.key));
}

#[test]
fn erasure_is_final_seen_by_other_processes_and_leaves_room_for_new_keys() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (keys(dir.path(), 1), keys(dir.path(), 1));
    here.current("a").unwrap();
    here.rotate("a").unwrap();
    assert!(there.by_id("a", 2).is_ok());
    here.erase("a").unwrap();
    let erased = Err(KeyError::Erased { account: "a".to_owned() });
    for id in [1, 2] {
        assert_eq!(here.by_id("a", id), erased);
        assert_eq!(there.by_id("a", id), erased);
    }
    assert_eq!(here.current("a").unwrap().id, 3);
    assert!(matches!(there.by_id("a", 4), Err(KeyError::Unknown { id: 4, .. })));
}

#[test]
fn another_master_key_opens_nothing_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    keys(dir.path(), 1).current("a").unwrap();
    let err = keys(dir.path(), 2).current("a").unwrap_err().to_string();
    assert!(err.contains("is this the right master key?"), "{err}");
}

#[test]
fn an_account_that_is_no_file_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for account in ["", "../a", "a/b", "a.b", &"a".repeat(65)] {
        assert!(keys(dir.path(), 1).current(account).is_err(), "{account:?}");
    }
}

#[test]
fn whatever_step_fails_a_key_that_was_given_out_survives_a_power_loss() {
    use std::io::ErrorKind;
    use trailbox_journal::disk::{Disk, Fault, SimulatedDisk};
    let open = |disk: &SimulatedDisk| {
        let random = Arc::new(SeededRandom::new(9));
        let master = Arc::new(MasterKey::from_bytes([1; 32], random));
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        LocalKeys::open_on(disk, "/keys", master)
    };
    for kind in [ErrorKind::Other, ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem] {
        for operation in 0..16 {
            for short in [false, true] {
                let fault = if short { Fault::Short(kind) } else { Fault::Error(kind) };
                let disk = SimulatedDisk::new(operation);
                disk.fail_at(operation, fault);
                let what = format!("{fault:?} at operation {operation}");
                let keys = open(&disk).or_else(|_| open(&disk)).unwrap();
                let mut given = Vec::new();
                for _ in 0..3 {
                    given.extend(keys.current("a"));
                    given.extend(keys.rotate("a").and_then(|_| keys.current("a")));
                }
                assert!(given.len() >= 5, "{what}: {}", given.len());
                disk.cut_power();
                disk.restore_power();
                let keys = open(&disk).unwrap();
                for key in given {
                    assert_eq!(keys.by_id("a", key.id), Ok(key.key), "{what}");
                }
            }
        }
    }
}

#[test]
fn however_many_accounts_there_are_only_so_many_keys_stay_in_memory() {
    let disk = trailbox_journal::disk::SimulatedDisk::new(1);
    let master = Arc::new(MasterKey::from_bytes([1; 32], Arc::new(SeededRandom::new(9))));
    let keys = LocalKeys::open_on(Arc::new(disk), "/keys", master).unwrap();
    let first = keys.current("a0").unwrap();
    for n in 1..super::ACCOUNTS + 50 {
        keys.current(&format!("a{n}")).unwrap();
    }
    assert!(keys.known().len() <= super::ACCOUNTS);
    assert_eq!(keys.current("a0"), Ok(first));
}
