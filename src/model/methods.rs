//! Several methods of an interface.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::MethodName;
use crate::value::{ListView, ValueRef};

/// The methods that a subscription is bound to: sorted, each once; none stands for all.
///
/// People write one as a text and several as a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MethodNames(Box<[MethodName]>);

impl MethodNames {
    pub(crate) fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, MethodName> {
        self.0.iter()
    }
}

impl FromIterator<MethodName> for MethodNames {
    fn from_iter<T: IntoIterator<Item = MethodName>>(names: T) -> Self {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        Self(names.into())
    }
}

/// What criteria over the column `method` read.
impl ListView for MethodNames {
    fn element_count(&self) -> usize {
        self.0.len()
    }

    fn element(&self, index: usize) -> Option<ValueRef<'_>> {
        self.0.get(index).map(|name| ValueRef::Str(name.as_str()))
    }
}

impl Serialize for MethodNames {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &*self.0 {
            [one] => one.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for MethodNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = MethodNames;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a method, or a list of one or more")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<MethodNames, E> {
        let name = MethodName::try_from(name).map_err(E::custom)?;
        Ok(MethodNames::from_iter([name]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<MethodNames, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = list.next_element()? {
            names.push(name);
        }
        // Whoever takes the last name out of a list does not mean all the others.
        if names.is_empty() {
            return Err(de::Error::invalid_length(0, &self));
        }
        Ok(MethodNames::from_iter(names))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "the names are valid")]
    use super::*;

    fn names(json: &str) -> Result<MethodNames, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn names_are_sorted_and_each_is_there_once() {
        let names = names(r#"["b", "a", "b"]"#).unwrap();
        let texts: Vec<_> = names.iter().map(MethodName::as_str).collect();
        assert_eq!(texts, ["a", "b"]);
        assert_eq!(serde_json::to_string(&names).unwrap(), r#"["a","b"]"#);
    }

    #[test]
    fn one_name_is_written_as_a_text_and_read_in_both_ways() {
        let one = names(r#""a""#).unwrap();
        assert_eq!(names(r#"["a"]"#).unwrap(), one);
        assert_eq!(serde_json::to_string(&one).unwrap(), r#""a""#);
    }

    #[test]
    fn empty_list_and_a_name_that_breaks_its_rule_are_refused() {
        let error = names("[]").unwrap_err();
        assert!(error.contains("a list of one or more"), "{error}");
        for json in [r#""a b""#, r#"["a", "a b"]"#] {
            let error = names(json).unwrap_err();
            assert!(error.contains("the method name \"a b\""), "{error}");
        }
    }
}
