//! The simulated disk keeps what it must, loses what it may, fails where told.

use super::{Disk, Fault, SimulatedDisk};
use std::io::ErrorKind;
use std::path::Path;

#[test]
fn what_was_synced_survives_and_the_rest_may_not() {
    let mut torn = 0;
    for seed in 0..50 {
        let disk = SimulatedDisk::new(seed);
        let file = disk.create(Path::new("/d/a")).unwrap();
        file.write_at(0, &[1; 1000]).unwrap();
        file.sync().unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        file.write_at(1000, &[2; 3000]).unwrap();
        disk.cut_power();
        assert!(file.write_at(0, &[9]).is_err());
        disk.restore_power();
        let file = disk.open(Path::new("/d/a"), true).unwrap();
        let mut content = vec![0; 5000];
        let len = file.read_at(0, &mut content).unwrap();
        assert!(len >= 1000 && content[..1000].iter().all(|&b| b == 1), "seed {seed}");
        torn += usize::from(len < 4000 || content[1000..4000].contains(&0));
    }
    assert!(torn > 10, "only {torn} of 50 seeds lost something");
}

#[test]
fn a_fault_strikes_once_where_it_was_put() {
    let disk = SimulatedDisk::new(1);
    disk.fail_at(1, Fault::Short(ErrorKind::StorageFull));
    let file = disk.create(Path::new("/d/a")).unwrap();
    assert_eq!(file.write_at(0, &[1; 10]).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 5);
    file.write_at(0, &[1; 10]).unwrap();
}
