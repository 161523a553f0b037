//! How long flows are: the public distributions of data centres, read as their authors wrote them.
//!
//! Three ways to write a cumulative distribution are told apart by the first line that is neither empty nor a comment
//! (`#`):
//!
//! - `1000,0.15` (CSV; Opera): bytes and cumulative probability.
//! - `1000 15` from the first line on (HPCC): bytes and cumulative *percent*.
//! - a number alone, then `1000 0.15` (Homa): the mean as its authors have it, then size and cumulative probability.
//!   Sizes are bytes or, in Homa's DCTCP files, packets: `unit` says how many bytes one is.
//!
//! Between two points sizes are spread evenly, as HPCC's generator does it; a first point whose probability is not 0
//! starts at the unit itself.

use crate::random::Random;
use std::path::{Path, PathBuf};

#[cfg(test)]
mod tests;

/// A cumulative distribution of flow sizes in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizes {
    /// Size in bytes and cumulative probability; both never fall, the last probability is 1.
    points: Vec<(f64, f64)>,
    least: u64,
    most: u64,
}

/// Why a file is no distribution.
#[derive(Debug, thiserror::Error)]
pub enum SizesError {
    /// It cannot be read at all.
    #[error("cannot read {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// One line is wrong.
    #[error("{}:{line}: {what}: '{text}'", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
        /// The line.
        text: String,
    },
    /// No line is wrong, and yet it is none.
    #[error("{}: {what}", path.display())]
    Whole {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

impl Sizes {
    /// Reads a file; sizes in it are of `unit` bytes each.
    ///
    /// # Errors
    /// The line that is wrong, and why.
    pub fn read(path: &Path, unit: u64) -> Result<Sizes, SizesError> {
        let text = std::fs::read_to_string(path)
            .map_err(|why| SizesError::Unreadable { path: path.to_owned(), why })?;
        Sizes::parse(&text, unit, path)
    }

    /// All flows of one size.
    pub fn fixed(bytes: u64) -> Sizes {
        let bytes = bytes.max(1);
        Sizes { points: vec![(bytes as f64, 0.0), (bytes as f64, 1.0)], least: bytes, most: bytes }
    }

    /// Reads the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// As [`Sizes::read`].
    pub fn parse(text: &str, unit: u64, path: &Path) -> Result<Sizes, SizesError> {
        let unit = unit.max(1) as f64;
        let whole = |what| SizesError::Whole { path: path.to_owned(), what };
        let mut points: Vec<(f64, f64)> = Vec::new();
        // Of one in the second column.
        let mut full = None;
        for (number, line) in text.lines().enumerate() {
            let wrong = |what| SizesError::Line {
                path: path.to_owned(),
                line: number + 1,
                what,
                text: line.to_owned(),
            };
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let columns: Vec<&str> = match trimmed.contains(',') {
                true => trimmed.split(',').map(str::trim).collect(),
                false => trimmed.split_whitespace().collect(),
            };
            let numbers: Option<Vec<f64>> = columns.iter().map(|column| number_of(column)).collect();
            let numbers = numbers.ok_or_else(|| wrong("not all of it is numbers, none negative"))?;
            let (size, share) = match (numbers[..].as_ref(), full) {
                ([_mean], None) => {
                    full = Some(1.0);
                    continue;
                }
                ([size, share], known) => {
                    let full = *full.get_or_insert(if trimmed.contains(',') { 1.0 } else { 100.0 });
                    if known.is_none() && full == 100.0 && *share != 0.0 {
                        return Err(wrong(
                            "a file in percent starts with 0; one in probabilities, with its mean alone",
                        ));
                    }
                    (size * unit, share / full)
                }
                _ => return Err(wrong("a size and a cumulative share are two numbers")),
            };
            if share > 1.0 {
                return Err(wrong("a cumulative share above all"));
            }
            if points.last().is_some_and(|last| size < last.0 || share < last.1) {
                return Err(wrong("a cumulative distribution never falls"));
            }
            points.push((size, share));
        }
        let (first, last) = match (points.first(), points.last()) {
            (Some(first), Some(last)) => (*first, *last),
            _ => return Err(whole("no size is in it")),
        };
        // Some files have 99.99 or 0.999999 for all.
        if last.1 < 0.999 {
            return Err(whole("its last cumulative share is not 1 (or 100 percent): sizes are missing"));
        }
        if let Some(last) = points.last_mut() {
            last.1 = 1.0;
        }
        if first.1 > 0.0 {
            points.insert(0, (unit.min(first.0), 0.0));
        }
        if last.0 < 1.0 {
            return Err(whole("its flows have no bytes"));
        }
        Ok(Sizes { points, least: 1, most: last.0 as u64 })
    }

    /// No flow is longer than so many bytes; longer ones are cut.
    #[must_use]
    pub fn at_most(mut self, bytes: u64) -> Sizes {
        self.most = self.most.min(bytes.max(1));
        self
    }

    /// The mean, in bytes.
    pub fn mean(&self) -> f64 {
        let most = self.most as f64;
        let pairs = self.points.windows(2);
        pairs
            .map(|pair| {
                let ((a, p), (b, q)) = (pair[0], pair[1]);
                // Of the segment, the part from `most` on counts as `most`.
                let mean = if b <= most {
                    (a + b) / 2.0
                } else if a >= most {
                    most
                } else {
                    let below = (most - a) / (b - a);
                    below * (a + most) / 2.0 + (1.0 - below) * most
                };
                (q - p) * mean.max(self.least as f64)
            })
            .sum()
    }

    /// The longest flow, in bytes.
    pub fn longest(&self) -> u64 {
        self.most
    }

    /// One flow's bytes, at least 1.
    pub fn draw(&self, random: &mut Random) -> u64 {
        let share = random.unit();
        let after = self.points.partition_point(|point| point.1 <= share).clamp(1, self.points.len() - 1);
        let ((a, p), (b, q)) = (self.points[after - 1], self.points[after]);
        let size = if q > p { a + (b - a) * ((share - p) / (q - p)) } else { b };
        (size as u64).clamp(self.least, self.most)
    }
}

fn number_of(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)
}
