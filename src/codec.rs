//! The one place that turns a value into stored bytes and back.
//!
//! The first byte names the encoding, so that a build without the `bincode` feature writes JSON
//! and both builds read whatever they have a decoder for.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// bincode 2 with its standard configuration.
const BINCODE: u8 = 1;
/// JSON.
const JSON: u8 = 2;

/// The most bytes that a record may have; a wiring record has hundreds, so this one is a mistake.
#[cfg(feature = "bincode")]
const MOST_BYTES: usize = 16 << 20;
/// The most bytes that the lengths in a record may claim: a damaged length is an error and not an
/// allocation that ends the process. What was written claims at most sixteen for each of its own.
#[cfg(feature = "bincode")]
const MOST_CLAIMED: usize = 16 * MOST_BYTES;

/// Encodes a value in the encoding that this build prefers.
///
/// # Errors
///
/// [`ErrorKind::Invalid`] when the value's own `Serialize` refuses, when it holds what the encoding
/// cannot express (JSON: a map whose keys are not strings), or when it takes more than 16 MiB.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    #[cfg(feature = "bincode")]
    return encode_bincode(value);
    #[cfg(not(feature = "bincode"))]
    return encode_json(value);
}

/// Decodes what [`encode`] wrote, in this build or another. The value may borrow from the bytes.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] when the bytes are empty, name an encoding that this build cannot read,
/// do not fit the type, or go on after the value.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    match bytes.split_first() {
        None => Err(corrupt("the record is empty")),
        #[cfg(feature = "bincode")]
        Some((&BINCODE, body)) => decode_bincode(body),
        #[cfg(not(feature = "bincode"))]
        Some((&BINCODE, _)) => Err(corrupt(
            "the record is bincode, which this build cannot read: the feature \"bincode\" is off",
        )),
        Some((&JSON, body)) => serde_json::from_slice(body)
            .map_err(|error| corrupt("the record is not the JSON expected here").because(error)),
        Some((tag, _)) => Err(corrupt(&format!(
            "the record names the unknown encoding {tag}"
        ))),
    }
}

#[cfg(feature = "bincode")]
fn encode_bincode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = vec![BINCODE];
    bincode::serde::encode_into_std_write(value, &mut bytes, bincode::config::standard())
        .map_err(refused)?;
    if bytes.len() > MOST_BYTES {
        let message = format!("the value takes {} bytes, of {MOST_BYTES}", bytes.len());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(bytes)
}

#[cfg(feature = "bincode")]
fn decode_bincode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T> {
    let config = bincode::config::standard().with_limit::<MOST_CLAIMED>();
    let (value, read) = bincode::serde::borrow_decode_from_slice(body, config)
        .map_err(|error| corrupt("the record is not the bincode expected here").because(error))?;
    if read == body.len() {
        return Ok(value);
    }
    let rest = body.len() - read;
    Err(corrupt(&format!(
        "{rest} bytes follow the end of the record"
    )))
}

#[cfg(any(test, not(feature = "bincode")))]
fn encode_json<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = vec![JSON];
    serde_json::to_writer(&mut bytes, value).map_err(refused)?;
    Ok(bytes)
}

fn refused(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Invalid, "the value cannot be encoded").because(error)
}

fn corrupt(message: &str) -> Error {
    Error::new(ErrorKind::Corrupt, message)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is the failed test")]

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Quote {
        symbol: String,
        price: f64,
        size: Option<u32>,
    }

    fn quote() -> Quote {
        Quote {
            symbol: "MSFT".into(),
            price: 185.5,
            size: Some(300),
        }
    }

    #[test]
    fn what_was_encoded_decodes_to_the_same_value() {
        let bytes = encode(&quote()).unwrap();
        assert_eq!(decode::<Quote>(&bytes).unwrap(), quote());
    }

    #[test]
    fn json_is_read_by_every_build() {
        let bytes = encode_json(&quote()).unwrap();
        assert_eq!(
            bytes,
            b"\x02{\"symbol\":\"MSFT\",\"price\":185.5,\"size\":300}"
        );
        assert_eq!(decode::<Quote>(&bytes).unwrap(), quote());
    }

    #[cfg(feature = "bincode")]
    #[test]
    fn bincode_bytes_stay_as_they_are() {
        let golden = b"\x01\x04MSFT\0\0\0\0\0\x30\x67\x40\x01\xfb\x2c\x01";
        assert_eq!(encode(&quote()).unwrap(), golden);
    }

    #[cfg(not(feature = "bincode"))]
    #[test]
    fn bincode_is_refused_by_name_when_the_feature_is_off() {
        let error = decode::<Quote>(b"\x01\x04MSFT").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("\"bincode\" is off"));
    }

    #[test]
    fn damaged_bytes_are_corrupt_and_never_a_panic() {
        let whole = encode(&quote()).unwrap();
        for end in 0..whole.len() {
            let error = decode::<Quote>(&whole[..end]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "cut at {end}");
        }
        let mut longer = whole.clone();
        longer.push(7);
        assert_eq!(
            decode::<Quote>(&longer).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
        assert_eq!(
            decode::<Quote>(b"\x09abc").unwrap_err().to_string(),
            "the record names the unknown encoding 9"
        );
    }
}
