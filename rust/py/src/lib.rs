//! `gustibus._core`: arrays in, arrays and tuples out; the library's Python fronts are
//! `gustibus.posterior`, `gustibus.social` and `gustibus.matching`.

#![forbid(unsafe_code)]

mod arrays;
mod bias;
mod committee;
mod errors;
mod expected;
mod fairness;
mod json;
mod matching;
mod posterior;
mod profiles;
mod rules;
mod running;
mod social;
mod strength;

use pyo3::prelude::*;

/// The compiled core of gustibus.
#[pymodule]
mod _core {
    #[pymodule_export]
    use super::bias::{bias_ballots, estimate_smoothness, required_rankings, study_bias};
    #[pymodule_export]
    use super::committee::{
        Approvals, Utilities, check_axiom, committee_rules, committee_score, elect,
    };
    #[pymodule_export]
    use super::expected::ExpectedLoss;
    #[pymodule_export]
    use super::fairness::{
        attention_gap, birkhoff, closest_ranking, fail_probability, fair_consensus, fair_measures,
        fair_rerank, fair_table, fairness_tables, fuse_runs, pairwise_parity, repair_parity,
    };
    #[pymodule_export]
    use super::json::repeated_name;
    #[pymodule_export]
    use super::matching::{
        Matcher, assignment, b_matching, hindsight, ironed_virtual_values, matching_rules,
        place_creatives, position_auction,
    };
    #[pymodule_export]
    use super::posterior::{
        Prior, acquire, acquire_batch, fit_population, place, place_particles, place_simplex,
        predict, target_gain,
    };
    #[pymodule_export]
    use super::profiles::{social_axis, social_distances, social_sample};
    #[pymodule_export]
    use super::rules::{social_decide, social_rules};
    #[pymodule_export]
    use super::social::Ballots;
    #[pymodule_export]
    use super::strength::{
        Cells, break_rankings, elo_ratings, fit_covariates, fit_rankings, fit_strengths,
        fit_tied_rankings, fit_totals, intern_strings, ranking_bootstrap, ranking_covariance,
        reduce_comparisons, score_comparisons, stationary_strengths, strength_bootstrap,
        strength_covariance, tied_ranking_covariance,
    };
}
