//! Drawings are well-formed and say what they draw.

use super::*;
use crate::graph::{Dag, Segment};

fn labels() -> Vec<Label> {
    let label =
        |name: &str, critical| Label { name: name.to_owned(), detail: "120 cycles".to_owned(), critical };
    vec![label("edge", true), label("a \"<b>\" & a very long name", false), label("nat", true)]
}

#[test]
fn dot_has_each_nf_and_each_edge() {
    let dag = Dag::new(vec![1, 2, 3], &[(0, 2)]).unwrap();
    let text = dot("egress", &dag, &labels());
    assert_eq!(
        text,
        "digraph \"egress\" {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n  \
         n0 [label=\"edge\\n120 cycles\", penwidth=2];\n  \
         n1 [label=\"a \\\"<b>\\\" & a very long name\\n120 cycles\"];\n  \
         n2 [label=\"nat\\n120 cycles\", penwidth=2];\n  n0 -> n2 [penwidth=2];\n}\n"
    );
}

#[test]
fn svg_has_a_box_for_each_nf_and_two_knots_for_each_mirror() {
    let branches = Segment::parallel([Segment::Nf(1), Segment::Nf(2)]);
    let text = svg("a & b", &Segment::series([Segment::Nf(0), branches]), &labels());
    assert_eq!(text.matches("<rect class=\"nf").count(), 3);
    assert_eq!(text.matches("class=\"nf critical\"").count(), 2);
    assert_eq!(text.matches("<circle").count(), 2);
    assert!(text.contains(">a &amp; b</text>"));
    assert!(text.contains("a &quot;&lt;b&gt;&quot; &amp; a ver…"), "{text}");
    assert!(text.ends_with("</svg>\n"));
}
