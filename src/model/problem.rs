//! All that is wrong with a record, at once.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};

/// One thing that is wrong with a record; its [source](StdError::source), where there is one, is
/// what the message says, as an error of its own type.
#[derive(Debug, Clone)]
pub struct Problem {
    field: &'static str,
    message: String,
    /// The message at length, in more lines than one.
    long: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
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
            source: None,
        });
    }

    /// Adds a problem that is an error by itself.
    pub(crate) fn add_error(
        &mut self,
        field: &'static str,
        error: impl StdError + Send + Sync + 'static,
    ) {
        self.problems.push(Problem {
            field,
            message: error.to_string(),
            long: format!("{error:#}"),
            source: Some(Arc::new(error)),
        });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Keeps the value, or the reason why there is none.
    pub(crate) fn take<T, E: StdError + Send + Sync + 'static>(
        &mut self,
        field: &'static str,
        value: Result<T, E>,
    ) -> Option<T> {
        value.map_err(|error| self.add_error(field, error)).ok()
    }

    /// Returns the value, if all is well with `what`.
    pub(crate) fn or<T>(self, what: impl fmt::Display, value: Option<T>) -> Result<T, Error> {
        match value {
            Some(value) if self.is_empty() => Ok(value),
            _ => {
                let message = format!("{what} is not valid");
                Err(Error::new(ErrorKind::Invalid, message).explained_by(self))
            }
        }
    }
}

impl PartialEq for Problem {
    fn eq(&self, other: &Self) -> bool {
        (self.field, &self.message, &self.long) == (other.field, &other.message, &other.long)
    }
}

impl Eq for Problem {}

impl StdError for Problem {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
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

impl StdError for Problems {}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
