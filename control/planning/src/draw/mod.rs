//! Graphs as text for Graphviz, and plans as pictures.

mod dot;
mod svg;
#[cfg(test)]
mod tests;

pub use dot::dot;
pub use svg::svg;

/// What a drawing says of an NF.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// A line below the name: its delay, in words.
    pub detail: String,
    /// On the critical path.
    pub critical: bool,
}
