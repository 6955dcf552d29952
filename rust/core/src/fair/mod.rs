//!
//! Items are `0..m`, groups `0..p`; the best place comes first. Every method of re-ranking is a row
//! of [`RERANKERS`].

mod birkhoff;
mod bounds;
mod closest;
mod consensus;
mod det;
mod groups;
mod measures;
mod parity;
mod rerank;
mod table;
mod tree;

pub use birkhoff::{Lottery, birkhoff};
pub use bounds::Bounds;
pub use closest::closest;
pub use consensus::{Consensus, consensus};
pub use groups::Groups;
pub use measures::{Attention, MeasureOptions, Measures, amortised, measure};
pub use parity::{Parity, Repair, parity, repair};
pub use rerank::{RERANKERS, RerankOptions, Reranked, Reranker, rerank};
pub use table::{Table, fail_probability, table};
pub use tree::{Tree, tree};
