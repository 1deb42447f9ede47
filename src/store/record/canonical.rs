//! Bytes to digest: of a record's stored form, whatever codec writes it and however that codec
//! writes its numbers.

use super::properties::{TimeV1, ValueV1};

/// Has one sequence of bytes for each value, no beginning of that for another: lengths stand before
/// what they count, numbers are big endian.
pub(super) trait Canonical {
    fn write(&self, out: &mut Vec<u8>);
}

impl<T: Canonical + ?Sized> Canonical for &T {
    fn write(&self, out: &mut Vec<u8>) {
        T::write(self, out);
    }
}

impl<T: Canonical> Canonical for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        self.iter().for_each(|value| value.write(out));
    }
}

impl<T: Canonical> Canonical for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_length(self.len(), out);
        self.iter().for_each(|value| value.write(out));
    }
}

impl<A: Canonical, B: Canonical> Canonical for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }
}

impl Canonical for str {
    fn write(&self, out: &mut Vec<u8>) {
        write_length(self.len(), out);
        out.extend(self.as_bytes());
    }
}

impl Canonical for String {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_str().write(out);
    }
}

impl Canonical for [u8; 16] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self);
    }
}

impl Canonical for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

macro_rules! numbers {
    ($($ty:ty),*) => {$(
        impl Canonical for $ty {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend(self.to_be_bytes());
            }
        }
    )*};
}

numbers! { u8, i32, u32, i64, u64 }

impl Canonical for TimeV1 {
    fn write(&self, out: &mut Vec<u8>) {
        (self.seconds, self.nanoseconds).write(out);
    }
}

impl Canonical for ValueV1 {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(0),
            Self::Bool(value) => (1_u8, value).write(out),
            Self::I64(value) => (2_u8, value).write(out),
            Self::U64(value) => (3_u8, value).write(out),
            Self::F64(value) => (4_u8, value.to_bits()).write(out),
            Self::Str(value) => (5_u8, value).write(out),
            Self::Bytes(value) => (6_u8, value).write(out),
            Self::Uuid(value) => (7_u8, value).write(out),
            Self::Time(value) => (8_u8, value).write(out),
            Self::Duration(seconds, nanoseconds) => (9_u8, (seconds, nanoseconds)).write(out),
            Self::List(values) => (10_u8, values).write(out),
            Self::Record(fields) => (11_u8, fields).write(out),
        }
    }
}

fn write_length(length: usize, out: &mut Vec<u8>) {
    // No memory holds more than a u64 counts.
    u64::try_from(length).unwrap_or(u64::MAX).write(out);
}
