//! The service processing graph: from the dependencies of a chain's NFs and their delays to what runs side by side.

mod bins;
mod choice;
mod cost;
mod dag;
mod frontier;
mod segment;
#[cfg(test)]
mod tests;

pub use bins::{Construction, construct, construct_from_paths, join, most_parallel};
pub use choice::{Choice, choose};
pub use cost::Costs;
pub use dag::{Critical, Dag, DagError, Times};
pub use frontier::{MOST_NFS as FRONTIER_LIMIT, Point, frontier};
pub use segment::{Segment, SegmentFault};
