//! Files as processes leave them, and disks that take nothing.

use std::fs::OpenOptions;
use std::io::Write;

use domain::RequestId;

use super::*;
use crate::tests::usage_row;

fn row(number: u16) -> UsageRow {
    let mut id = [0; 16];
    id[..2].copy_from_slice(&number.to_be_bytes());
    UsageRow {
        model_requested: "\u{1f600}\n\0".to_owned(),
        ..usage_row(RequestId::from_bytes(id))
    }
}

/// The rows in all segments below `folder`, and how many of them are damaged.
fn found(left: &Left) -> (Vec<UsageRow>, usize) {
    let mut all = Vec::new();
    let mut damaged = 0;
    for path in &left.segments {
        let mut rows = Rows::open(path).expect("a file");
        all.extend(rows.by_ref());
        damaged += usize::from(rows.is_damaged);
    }
    (all, damaged)
}

fn reopened(folder: &Path) -> (Vec<UsageRow>, usize) {
    let spool = Spool::open(folder).expect("a spool");
    found(&spool.left().expect("asked once"))
}

#[test]
fn what_a_process_leaves_the_next_one_finds() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows: Vec<UsageRow> = (0..5).map(row).collect();
    let first = Spool::open(folder.path()).expect("a spool");
    for row in &rows[..3] {
        assert_eq!(first.append(row), Some(1));
    }
    // Another process beside it has a folder of its own, and takes nothing from the living.
    let second = Spool::open(folder.path()).expect("a spool");
    assert_eq!(found(&second.left().expect("asked once")).0, []);
    assert!(second.left().is_none());
    for row in &rows[3..] {
        assert_eq!(second.append(row), Some(1));
    }
    drop((first, second));
    assert_eq!(reopened(folder.path()), (rows.clone(), 0));
    // Nothing was taken away, and new segments do not stand in the way of old ones.
    let third = Spool::open(folder.path()).expect("a spool");
    let sixth = row(6);
    third.append(&sixth).expect("kept");
    drop(third);
    let mut all = reopened(folder.path()).0;
    all.sort_by_key(|row| row.request);
    assert_eq!(all, [&rows[..], &[sixth]].concat());
}

#[test]
fn what_the_store_has_is_not_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path()).expect("a spool");
    for _ in 0..3 {
        let places = [spool.append(&row(1)), spool.append(&row(2))];
        spool.stored(places[..1].iter().flatten().copied(), false);
        assert!(spool.files().bytes() > 100);
        spool.stored(places[1..].iter().flatten().copied(), false);
        assert_eq!(spool.files().bytes(), 8);
    }
    // A full segment goes when its last row is stored.
    let rows = SEGMENT_BYTES / record(&row(0)).len() as u64 + 2;
    let places: Vec<Number> = (0..rows).filter_map(|_| spool.append(&row(1))).collect();
    assert_eq!((places[0], *places.last().expect("rows")), (1, 2));
    spool.stored(places, false);
    assert_eq!(spool.files().sealed.len(), 0);
    drop(spool);
    assert_eq!(reopened(folder.path()), (vec![], 0));
}

#[test]
fn what_waits_on_is_synced_once_and_what_the_store_takes_at_once_never() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path()).expect("a spool");
    // The store takes each before it is asked about again.
    for _ in 0..3 {
        assert!(spool.due().is_empty());
        let place = spool.append(&row(1)).expect("kept");
        assert!(spool.due().is_empty());
        spool.stored([place], false);
    }
    let first = spool.append(&row(1)).expect("kept");
    assert!(spool.due().is_empty() && !spool.is_synced());
    // What came since is synced along.
    let second = spool.append(&row(2)).expect("kept");
    let due = spool.due();
    assert_eq!(due.len(), 1);
    spool.sync(&due).expect("synced");
    assert!(spool.is_synced() && spool.due().is_empty());
    // What came while the disk was at work is not.
    spool.append(&row(3)).expect("kept");
    let due = spool.due();
    spool.append(&row(4)).expect("kept");
    spool.sync(&due).expect("synced");
    assert!(!spool.is_synced());
    spool.stored([first, second], false);
    let due = spool.due();
    assert_eq!(due.len(), 1, "the third waits on");
    spool.sync(&due).expect("synced");
    // One that takes no more rows is synced as well, and one that is gone meanwhile is no fault.
    let rows = SEGMENT_BYTES / record(&row(0)).len() as u64 + 2;
    let places: Vec<Number> = (0..rows).filter_map(|_| spool.append(&row(1))).collect();
    assert_eq!(spool.due().len(), 1);
    let due = spool.due();
    assert_eq!(due.len(), 2);
    spool.stored(places.into_iter().chain([first, first]), false);
    spool.sync(&due).expect("synced");
    assert!(spool.is_synced() && spool.due().is_empty());
}

