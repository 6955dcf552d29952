//! Drawing ballots: one stream each.

use crate::rng::Stream;
use crate::{Error, Result, Stop, parallel, size};

/// Ballots per unit of work.
const BLOCK: usize = 256;
/// The stream of what all ballots of an election share.
const SHARED: u64 = u64::MAX;

/// Exchanges of neighbours between two looks at whether to stop: about a millisecond.
const GLANCE: usize = 1 << 16;

/// A profile to draw.
pub(crate) struct Draw<'a> {
    pub(crate) ballots: usize,
    pub(crate) items: usize,
    pub(crate) labels: u32,
    pub(crate) seed: u64,
    pub(crate) threads: Option<usize>,
    pub(crate) stop: Stop<'a>,
}

impl Draw<'_> {
    /// A given parameter, or one drawn for this election.
    pub(crate) fn parameter(
        &self,
        name: &'static str,
        given: Option<f64>,
        draw: impl Fn(&mut Stream) -> f64,
    ) -> Result<f64> {
        let value = given.unwrap_or_else(|| draw(&mut Stream::new(self.seed, SHARED)));
        if value >= 0.0 && value.is_finite() {
            return Ok(value);
        }
        Err(Error::range(name, "a finite number of at least 0", value))
    }

    /// Rows that start as rising ids and are changed independently.
    pub(crate) fn rows(
        &self,
        fill: impl Fn(&mut Stream, &mut [u32]) + Sync + Send,
    ) -> Result<Vec<u32>> {
        let mut out = vec![0; self.ballots * self.items];
        let blocks: Vec<_> = out.chunks_mut(BLOCK * self.items).enumerate().collect();
        parallel::each(blocks, self.threads, |(block, rows)| {
            for (i, row) in rows.chunks_mut(self.items).enumerate() {
                if self.stop.check().is_err() {
                    return; // told below
                }
                row.iter_mut().zip(0..self.labels).for_each(|(cell, item)| *cell = item);
                fill(&mut Stream::new(self.seed, (block * BLOCK + i) as u64), row);
            }
        });
        self.stop.check()?;
        Ok(out)
    }

    pub(crate) fn urn(&self, alpha: f64) -> Result<Vec<u32>> {
        let mut rows = self.rows(|stream, row| {
            stream.uniform(); // decides below whether the row is fresh
            stream.shuffle(row);
        })?;
        for i in 1..self.ballots {
            self.stop.check()?;
            let mut stream = Stream::new(self.seed, i as u64);
            if stream.uniform() * (1.0 + alpha * i as f64) >= 1.0 {
                let from = stream.below(i) * self.items;
                rows.copy_within(from..from + self.items, i * self.items);
            }
        }
        Ok(rows)
    }

    pub(crate) fn mallows(&self, phi: f64, centre: Option<&[u32]>) -> Result<Vec<u32>> {
        let rising: Vec<u32>;
        let centre = if let Some(centre) = centre {
            self.check_centre(centre)?;
            centre
        } else {
            rising = (0..self.labels).collect();
            &rising
        };
        let log_phi = libm::log(phi);
        // phi^(i+1) - 1, the mass of the cut geometric distribution with its sign turned
        let mass: Vec<f64> = (1..=self.items).map(|i| libm::expm1(i as f64 * log_phi)).collect();
        self.rows(|stream, row| {
            for (i, item) in centre.iter().enumerate() {
                let u = stream.uniform();
                let up = if phi >= 1.0 {
                    u * (i + 1) as f64
                } else if phi <= 0.0 {
                    0.0
                } else {
                    libm::log1p(u * mass[i]) / log_phi
                };
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
                let place = i - (up as usize).min(i);
                row.copy_within(place..i, place + 1);
                row[place] = *item;
            }
        })
    }

    fn check_centre(&self, centre: &[u32]) -> Result<()> {
        let mut seen = vec![false; self.items];
        let fits = centre.len() == self.items
            && centre.iter().all(|item| {
                seen.get_mut(*item as usize).is_some_and(|seen| !std::mem::replace(seen, true))
            });
        if fits {
            return Ok(());
        }
        let expected = format!("each of the items 0 to {} once", self.items - 1);
        Err(Error::range("centre", &expected, format!("{centre:?}")))
    }

    pub(crate) fn noisy(
        &self,
        name: &'static str,
        means: &[f64],
        sigma: f64,
        noise: impl Fn(&mut Stream) -> f64 + Sync + Send,
    ) -> Result<Vec<u32>> {
        if means.len() != self.items {
            return Err(Error::length(name, self.items, means.len()));
        }
        if let Some(index) = means.iter().position(|mean| !mean.is_finite()) {
            return Err(Error::NotFinite { name, index });
        }
        if sigma.is_nan() || sigma < 0.0 || sigma.is_infinite() {
            return Err(Error::range("sigma", "a finite number of at least 0", sigma));
        }
        self.rows(|stream, row| {
            let values: Vec<f64> = means.iter().map(|mean| mean + sigma * noise(stream)).collect();
            by_value(&values, row);
        })
    }

    pub(crate) fn euclidean(&self, dimensions: usize) -> Result<Vec<u32>> {
        if dimensions == 0 {
            return Err(Error::range("dimensions", "a number of at least 1", dimensions));
        }
        let mut shared = Stream::new(self.seed, SHARED);
        let points: Vec<f64> = (0..self.items * dimensions).map(|_| shared.uniform()).collect();
        self.rows(|stream, row| {
            let voter: Vec<f64> = (0..dimensions).map(|_| stream.uniform()).collect();
            let nearness: Vec<f64> = points
                .chunks(dimensions)
                .map(|point| -point.iter().zip(&voter).map(|(p, v)| (p - v) * (p - v)).sum::<f64>())
                .collect();
            by_value(&nearness, row);
        })
    }

    /// Takes `O(items^2)` exchanges of neighbours, each in constant time.
    pub(crate) fn single_crossing(&self) -> Result<Vec<u32>> {
        let steps = size::square("n_items", self.items)? * (self.items - 1) / 2;
        let mut wanted: Vec<(usize, usize)> = (0..self.ballots)
            .map(|v| (Stream::new(self.seed, v as u64).below(steps + 1), v))
            .collect();
        wanted.sort_unstable();
        let mut stream = Stream::new(self.seed, SHARED);
        let mut order: Vec<u32> = (0..self.labels).collect();
        let mut rising = Rising::all(self.items - 1);
        let mut out = vec![0; self.ballots * self.items];
        let mut done = 0;
        for (step, v) in wanted {
            while done < step {
                if done % GLANCE == 0 {
                    self.stop.check()?;
                }
                let place = rising.places[stream.below(rising.places.len())];
                order.swap(place, place + 1);
                rising.remove(place);
                // The neighbours of a falling pair can only have begun to rise.
                for near in [place.wrapping_sub(1), place + 1] {
                    if near < self.items - 1 && order[near] < order[near + 1] {
                        rising.insert(near);
                    }
                }
                done += 1;
            }
            out[v * self.items..(v + 1) * self.items].copy_from_slice(&order);
        }
        Ok(out)
    }
}

