//! Which NFs of a chain run side by side: pure functions from dependencies and delays to plans.
//!
//! - [`pagination`]: packing sets that overlap into the fewest bins, the problem behind the construction.
//! - [`graph`]: the dependency graph, its critical path, the service processing graph in which each NF runs once.
//! - [`draw`]: both as DOT and SVG.
//!
//! Nothing here knows packets or the engine.
#![forbid(unsafe_code)]

pub mod draw;
pub mod graph;
pub mod pagination;
