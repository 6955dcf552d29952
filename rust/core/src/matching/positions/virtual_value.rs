//! Virtual values: what a bidder's value is worth to the seller.

use crate::{Error, Result};

/// How a bidder's value is believed to be distributed.
#[derive(Debug, Clone, PartialEq)]
pub enum Law {
    /// Uniform between two numbers.
    Uniform(f64, f64),
    /// Exponential with a mean.
    Exponential(f64),
    /// Values, rising, with their ironed virtual values.
    Discrete(Vec<f64>, Vec<f64>),
}

impl Law {
    /// Values spread evenly between two numbers.
    ///
    /// # Errors
    /// [`Error::Range`].
    pub fn uniform(low: f64, high: f64) -> Result<Self> {
        if low >= 0.0 && low < high && high.is_finite() {
            return Ok(Self::Uniform(low, high));
        }
        Err(Error::range("laws", "0 <= low < high of a uniform law", format!("({low}, {high})")))
    }

    /// Values with a constant rate of giving up.
    ///
    /// # Errors
    /// [`Error::Range`].
    pub fn exponential(mean: f64) -> Result<Self> {
        if mean > 0.0 && mean.is_finite() {
            return Ok(Self::Exponential(mean));
        }
        Err(Error::range("laws", "a positive mean of an exponential law", mean))
    }

    /// Finitely many values with probabilities, ironed.
    ///
    /// # Errors
    /// As [`ironed`].
    pub fn discrete(values: &[f64], probabilities: &[f64]) -> Result<Self> {
        Ok(Self::Discrete(values.to_vec(), ironed(values, probabilities)?))
    }

    /// The virtual value of a value; it does not fall.
    #[must_use]
    pub fn virtual_value(&self, v: f64) -> f64 {
        match self {
            Self::Uniform(_, high) => 2.0 * v - high,
            Self::Exponential(mean) => v - mean,
            Self::Discrete(values, ironed) => {
                let below = values.partition_point(|x| *x <= v);
                if below == 0 { f64::MIN } else { ironed[below - 1] }
            }
        }
    }

    /// The least value whose virtual value is at least `x`, 0 if that is negative.
    #[must_use]
    pub fn inverse(&self, x: f64) -> f64 {
        match self {
            Self::Uniform(_, high) => f64::midpoint(x, *high).max(0.0),
            Self::Exponential(mean) => (x + mean).max(0.0),
            Self::Discrete(values, ironed) => {
                let place = ironed.partition_point(|phi| *phi < x);
                values.get(place).copied().unwrap_or(f64::INFINITY)
            }
        }
    }
}

/// Ironed virtual values of a distribution over finitely many values, which are rising.
///
/// Points (selling probability, revenue) by falling price; the slopes of their upper concave hull from
/// the origin.
///
/// # Errors
/// [`Error::Shape`], [`Error::NotFinite`] and [`Error::Range`].
///
/// Source: Myerson 1981.
pub fn ironed(values: &[f64], probabilities: &[f64]) -> Result<Vec<f64>> {
    if values.len() != probabilities.len() || values.is_empty() {
        return Err(Error::length("probabilities", values.len().max(1), probabilities.len()));
    }
    if let Some(index) = values.iter().position(|v| !v.is_finite()) {
        return Err(Error::NotFinite { name: "values", index });
    }
    if values[0] < 0.0 || values.windows(2).any(|pair| pair[1] <= pair[0]) {
        return Err(Error::range("values", "rising numbers at or above 0", format!("{values:?}")));
    }
    let total: f64 = probabilities.iter().sum();
    let is_right = probabilities.iter().all(|p| *p > 0.0) && (total - 1.0).abs() < 1e-9;
    if !is_right {
        let expected = "positive numbers that sum to 1";
        return Err(Error::range("probabilities", expected, format!("{probabilities:?}")));
    }
    let mut hull = vec![(0.0, 0.0, 0)];
    let mut sold = 0.0;
    for (count, (v, p)) in values.iter().zip(probabilities).rev().enumerate() {
        sold += p;
        let point = (sold, sold * v, count + 1);
        while hull.len() > 1
            && slope(hull[hull.len() - 1], point)
                >= slope(hull[hull.len() - 2], hull[hull.len() - 1])
        {
            hull.pop();
        }
        hull.push(point);
    }
    let mut out = Vec::with_capacity(values.len());
    for pair in hull.windows(2) {
        out.resize(pair[1].2, slope(pair[0], pair[1]));
    }
    out.reverse();
    Ok(out)
}

fn slope(a: (f64, f64, usize), b: (f64, f64, usize)) -> f64 {
    (b.1 - a.1) / (b.0 - a.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_is_ironed() {
        let got = ironed(&[1.0, 4.0, 5.0, 20.0], &[0.6, 0.05, 0.25, 0.1]).expect("valid");
        for (got, expected) in got.iter().zip([-1.153_846, -1.153_846, -1.0, 20.0]) {
            assert!((got - expected).abs() < 1e-6, "{got} {expected}");
        }
        assert!(ironed(&[1.0, 1.0], &[0.5, 0.5]).is_err() && ironed(&[1.0], &[0.5]).is_err());
    }

    #[test]
    fn inverses_are_the_least_values() {
        let laws = [
            Law::Uniform(0.0, 3.0),
            Law::Exponential(2.0),
            Law::discrete(&[1.0, 4.0, 5.0, 20.0], &[0.6, 0.05, 0.25, 0.1]).expect("valid"),
        ];
        for law in laws {
            for x in [-1.0, 0.0, 0.5, 2.0] {
                let v = law.inverse(x);
                assert!(law.virtual_value(v) >= x - 1e-12);
            }
        }
    }
}
