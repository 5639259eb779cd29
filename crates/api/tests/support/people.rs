//! People in memory.

use std::sync::{Arc, Mutex};
use trailbox_api::{Addition, People, PeopleError, SyncOrder, SyncReport};
use trailbox_identity::{Directory, Owner};

/// A directory behind a lock; ids are made up in order.
#[derive(Debug)]
pub struct MemoryPeople(Mutex<Arc<Directory>>);

impl MemoryPeople {
    pub fn new(directory: Directory) -> Self {
        Self(Mutex::new(Arc::new(directory)))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Directory) -> T) -> T {
        change(Arc::make_mut(&mut self.0.lock().unwrap()))
    }
}

#[async_trait::async_trait]
impl People for MemoryPeople {
    fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.0.lock().unwrap())
    }

    async fn add(&self, additions: Vec<Addition>) -> Result<(), PeopleError> {
        let held = self.directory();
        for key in additions.iter().filter_map(|addition| addition.key.as_ref()) {
            let owner = held.key(&key.id).map(|held| &held.owner);
            if let (Some(Owner::Principal(owner)), true) = (owner, owner != Some(&key.owner)) {
                return Err(PeopleError::KeyTaken { id: key.id.clone(), owner: owner.clone() });
            }
        }
        self.change(|directory| {
            for Addition { mut principal, key } in additions {
                let held = directory.registered(&principal.arn).map(|held| held.id.clone());
                principal.id =
                    held.unwrap_or_else(|| format!("AIDA{:017}", directory.principals().count()));
                directory.add_principal(principal);
                if let Some(key) = key {
                    directory.add_key(key);
                }
            }
        });
        Ok(())
    }

    async fn remove_principal(&self, arn: &str) -> Result<bool, PeopleError> {
        Ok(self.change(|directory| directory.remove_principal(arn)))
    }

    async fn remove_key(&self, id: &str) -> Result<bool, PeopleError> {
        Ok(self.change(|directory| directory.remove_key(id)))
    }

    async fn set_active(&self, id: &str, active: bool) -> Result<bool, PeopleError> {
        Ok(self.change(|directory| directory.set_active(id, active)))
    }

    /// The source `http://empty` is refused; all others list nobody.
    async fn sync(&self, order: SyncOrder) -> Result<SyncReport, PeopleError> {
        if order.endpoint == "http://empty" {
            return Err(PeopleError::NotSynced { reason: "it lists nobody".to_owned() });
        }
        let source = format!("sync:{}:{}", order.kind, order.endpoint);
        let notes = vec![format!("{:?} {}", order.account, order.default_account)];
        Ok(SyncReport { source, dry_run: order.dry_run, notes, ..SyncReport::default() })
    }
}
