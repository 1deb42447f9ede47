//! Named values.

use std::borrow::Borrow;
use std::collections::{BTreeMap, btree_map};

use serde::{Deserialize, Serialize};

use super::{ConversionError, EventValue, RecordView, Value, ValueRef};

/// Named values in the order of their names: a property bag, labels, an open record.
///
/// In criteria a key is read by path, `labels.severity = 'page'`; a missing key is NULL.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
#[doc(alias("PublisherProperties", "SubscriberProperties"))]
pub struct Properties {
    entries: BTreeMap<String, Value>,
}

impl Properties {
    /// Returns an empty bag.
    pub const fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
        }
    }

    /// Returns the value of `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.entries.get(name)
    }

    /// Returns the value of `name` as a Rust type; one that is missing is `None` of an `Option`.
    ///
    /// ```
    /// let bag = loosely::Properties::from([("level", 3)]);
    /// assert_eq!(bag.get_as::<u8>("level")?, 3);
    /// assert_eq!(bag.get_as::<Option<String>>("to")?, None);
    /// # Ok::<(), loosely::ConversionError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the value is of another kind or out of range, or there is none and `T` is no `Option`.
    pub fn get_as<T: EventValue>(&self, name: &str) -> Result<T, ConversionError> {
        let value = match self.get(name) {
            Some(value) => T::from_view(value.view()),
            None => {
                T::from_view(ValueRef::Null).map_err(|_| ConversionError::missing(&T::value_type()))
            }
        };
        value.map_err(|error| error.within(&name))
    }

    /// Puts `value` under `name` and returns the value that was there.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        self.entries.insert(name.into(), value.into())
    }

    /// Removes `name` and returns its value; a missing name is no error.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.entries.remove(name)
    }

    /// Returns the names and values in the order of the names.
    pub fn iter(&self) -> btree_map::Iter<'_, String, Value> {
        self.entries.iter()
    }

    /// Returns how many values there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl RecordView for Properties {
    fn field_count(&self) -> usize {
        self.entries.len()
    }

    fn field(&self, index: usize) -> Option<(&str, ValueRef<'_>)> {
        self.entries
            .iter()
            .nth(index)
            .map(|(name, value)| (name.as_str(), value.view()))
    }

    fn field_named(&self, name: &str) -> Option<ValueRef<'_>> {
        self.entries.get(name).map(Value::view)
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let entries = entries
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self {
            entries: entries.collect(),
        }
    }
}

impl<K: Into<String>, V: Into<Value>, const N: usize> From<[(K, V); N]> for Properties {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K: Into<String>, V: Into<Value>> Extend<(K, V)> for Properties {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        self.entries.extend(
            entries
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
    }
}

impl<'a> IntoIterator for &'a Properties {
    type Item = (&'a String, &'a Value);
    type IntoIter = btree_map::Iter<'a, String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Properties {
    type Item = (String, Value);
    type IntoIter = btree_map::IntoIter<String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl Borrow<BTreeMap<String, Value>> for Properties {
    fn borrow(&self) -> &BTreeMap<String, Value> {
        &self.entries
    }
}
