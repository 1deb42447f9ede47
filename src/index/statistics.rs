//! What an index holds.

/// What an index holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    /// How many slots there are.
    pub(crate) entries: usize,
    /// How many distinct filters they have.
    pub(crate) filters: usize,
    /// How many slots share the filter of another.
    pub(crate) shared: usize,
    /// How many conjunctions every event is checked against, as nothing in them can be looked up.
    pub(crate) always_checked: usize,
    /// How many distinct places of values the filters are about.
    pub(crate) columns: usize,
    /// How many distinct constants are looked up.
    pub(crate) symbols: usize,
    /// How many nodes the tree has, the root included.
    pub(crate) nodes: usize,
    /// About how much memory all of it takes, without what slots own.
    pub(crate) bytes: usize,
}
