//! Which NFs of a chain run side by side, and on which server: pure functions from dependencies, delays and rates to
//! plans.
//!
//! - [`pagination`]: packing sets that overlap into the fewest bins, the problem behind the construction.
//! - [`graph`]: the dependency graph, its critical path, the service processing graph in which each NF runs once.
//! - [`draw`]: both as DOT and SVG.
//! - [`provision`]: which server runs which NF.
//!
//! Nothing here knows packets or the engine.
#![forbid(unsafe_code)]

pub mod draw;
pub mod graph;
pub mod pagination;
pub mod provision;
