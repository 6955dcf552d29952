//! Fitting: methods by name, and what happens where the comparisons do not connect the items.

use super::bradley_terry::Duels;
use super::cells::{Cells, Table, Value, with_cells};
use super::connect::{Components, components};
use super::newton::{Optimum, Tolerance, maximise};
use super::prior::Prior;
use super::sweeps::{newman, zermelo};
use super::within;
use crate::{Error, Result, Stop};

/// Weight of the opponent that "regularise" adds: a tenth of a win and of a loss per item.
pub const REGULARISE: f64 = 0.1;

/// What to do where no finite maximiser exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disconnected {
    /// [`Error::Infeasible`].
    Refuse,
    /// Fit every strongly connected component by itself.
    Components,
    /// Add an opponent of strength 1 with weight [`REGULARISE`].
    Regularise,
}

impl Disconnected {
    const NAMES: [(&'static str, Self); 3] = [
        ("components", Self::Components),
        ("error", Self::Refuse),
        ("regularise", Self::Regularise),
    ];

    /// By name.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    pub fn parse(name: &str) -> Result<Self> {
        parse("way on_disconnected", name, &Self::NAMES)
    }
}

/// How strengths are found; all methods find the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Damped Newton steps.
    Newton,
    /// Newman's sweeps.
    Newman,
    /// Zermelo's sweeps.
    Mm,
    /// For rankings: one stationary distribution, which is only near the others.
    Lsr,
    /// For rankings: iterated stationary distributions.
    Ilsr,
}

impl Method {
    const NAMES: [(&'static str, Self); 5] = [
        ("ilsr", Self::Ilsr),
        ("lsr", Self::Lsr),
        ("mm", Self::Mm),
        ("newman", Self::Newman),
        ("newton", Self::Newton),
    ];

    /// By name.
    ///
    /// # Errors
    /// [`Error::UnknownName`].
    pub fn parse(name: &str) -> Result<Self> {
        parse("method", name, &Self::NAMES)
    }

    pub(super) fn check(self, prior: Prior) -> Result<()> {
        let unknown = match self {
            Self::Newton => return Ok(()),
            Self::Newman => ("newman", prior.l2 > 0.0 || prior.gamma > 0.0),
            Self::Mm => ("mm", prior.l2 > 0.0),
            Self::Lsr | Self::Ilsr => ("lsr", !prior.none()),
        };
        if unknown.1 {
            return Err(Error::range("method", "newton for this prior", unknown.0));
        }
        Ok(())
    }
}

pub(super) fn parse<T: Copy>(
    kind: &'static str,
    name: &str,
    rows: &[(&'static str, T)],
) -> Result<T> {
    let found = rows.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value).ok_or_else(|| Error::UnknownName {
        kind,
        name: name.to_owned(),
        known: rows.iter().map(|(known, _)| *known).collect(),
    })
}

/// How to fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The algorithm.
    pub method: Method,
    /// Share of a tie that both sides win, usually a half.
    pub tie: f64,
    /// What is added to the log-likelihood.
    pub prior: Prior,
    /// What to do where no finite maximiser exists.
    pub disconnected: Disconnected,
    /// When to stop.
    pub tolerance: Tolerance,
    /// Number of threads; all by default.
    pub threads: Option<usize>,
}

/// Log strengths and how they were found.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Log strengths, `(m,)`; of mean zero, within every component where there are several.
    pub theta: Vec<f64>,
    /// Components of the comparisons as they came.
    pub components: Components,
    /// Weight of the opponent that was added because they are several; 0 otherwise.
    pub regularised: f64,
    /// Iterations of the method.
    pub iterations: usize,
    /// Whether the gradient is small enough.
    pub converged: bool,
    /// Largest absolute gradient.
    pub gradient: f64,
    /// Log-likelihood without the prior; of every component by itself where that was asked for.
    pub log_likelihood: f64,
}

/// Strengths of items by the Bradley-Terry model.
///
/// Starts at the log odds of every item's share of wins, or at `start`.
///
/// # Errors
/// [`Error::Range`] for a tolerance or a share out of range, [`Error::Infeasible`] where there is no finite
/// maximiser and that was to be refused, [`Error::Interrupted`].
///
/// Source: Bradley and Terry 1952; Ford 1957 for when a maximiser exists.
pub fn fit(table: &Table, start: Option<&[f64]>, options: Options, stop: Stop<'_>) -> Result<Fit> {
    check(table, start, options)?;
    options.method.check(options.prior)?;
    within(options.threads, |threads| {
        let options = Options { threads, ..options };
        with_cells!(table, cells => fit_cells(cells, start, options, stop))
    })
}

