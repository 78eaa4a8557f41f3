//! Things that the environment of a job lends to its operators, found by type.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// As a service: the job is to give final results only.
#[derive(Debug, Clone, Copy)]
pub struct BatchMode;

/// A set of services, at most one of each type.
#[derive(Clone, Default)]
pub struct Services(BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl Services {
    /// Adds or replaces the service of type `S`.
    pub fn insert<S: Send + Sync + 'static>(&mut self, service: Arc<S>) {
        self.0.insert(TypeId::of::<S>(), service);
    }

    /// The service of type `S`.
    pub fn get<S: Send + Sync + 'static>(&self) -> Option<Arc<S>> {
        self.0.get(&TypeId::of::<S>()).and_then(|service| service.clone().downcast().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_by_type() {
        let mut services = Services::default();
        services.insert(Arc::new(7u32));
        assert_eq!(services.get::<u32>().as_deref(), Some(&7));
        assert!(services.get::<u64>().is_none());
    }
}
