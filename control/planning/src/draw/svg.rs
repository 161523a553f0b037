//! A plan as a picture, from left to right: boxes are NFs, circles are mirrors and merges.

use super::Label;
use crate::graph::Segment;
use std::fmt::Write;

const BOX: (f64, f64) = (116.0, 44.0);
/// Between parts, one after the other and side by side.
const GAP: (f64, f64) = (34.0, 18.0);
/// A mirror or a merge.
const RADIUS: f64 = 5.0;
const MARGIN: f64 = 20.0;
const TITLE: f64 = 26.0;

/// The picture of one plan.
pub fn svg(title: &str, segment: &Segment, labels: &[Label]) -> String {
    let (width, height) = size(segment);
    let (across, down) = (width + 2.0 * (MARGIN + GAP.0), height + 2.0 * MARGIN + TITLE);
    let mut out = format!(
        concat!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0}\" height=\"{1:.0}\" ",
            "viewBox=\"0 0 {0:.0} {1:.0}\" font-family=\"system-ui, sans-serif\" text-anchor=\"middle\">\n",
            "<style>.nf{{fill:#f4f6fa;stroke:#7b8794;stroke-width:1.2}}.critical{{fill:#fff1e0;stroke:#c2571a;",
            "stroke-width:1.8}}.wire{{fill:none;stroke:#7b8794;stroke-width:1.4}}.knot{{fill:#7b8794}}",
            ".name{{font-size:13px;font-weight:600;fill:#1f2933}}.detail{{font-size:11px;fill:#52606d}}</style>\n",
            "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
            "<text class=\"name\" text-anchor=\"start\" x=\"{2:.1}\" y=\"{3:.1}\">{4}</text>\n"
        ),
        across,
        down,
        MARGIN,
        MARGIN + 6.0,
        escaped(title)
    );
    let middle = TITLE + MARGIN + height / 2.0;
    let (start, end) = (MARGIN + GAP.0, MARGIN + GAP.0 + width);
    wire(&mut out, (MARGIN, middle), (start, middle));
    place(segment, labels, (start, middle), &mut out);
    wire(&mut out, (end, middle), (end + GAP.0, middle));
    out.push_str("</svg>\n");
    out
}

fn size(segment: &Segment) -> (f64, f64) {
    match segment {
        Segment::Nf(_) => BOX,
        Segment::Series(parts) => {
            let sizes = parts.iter().map(size);
            let gaps = GAP.0 * parts.len().saturating_sub(1) as f64;
            sizes.fold((gaps, 0.0), |(width, height): (f64, f64), (w, h)| (width + w, height.max(h)))
        }
        Segment::Parallel(parts) => {
            let gaps = GAP.1 * parts.len().saturating_sub(1) as f64;
            let (width, height) = parts
                .iter()
                .map(size)
                .fold((0.0, gaps), |(width, height): (f64, f64), (w, h)| (width.max(w), height + h));
            (width + 2.0 * (GAP.0 + 2.0 * RADIUS), height)
        }
    }
}

/// Draws it with the middle of its left side at `at`.
fn place(segment: &Segment, labels: &[Label], at: (f64, f64), out: &mut String) {
    match segment {
        Segment::Nf(nf) => nf_box(*nf, labels.get(*nf), at, out),
        Segment::Series(parts) => {
            let mut x = at.0;
            for (number, part) in parts.iter().enumerate() {
                if number > 0 {
                    wire(out, (x, at.1), (x + GAP.0, at.1));
                    x += GAP.0;
                }
                place(part, labels, (x, at.1), out);
                x += size(part).0;
            }
        }
        Segment::Parallel(parts) => {
            let (width, height) = size(segment);
            let knots = [at.0 + RADIUS, at.0 + width - RADIUS];
            let (left, right) = (at.0 + 2.0 * RADIUS + GAP.0, at.0 + width - 2.0 * RADIUS - GAP.0);
            let mut top = at.1 - height / 2.0;
            for part in parts {
                let (w, h) = size(part);
                let middle = top + h / 2.0;
                let start = (left + right - w) / 2.0;
                bend(out, (knots[0], at.1), (left, middle));
                wire(out, (left, middle), (start, middle));
                place(part, labels, (start, middle), out);
                wire(out, (start + w, middle), (right, middle));
                bend(out, (right, middle), (knots[1], at.1));
                top += h + GAP.1;
            }
            for knot in knots {
                put(
                    out,
                    format_args!(
                        "<circle class=\"knot\" cx=\"{knot:.1}\" cy=\"{:.1}\" r=\"{RADIUS}\"/>",
                        at.1
                    ),
                );
            }
        }
    }
}

fn nf_box(nf: usize, label: Option<&Label>, (x, y): (f64, f64), out: &mut String) {
    let (width, height) = BOX;
    let class = if label.is_some_and(|label| label.critical) { "nf critical" } else { "nf" };
    put(
        out,
        format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width}\" height=\"{height}\" rx=\"7\"/>",
            y - height / 2.0
        ),
    );
    let (name, detail) = match label {
        Some(label) => (shortened(&label.name), shortened(&label.detail)),
        None => (nf.to_string(), String::new()),
    };
    let middle = x + width / 2.0;
    let lines = [("name", name, y - 2.0), ("detail", detail, y + 14.0)];
    for (class, text, y) in lines.iter().filter(|(_, text, _)| !text.is_empty()) {
        let text = escaped(text);
        put(out, format_args!("<text class=\"{class}\" x=\"{middle:.1}\" y=\"{y:.1}\">{text}</text>"));
    }
}

fn wire(out: &mut String, from: (f64, f64), to: (f64, f64)) {
    if from.0 < to.0 {
        put(
            out,
            format_args!("<path class=\"wire\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>", from.0, from.1, to.0, to.1),
        );
    }
}

fn bend(out: &mut String, from: (f64, f64), to: (f64, f64)) {
    let middle = (from.0 + to.0) / 2.0;
    put(
        out,
        format_args!(
            "<path class=\"wire\" d=\"M{:.1} {:.1}C{middle:.1} {:.1} {middle:.1} {:.1} {:.1} {:.1}\"/>",
            from.0, from.1, from.1, to.1, to.0, to.1
        ),
    );
}

fn put(out: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing into a string cannot fail.
    let _ = writeln!(out, "{line}");
}

/// What fits into a box.
fn shortened(text: &str) -> String {
    const MOST: usize = 16;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST - 1).chain(['…']).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
