//! Lengths of time as people write them: `PT1.5S`, ISO 8601; `1s 500ms` is read too.

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Problems;

/// Finds that a length of time is none, or longer than people can write.
pub(super) fn check(field: &'static str, what: &str, span: Duration, problems: &mut Problems) {
    if span.is_zero() {
        problems.add(field, format!("{what} is zero"));
    } else if let Err(error) = SignedDuration::try_from(span) {
        problems.add(field, format!("{what}: {error}"));
    }
}

pub(super) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let span = SignedDuration::try_from(*span).map_err(serde::ser::Error::custom)?;
    span.serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    let span = SignedDuration::deserialize(source)?;
    span.try_into().map_err(serde::de::Error::custom)
}

/// The same where there may be none.
pub(super) mod option {
    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer, SignedDuration};

    #[expect(clippy::ref_option, reason = "serde calls it with a reference")]
    pub(crate) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let span = span.map(SignedDuration::try_from).transpose();
        span.map_err(serde::ser::Error::custom)?
            .serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        source: D,
    ) -> Result<Option<Duration>, D::Error> {
        let span = Option::<SignedDuration>::deserialize(source)?;
        let span = span.map(Duration::try_from).transpose();
        span.map_err(serde::de::Error::custom)
    }
}

/// The same of several.
pub(super) mod list {
    use serde::de::Error as _;
    use serde::ser::Error as _;

    use super::{Deserialize, Deserializer, Duration, Serialize, Serializer, SignedDuration};

    pub(crate) fn serialize<S: Serializer>(
        spans: &[Duration],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let spans = spans.iter().map(|span| SignedDuration::try_from(*span));
        let spans: Result<Vec<_>, _> = spans.collect();
        spans.map_err(S::Error::custom)?.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        source: D,
    ) -> Result<Vec<Duration>, D::Error> {
        let spans = Vec::<SignedDuration>::deserialize(source)?;
        let spans = spans.into_iter().map(Duration::try_from);
        spans.collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}