/// Checks what does not depend on the data.
pub(super) fn check_options(options: Options) -> Result<()> {
    if !(options.tie.is_finite() && options.tie >= 0.0) {
        return Err(Error::range("tie_weight", "a finite number of at least 0", options.tie));
    }
    if !(options.tolerance.gradient > 0.0 && options.tolerance.gradient.is_finite()) {
        return Err(Error::range("tolerance", "a number above 0", options.tolerance.gradient));
    }
    Ok(())
}

/// Checks what does not depend on the method.
pub(super) fn check(table: &Table, start: Option<&[f64]>, options: Options) -> Result<()> {
    check_options(options)?;
    if let Some(start) = start.filter(|s| s.len() != table.items()) {
        return Err(Error::length("start", table.items(), start.len()));
    }
    Ok(())
}

pub(super) fn fit_cells<T: Value>(
    cells: &Cells<T>,
    start: Option<&[f64]>,
    mut options: Options,
    stop: Stop<'_>,
) -> Result<Fit> {
    let found = components(cells);
    let loose = found.count > 1 && options.prior.none();
    let regularised = if loose { resolve(&found, options.disconnected)? } else { 0.0 };
    options.prior.opponent += regularised;
    if loose && regularised == 0.0 {
        let kept = cells.filtered(|i, j| found.of[i] == found.of[j]);
        let optimum = search(&kept, &found.of, start, options, stop)?;
        return Ok(finish(optimum, found, regularised));
    }
    let optimum = search(cells, &vec![0; cells.items()], start, options, stop)?;
    Ok(finish(optimum, found, regularised))
}

/// The weight of the opponent to add, or the refusal.
pub(super) fn resolve(found: &Components, way: Disconnected) -> Result<f64> {
    match way {
        Disconnected::Components => Ok(0.0),
        Disconnected::Regularise => Ok(REGULARISE),
        Disconnected::Refuse => Err(Error::Infeasible {
            what: format!(
                "comparisons: expected every item to have beaten every other, directly or through \
                 others; they fall into {} components, so no finite strengths are most likely",
                found.count
            ),
        }),
    }
}

fn search<T: Value>(
    cells: &Cells<T>,
    component: &[u32],
    start: Option<&[f64]>,
    options: Options,
    stop: Stop<'_>,
) -> Result<(Optimum, f64)> {
    let duels = Duels::new(cells, options.tie, options.prior, component, options.threads);
    let start = start.map_or_else(|| duels.start(), <[f64]>::to_vec);
    let mut optimum = match options.method {
        Method::Newton | Method::Lsr | Method::Ilsr => {
            maximise(&&duels, start, options.tolerance, stop)
        }
        Method::Newman => newman(&duels, &start, options.tolerance, stop),
        Method::Mm => zermelo(&duels, &start, options.tolerance, stop),
    }?;
    if options.prior.none() {
        centre(&mut optimum.at, component);
    }
    let log_likelihood = duels.log_likelihood(&optimum.at);
    Ok((optimum, log_likelihood))
}

/// Moves the numbers of every component to mean zero.
pub(super) fn centre(theta: &mut [f64], component: &[u32]) {
    let count = component.iter().max().map_or(0, |c| *c as usize + 1);
    let (mut sums, mut sizes) = (vec![0.0; count], vec![0.0; count]);
    for (t, c) in theta.iter().zip(component) {
        sums[*c as usize] += t;
        sizes[*c as usize] += 1.0;
    }
    for (t, c) in theta.iter_mut().zip(component) {
        *t -= sums[*c as usize] / sizes[*c as usize];
    }
}

pub(super) fn finish(
    (optimum, log_likelihood): (Optimum, f64),
    components: Components,
    regularised: f64,
) -> Fit {
    Fit {
        theta: optimum.at,
        components,
        regularised,
        iterations: optimum.iterations,
        converged: optimum.converged,
        gradient: optimum.gradient,
        log_likelihood,
    }
}
