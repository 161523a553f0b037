//! Lines over two axes.

use crate::random::ln;
use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 52.0;
const LEGEND: f64 = 18.0;
/// Colours that differ for people who see no red or no green (Okabe, Ito).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333"];

/// One axis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Axis {
    /// What it shows, with the unit.
    pub label: String,
    /// Whether equal steps are equal factors; values that are not positive are left out.
    pub log: bool,
}

/// One line.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Lines over two axes.
#[derive(Clone, PartialEq, Debug)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// Left to right.
    pub x: Axis,
    /// Bottom to top; it starts at 0 unless it is logarithmic.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
}

/// From values to places.
struct Scale {
    from: f64,
    to: f64,
    log: bool,
}

impl Scale {
    fn new(values: impl Iterator<Item = f64>, axis: &Axis, from_zero: bool) -> Scale {
        let good = values.filter(|value| value.is_finite() && (!axis.log || *value > 0.0));
        let (mut from, mut to) =
            good.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if from > to {
            (from, to) = (1.0, 10.0);
        }
        if axis.log {
            let (a, b) = (power_below(from), power_below(to));
            (from, to) = (a, if b < to || b <= a { b * 10.0 } else { b });
        } else {
            if from_zero {
                (from, to) = (from.min(0.0), to.max(0.0));
            }
            let step = step_of(to - from);
            from = (from / step).floor() * step;
            to = (to / step).ceil() * step;
            if to <= from {
                to = from + 1.0;
            }
        }
        Scale { from, to, log: axis.log }
    }

    /// From 0 to 1.
    fn place(&self, value: f64) -> f64 {
        match self.log {
            true => ln(value / self.from) / ln(self.to / self.from),
            false => (value - self.from) / (self.to - self.from),
        }
    }

    fn ticks(&self) -> Vec<f64> {
        let mut ticks = Vec::new();
        if self.log {
            let mut tick = self.from;
            while tick <= self.to * 1.001 {
                ticks.push(tick);
                tick *= 10.0;
            }
        } else {
            let step = step_of(self.to - self.from);
            let count = ((self.to - self.from) / step + 0.5) as usize;
            ticks.extend((0..=count).map(|n| self.from + n as f64 * step));
        }
        ticks
    }
}

/// A round step of which five to ten make the range.
fn step_of(range: f64) -> f64 {
    let range = if range > 0.0 { range } else { 1.0 };
    let power = power_below(range);
    match range / power {
        r if r <= 2.0 => power / 5.0,
        r if r <= 5.0 => power / 2.0,
        _ => power,
    }
}

/// The power of ten at or below a positive number.
fn power_below(value: f64) -> f64 {
    let mut power = 1.0;
    while power > value && power > 1e-12 {
        power /= 10.0;
    }
    while power * 10.0 <= value && power < 1e18 {
        power *= 10.0;
    }
    power
}

impl Chart {
    /// The plot.
    pub fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = Scale::new(points().map(|point| point.0), &self.x, false);
        let y = Scale::new(points().map(|point| point.1), &self.y, true);
        let across = |value: f64| LEFT + x.place(value) * (WIDTH - LEFT - RIGHT);
        let down = |value: f64| HEIGHT - BOTTOM - y.place(value) * (HEIGHT - TOP - BOTTOM);
        let whole = HEIGHT + LEGEND * self.series.len() as f64 + 8.0;
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH:.0}\" height=\"{whole:.0}\" \
             viewBox=\"0 0 {WIDTH:.0} {whole:.0}\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"14\" font-weight=\"600\">{}</text>\n",
            escaped(&self.title)
        );
        let mut put = |text: std::fmt::Arguments<'_>| {
            // A string takes all.
            let _ = out.write_fmt(text);
        };
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for tick in x.ticks() {
            let at = across(tick);
            put(format_args!(
                "<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#e4e7eb\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
                bottom + 16.0,
                number(tick)
            ));
        }
        for tick in y.ticks() {
            let at = down(tick);
            put(format_args!(
                "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#e4e7eb\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                LEFT - 6.0,
                at + 4.0,
                number(tick)
            ));
        }
        put(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(16 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
            (LEFT + right) / 2.0,
            bottom + 36.0,
            escaped(&self.x.label),
            (TOP + bottom) / 2.0,
            escaped(&self.y.label)
        ));
        for (number, series) in self.series.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let good = series.points.iter().filter(|(a, b)| (!x.log || *a > 0.0) && (!y.log || *b > 0.0));
            let line: Vec<String> = good.map(|(a, b)| format!("{:.1},{:.1}", across(*a), down(*b))).collect();
            let legend = HEIGHT + LEGEND * number as f64;
            put(format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"/>\n\
                 <path d=\"M{LEFT} {legend:.1}h24\" stroke=\"{colour}\" stroke-width=\"3\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{}</text>\n",
                line.join(" "),
                LEFT + 32.0,
                legend + 4.0,
                escaped(&series.name)
            ));
        }
        out.push_str("</svg>\n");
        out
    }
}

/// A tick's number, without digits that say nothing.
fn number(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e6).contains(&value.abs()) {
        return format!("{value:.0e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
