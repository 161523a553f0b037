//! Genetic algorithms: the standard form and the grouping form.

pub(super) mod grouping;
pub(super) mod standard;
mod tabu;
