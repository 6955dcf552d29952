//! Strengths of items from who beat whom: Bradley-Terry and its relatives, Plackett-Luce, Elo, chains.
//!
//! Rows of comparisons are summed per pair once ([`reduce`]); everything that has a likelihood works on
//! these cells. Log strengths are called `theta`, strengths `pi = exp(theta)`.

mod balanced;
mod bootstrap;
mod bradley_terry;
mod cells;
mod chains;
mod choices;
mod connect;
mod covariance;
mod covariates;
mod fit;
mod ids;
mod incomplete;
mod influence;
mod keys;
mod merge;
mod newton;
mod pairs;
mod plackett_luce;
mod prior;
mod probit;
mod ranking_doubt;
mod rankings;
mod reduce;
mod resample;
mod scores;
mod subsets;
mod sweeps;
mod tie_doubt;
mod tied_choices;
mod tied_rankings;
mod ties;

pub use balanced::fit_totals;
pub use bootstrap::{Bootstrap, bootstrap};
pub use cells::{Cell, Cells, Spread, Table, Value};
pub use chains::{Chain, stationary};
pub use connect::{Components, components};
pub use covariance::{Covariance, DENSE, Fitted, Trust, covariance};
pub use covariates::{Covariates, fit_covariates};
pub use fit::{Disconnected, Fit, Method, Options, REGULARISE, fit};
pub use ids::{Ids, MAX_ITEMS};
pub use newton::Tolerance;
pub use plackett_luce::fit_rankings;
pub use prior::Prior;
pub use ranking_doubt::{ranking_bootstrap, ranking_covariance};
pub use rankings::Rankings;
pub use reduce::{A, B, Rows, SKIP, TIE, reduce};
pub use scores::{EloOptions, SCORES, ScoreOptions, ScoreRule, Scores, elo, score};
pub use tie_doubt::{TiedFit, tie_bootstrap, tie_covariance};
pub use tied_choices::{fit_tied_rankings, tied_ranking_covariance};
pub use tied_rankings::TiedRankings;
pub use ties::{MODELS, TieModel, fit_ties};

/// Runs `f` in a pool of so many threads and tells it what to ask of `parallel` inside.
fn within<T: Send>(threads: Option<usize>, f: impl FnOnce(Option<usize>) -> T + Send) -> T {
    let Some(count) = threads.filter(|count| *count > 1) else { return f(threads) };
    match crate::parallel::pool(count) {
        Some(pool) => pool.install(|| f(None)),
        None => f(Some(1)),
    }
}
