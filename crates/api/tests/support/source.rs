//! A journal in memory that is never sealed.

use bytes::Bytes;
use serde_json::Value;
use std::sync::Mutex;
use trailbox_history::{
    Batch, Entry, EntryKind, Fetched, Sealed, SealedSegment, Source, SourceError,
};
use trailbox_record::Category;

/// Entry `n` has sequence `n + 1`.
#[derive(Debug, Default)]
pub struct MemorySource(Mutex<Vec<Entry>>);

impl MemorySource {
    /// Appends a record.
    pub fn append(&self, record: &Value) {
        let text = |name: &str| record[name].as_str().unwrap().to_owned();
        let mut event_id = [0; 16];
        hex::decode_to_slice(text("eventID").replace('-', ""), &mut event_id).unwrap();
        let category = match &*text("eventCategory") {
            "Data" => Category::Data,
            "Insight" => Category::Insight,
            _ => Category::Management,
        };
        self.push(Entry {
            sequence: 0,
            kind: EntryKind::Record,
            account: text("recipientAccountId"),
            region: text("awsRegion"),
            category,
            event_id,
            payload: Bytes::from(record.to_string()),
        });
    }

    /// Begins a new generation.
    pub fn generation(&self) {
        let mut entry = self.0.lock().unwrap()[0].clone();
        entry.kind = EntryKind::Generation;
        self.push(entry);
    }

    fn push(&self, mut entry: Entry) {
        let mut entries = self.0.lock().unwrap();
        entry.sequence = entries.len() as u64 + 1;
        entries.push(entry);
    }
}

impl Source for MemorySource {
    fn after(&self, sequence: u64, max: usize) -> Result<Batch, SourceError> {
        let skipped = usize::try_from(sequence).unwrap();
        let entries: Vec<_> =
            self.0.lock().unwrap().iter().skip(skipped).take(max).cloned().collect();
        let through = sequence + entries.len() as u64;
        Ok(Batch { entries, through })
    }

    fn sealed(&self) -> Result<Sealed, SourceError> {
        Ok(Sealed::default())
    }

    fn read(&self, _: &SealedSegment, _: &mut dyn FnMut(Entry)) -> Result<(), SourceError> {
        Ok(())
    }

    fn fetch(&self, sequence: u64) -> Result<Fetched, SourceError> {
        let entries = self.0.lock().unwrap();
        Ok(Fetched::Present(entries[usize::try_from(sequence - 1).unwrap()].payload.clone()))
    }

    fn drop_segment(&self, _: &SealedSegment) -> Result<(), SourceError> {
        Ok(())
    }

    fn secret(&self, _: &str, id: Option<u32>) -> Result<Option<(u32, [u8; 32])>, SourceError> {
        Ok(Some((id.unwrap_or(1), [3; 32])))
    }
}
