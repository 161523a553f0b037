//! DOT, the language of Graphviz.

use super::Label;
use crate::graph::Dag;
use std::fmt::Write;

/// The dependency graph; the critical path is thick.
pub fn dot(title: &str, dag: &Dag, labels: &[Label]) -> String {
    let mut out =
        format!("digraph {} {{\n  rankdir=LR;\n  node [shape=box, style=rounded];\n", quoted(title));
    let critical = |nf: usize| labels.get(nf).is_some_and(|label| label.critical);
    for (nf, label) in labels.iter().enumerate() {
        let text = format!("{}\n{}", label.name, label.detail);
        let pen = if label.critical { ", penwidth=2" } else { "" };
        // Writing into a string cannot fail.
        let _ = writeln!(out, "  n{nf} [label={}{pen}];", quoted(text.trim_end()));
    }
    for (from, to) in dag.edges() {
        let pen = if critical(from) && critical(to) { " [penwidth=2]" } else { "" };
        let _ = writeln!(out, "  n{from} -> n{to}{pen};");
    }
    out.push_str("}\n");
    out
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