#[test]
fn a_segment_with_a_row_that_the_store_refuses_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path()).expect("a spool");
    let place = spool.append(&row(1)).expect("kept");
    spool.stored([place], true);
    assert_ne!(spool.append(&row(2)), Some(place));
    drop(spool);
    assert_eq!(reopened(folder.path()), (vec![row(2)], 0));
    let aside = folder.path().join("usage-spool/0/0000000001.unreadable");
    let rows: Vec<UsageRow> = Rows::open(&aside).expect("it was set aside").collect();
    assert_eq!(rows, [row(1)]);
}

#[test]
fn a_segment_that_is_put_off_stays_until_it_was_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path()).expect("a spool");
    let place = spool.append(&row(1)).expect("kept");
    assert!(spool.next_put_off().is_none());
    spool.put_off(place);
    spool.stored([place], false);
    let (number, path) = spool.next_put_off().expect("it waits");
    assert_eq!(number, place);
    // What comes meanwhile goes elsewhere.
    assert_ne!(spool.append(&row(2)), Some(place));
    let rows: Vec<UsageRow> = Rows::open(&path).expect("a file").collect();
    assert_eq!(rows, [row(1)]);
    spool.read_through(number, false);
    assert!(spool.next_put_off().is_none());
    drop(spool);
    assert_eq!(reopened(folder.path()), (vec![row(2)], 0));
}

#[test]
fn a_cut_or_damaged_end_takes_no_row_before_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path()).expect("a spool");
    for number in 0..3 {
        spool.append(&row(number)).expect("kept");
    }
    drop(spool);
    let path = folder.path().join("usage-spool/0/0000000001.rows");
    let whole = std::fs::read(&path).expect("a file");
    let record = (whole.len() - HEADER) / 3;
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).expect("written");
        let expected = cut.saturating_sub(HEADER) / record;
        let (rows, damaged) = reopened(folder.path());
        assert_eq!(rows, [row(0), row(1), row(2)][..expected], "cut at {cut}");
        let at_a_border = cut < HEADER || (cut - HEADER).is_multiple_of(record);
        assert_eq!(damaged, usize::from(!at_a_border), "cut at {cut}");
        // Any byte of the last record.
        if cut >= HEADER + 2 * record {
            let mut wrong = whole.clone();
            wrong[cut] ^= 0x10;
            std::fs::write(&path, &wrong).expect("written");
            let (rows, damaged) = reopened(folder.path());
            assert_eq!((rows.len(), damaged), (2, 1), "byte {cut}");
        }
    }
    // A process that died while it tried the disk out.
    std::fs::write(&path, &whole).expect("written");
    let mut file = OpenOptions::new().append(true).open(&path).expect("a file");
    file.write_all(&[0; 64]).expect("written");
    assert_eq!(reopened(folder.path()).1, 0);
    std::fs::write(&path, b"something else").expect("written");
    assert_eq!(reopened(folder.path()), (vec![], 1));
}

const HEADER: usize = 8;

#[test]
fn a_full_disk_is_noticed_and_tried_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path()).expect("a spool");
    assert!(spool.is_ready());
    let full = OpenOptions::new().append(true).open("/dev/full");
    // The path is another one, since a segment that holds nothing is removed.
    let path = folder.path().join("usage-spool/0/0000000007.rows");
    std::fs::write(&path, b"").expect("written");
    let segment = Segment::of(path, full.expect("every Linux has it"));
    spool.files().active = Some((7, segment));
    assert_eq!(spool.append(&row(1)), None);
    assert!(!spool.ready.load(Ordering::Relaxed));
    // Half a record may stand in it, so a new one is made as soon as the disk takes it.
    assert!(spool.is_ready());
    assert!(spool.append(&row(2)).is_some());

    // No more than once a second.
    spool.ready.store(false, Ordering::Relaxed);
    assert!(!spool.is_ready());
    spool.files().tried_at = None;
    assert!(spool.is_ready());
    drop(spool);
    assert_eq!(reopened(folder.path()).0, [row(2)]);
}

#[test]
fn there_is_an_end_to_what_may_wait() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path()).expect("a spool");
    spool.files().most_bytes = 1_000;
    let places: Vec<Number> = std::iter::from_fn(|| spool.append(&row(1))).collect();
    assert!((2..10).contains(&places.len()));
    assert!(!spool.is_ready());
    spool.stored(places, false);
    spool.files().tried_at = None;
    assert!(spool.is_ready() && spool.append(&row(2)).is_some());
}

#[test]
fn there_is_an_end_to_the_folders() {
    let folder = tempfile::tempdir().expect("a folder");
    let spools: Vec<Spool> = (0..MAX_FOLDERS)
        .map(|_| Spool::open(folder.path()).expect("a spool"))
        .collect();
    let error = Spool::open(folder.path()).expect_err("all are taken");
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    drop(spools);
    Spool::open(folder.path()).expect("a spool");
}