/// Places whose item still has a smaller id than the next one, in no order.
struct Rising {
    places: Vec<usize>,
    /// Where each place is listed.
    listed: Vec<Option<usize>>,
}

impl Rising {
    fn all(count: usize) -> Self {
        Self { places: (0..count).collect(), listed: (0..count).map(Some).collect() }
    }

    fn insert(&mut self, place: usize) {
        if self.listed[place].is_none() {
            self.listed[place] = Some(self.places.len());
            self.places.push(place);
        }
    }

    fn remove(&mut self, place: usize) {
        let Some(at) = self.listed[place].take() else { return };
        self.places.swap_remove(at);
        if let Some(moved) = self.places.get(at) {
            self.listed[*moved] = Some(at);
        }
    }
}

/// Orders a slice of items by falling value, ties by rising id.
fn by_value(values: &[f64], row: &mut [u32]) {
    row.sort_by(|a, b| values[*b as usize].total_cmp(&values[*a as usize]));
}

/// Fills the places from the worst: each is the left or the right end of what remains.
pub(crate) fn walsh(stream: &mut Stream, row: &mut [u32]) {
    let ids = row.to_vec();
    let (mut left, mut right) = (0, row.len());
    for place in (0..row.len()).rev() {
        let pick = if stream.bits() >> 63 == 0 {
            left += 1;
            left - 1
        } else {
            right -= 1;
            right
        };
        row[place] = ids[pick];
    }
}

/// Grows from a uniform peak to either side by a coin.
pub(crate) fn conitzer(stream: &mut Stream, row: &mut [u32]) {
    let ids = row.to_vec();
    let peak = stream.below(row.len());
    let (mut left, mut right) = (peak, peak + 1); // of what is placed: left..right
    row[0] = ids[peak];
    for place in 1..row.len() {
        let go_left = right == row.len() || (left > 0 && stream.bits() >> 63 == 0);
        let pick = if go_left {
            left -= 1;
            left
        } else {
            right += 1;
            right - 1
        };
        row[place] = ids[pick];
    }
}
