//! The posterior of a person over their user vector, given answers to comparisons.
//!
//! A row has `delta = phi(left) - phi(right)`, an offset `c`, a target `t` in `[0, 1]` (probability
//! that left is preferred) and a weight; its margin is `z = c + delta . w`. [`Answering`] says how an
//! answer arises from `z`, [`Prior`] where people are before they answer.

mod acquire;
mod averages;
mod covariance;
mod eigen;
mod expected;
mod likelihood;
pub(crate) mod linalg;
mod newton;
mod particles;
mod place;
mod population;
mod predict;
mod quadrature;
mod series;
mod simplex;
mod target;
mod variational;
mod views;

pub use acquire::{Belief, Pool, Rule, acquire, acquire_batch};
pub use expected::ExpectedLoss;
pub use likelihood::Answering;
pub use newton::Method;
pub use particles::{ParticleFit, place_particles};
pub use place::{PlaceOptions, Placement, place};
pub use population::{PopulationOptions, Round, Structure, population_round};
pub use predict::{predict, predict_tie};
pub use simplex::place_simplex;
pub use target::target_gain;
pub use views::{Labels, Prior, Rows};
