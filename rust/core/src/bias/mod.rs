//! Rankings that are biased against groups, how much a rule's scores keep of the truth, and what
//! quotas win back.
//!
//! Group 0 is the most advantaged, higher groups less so; a bias keeps or loses places of the items of
//! higher groups to those of lower ones.

mod committees;
mod latent;
mod models;
mod required;
mod rules;
mod smoothness;
mod study;
mod swapping;

pub use latent::Latent;
pub use models::{Bias, Scratch, Utilities, apply, bias_all};
pub use required::{Required, required};
pub use rules::{OBJECTIVES, Objective, ObjectiveRow, objective};
pub use smoothness::{Smoothness, SmoothnessOptions, Step, gamma_steps, smoothness};
pub use study::{Study, StudyOptions, study};
pub use swapping::Swapping;
