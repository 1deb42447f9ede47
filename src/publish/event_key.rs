//! By what the events of a subscription are told apart.

use super::event_row::EventRow;
use super::site::{Site, scope};
use crate::filter::Path;
use crate::model::Binding;
use crate::value::{ValueKey, ValueRef, write_key};

/// Where the parts of an event's key are: method -> their paths. What a method does not have is
/// NULL.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyPaths(Box<[(usize, Paths)]>);

/// The path of each part, where the method has it.
type Paths = Box<[Option<Path>]>;

impl KeyPaths {
    /// Finds the names in the methods of a site that a subscription is bound to.
    pub(super) fn new(names: &[&str], site: &Site, binding: &Binding) -> Self {
        if names.is_empty() {
            return Self::default();
        }
        let paths = site.methods(binding).map(|(index, method)| {
            let scope = scope(&site.class, method);
            let path = |name: &&str| scope.place(name).ok().map(|(path, _)| path);
            (index, names.iter().map(path).collect())
        });
        Self(paths.collect())
    }

    /// Returns the key of an event; the same of all, if there are no names.
    pub(super) fn key(&self, method: usize, row: &EventRow<'_>) -> ValueKey {
        if self.0.is_empty() {
            return ValueKey::ONLY;
        }
        let mut bytes = Vec::new();
        self.write(method, row, &mut bytes);
        ValueKey::from_bytes(&bytes)
    }

    /// Adds the key of an event to `out`.
    pub(super) fn write(&self, method: usize, row: &EventRow<'_>, out: &mut Vec<u8>) {
        let mut methods = self.0.iter();
        let Some((_, paths)) = methods.find(|(of, _)| *of == method) else {
            return;
        };
        for path in paths {
            let value = path.as_ref().map_or(ValueRef::Null, |path| path.read(row));
            write_key(value, out);
        }
    }
}
