//! The keys of user trees, as the store has them: frozen.
//!
//! `u`, the tree's name, 0x00, the user's key. No name has a control character, so the name ends at
//! the first 0x00, and no tree's keys are among those of another. The value is the user's own
//! bytes.

/// Returns the key of the store for a key of a tree; for an empty one, the prefix of all of them.
pub(crate) fn key(name: &str, key: &[u8]) -> Vec<u8> {
    [PREFIX, name.as_bytes(), b"\0", key].concat()
}

/// Returns the tree and its key that a key of the store stands for.
pub(crate) fn parse(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(PREFIX)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (name, key) = rest.split_at_checked(end)?;
    Some((std::str::from_utf8(name).ok()?, key.get(1..)?))
}

/// Returns a key behind all those of a tree and before those of the next one.
pub(crate) fn behind(name: &str) -> Vec<u8> {
    [PREFIX, name.as_bytes(), b"\x01"].concat()
}

/// The prefix of the keys of all trees.
pub(crate) const PREFIX: &[u8] = b"u";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_bytes_stay_as_they_are_and_read_back() {
        let bytes = key("orders", b"4\x002");
        assert_eq!(bytes, b"uorders\x004\x002");
        assert_eq!(parse(&bytes), Some(("orders", &b"4\x002"[..])));
        assert_eq!(parse(&key("a", b"")), Some(("a", &b""[..])));
        assert_eq!(parse(b"rc0123456789abcdef"), None);
        assert_eq!(parse(b"uorders"), None);
    }

    #[test]
    fn keys_of_a_tree_are_under_its_prefix_and_no_others_are() {
        let prefix = key("order", b"");
        assert!(key("order", b"s\0").starts_with(&prefix));
        assert!(!key("orders", b"").starts_with(&prefix));
        let behind = behind("order");
        assert!(key("order", &[0xff; 9]) < behind && behind < key("order ", b""));
    }
}
