//! All that is wrong with a record, at once.

use std::fmt;

use crate::error::{Error, ErrorKind};

/// One thing that is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    field: &'static str,
    message: String,
    /// The message at length, in more lines than one.
    long: String,
}

/// Everything that is wrong with a record; the [source](std::error::Error::source) of an error of
/// kind [`Invalid`](ErrorKind::Invalid).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    problems: Vec<Problem>,
}

impl Problem {
    /// Returns the field at fault.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// Returns what is wrong with it.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl Problems {
    /// Returns the problems in the order of the fields.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.problems.iter()
    }

    pub(crate) fn add(&mut self, field: &'static str, message: impl fmt::Display) {
        self.problems.push(Problem {
            field,
            message: message.to_string(),
            long: format!("{message:#}"),
        });
    }

    /// Keeps the value, or the reason why there is none.
    pub(crate) fn take<T, E: fmt::Display>(
        &mut self,
        field: &'static str,
        value: Result<T, E>,
    ) -> Option<T> {
        value.map_err(|error| self.add(field, error)).ok()
    }

    /// Returns the value, if all is well with `what`.
    pub(crate) fn or<T>(self, what: impl fmt::Display, value: Option<T>) -> Result<T, Error> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => {
                let message = format!("{what} is not valid");
                Err(Error::new(ErrorKind::Invalid, message).explained_by(self))
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = if f.alternate() {
            &self.long
        } else {
            &self.message
        };
        write!(f, "{}: {message}", self.field)
    }
}

/// The alternate form, `{:#}`, gives each problem lines of its own, with the place underlined in
/// criteria.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems
            .iter()
            .enumerate()
            .try_for_each(|(index, problem)| {
                let first = index == 0;
                match f.alternate() {
                    true => write!(f, "\n{problem:#}"),
                    false if first => write!(f, "{problem}"),
                    false => write!(f, "; {problem}"),
                }
            })
    }
}

impl std::error::Error for Problems {}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
