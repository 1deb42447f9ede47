//! Newtype ids over `Uuid`.

/// Defines an id type: a UUID, or the UUID v5 of a name in a namespace of the type's own.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $namespace:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// The namespace of the UUIDs that stand for names.
            const NAMESPACE: uuid::Uuid = uuid::Uuid::from_u128($namespace);

            /// Returns the id with this UUID.
            pub const fn from_uuid(uuid: uuid::Uuid) -> Self {
                Self(uuid)
            }

            /// Returns the id with this UUID as a number, most significant digits first.
            pub const fn from_u128(uuid: u128) -> Self {
                Self(uuid::Uuid::from_u128(uuid))
            }

            /// Returns the id that stands for `name`: its UUID v5, the same in every process.
            pub fn named(name: &str) -> Self {
                Self(uuid::Uuid::new_v5(&Self::NAMESPACE, name.as_bytes()))
            }

            /// Returns a new random id.
            pub fn random() -> Self {
                Self(uuid::Uuid::new_v4())
            }

            /// Returns the UUID.
            pub const fn uuid(self) -> uuid::Uuid {
                self.0
            }
        }

        /// A UUID in text is taken as it is, anything else is a [name](Self::named).
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                uuid::Uuid::try_parse(text).map_or_else(|_| Self::named(text), Self)
            }
        }

        impl From<&String> for $name {
            fn from(text: &String) -> Self {
                text.as_str().into()
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                text.as_str().into()
            }
        }

        impl From<uuid::Uuid> for $name {
            fn from(uuid: uuid::Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for uuid::Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        /// Where people read and write, a name is taken as well as a UUID.
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                    Ok(text.as_ref().into())
                } else {
                    uuid::Uuid::deserialize(deserializer).map(Self)
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

pub(crate) use uuid_id;
