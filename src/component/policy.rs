//! How long an instance lives.

/// How long an instance lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ComponentPolicy {
    /// One instance, made at the first event and kept while the component is registered.
    #[default]
    Singleton,
    /// A new instance for each event, dropped after the call, as COM+ does.
    PerCall,
}
