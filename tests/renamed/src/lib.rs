//! A crate that knows loosely as `slack`, has no prelude, and takes its names for things of its
//! own.
#![no_implicit_prelude]
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub)]
#![deny(unused_qualifications, elided_lifetimes_in_paths, unused_results)]
#![deny(clippy::pedantic)]

use ::slack::{EventValue as Fact, event_interface as announcer};

/// Shadows the prelude's.
#[derive(::core::clone::Clone, ::core::fmt::Debug, Fact)]
pub struct String {
    /// How long the text is.
    pub length: u32,
}

/// Shadows the prelude's.
#[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug, Fact)]
pub enum Option {
    /// Shadows the prelude's.
    Some,
    /// Shadows the prelude's.
    None,
}

/// Shadows the prelude's.
#[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug, Fact)]
pub struct Vec(pub u64);

/// Shadows the prelude's.
#[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug, Fact)]
pub struct Box(pub u64);

/// Shadows the prelude's.
#[derive(::core::fmt::Debug)]
pub struct Arc;

/// Shadows the prelude's.
pub trait Into {}

/// Shadows the prelude's.
pub trait Clone {}

/// Shadows the prelude's.
#[expect(non_snake_case, reason = "the name is what is tested")]
pub const fn Ok() {}

/// Shadows the prelude's.
#[expect(non_snake_case, reason = "the name is what is tested")]
pub const fn Some() {}

/// Text, bytes and all else that generated code owns.
#[announcer]
pub trait Announcements {
    /// Nothing.
    fn nothing(&self);

    /// Values of this crate.
    fn own(&self, string: &String, option: Option, vec: &[Vec], boxed: Box);

    /// Values of the standard library.
    fn standard(&self, text: &str, bytes: &[u8], maybe: ::core::option::Option<&str>);

    /// May fail.
    ///
    /// # Errors
    ///
    /// As the subscriber likes.
    fn fallible(&self, result: u8) -> ::core::result::Result<(), ::std::io::Error>;
}
