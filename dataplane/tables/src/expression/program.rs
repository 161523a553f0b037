//! An expression as a list of tests, each with where to go on: no recursion, no test that cannot matter.
use wire::Headers;

use super::Node;
use super::compare::Comparison;
use super::field::Predicate;

#[derive(Clone, Debug)]
enum Test {
    Is(Predicate),
    Compare(Comparison),
}

#[derive(Clone, Debug)]
struct Step {
    test: Test,
    /// The next step when the test fails, and when it holds.
    next: [u32; 2],
}

const REJECT: u32 = u32::MAX - 1;
const ACCEPT: u32 = u32::MAX;

#[derive(Clone, Debug)]
pub(super) struct Program {
    /// The last is the first to run; steps go on with lower ones only, so a run ends.
    steps: Vec<Step>,
    start: u32,
}

impl Program {
    pub(super) fn of(root: &Node) -> Self {
        let mut program = Self { steps: vec![], start: REJECT };
        program.start = program.compile(root, [REJECT, ACCEPT]);
        program
    }

    /// Adds the steps of a node, which goes on at `next`; returns where it begins. Recurses as deep as the text,
    /// which is bounded.
    fn compile(&mut self, node: &Node, next: [u32; 2]) -> u32 {
        let [no, yes] = next;
        let test = match node {
            Node::Constant(value) => return next[usize::from(*value)],
            Node::Not(inner) => return self.compile(inner, [yes, no]),
            Node::And(nodes) => {
                return nodes.iter().rev().fold(yes, |yes, node| self.compile(node, [no, yes]));
            }
            Node::Or(nodes) => {
                return nodes.iter().rev().fold(no, |no, node| self.compile(node, [no, yes]));
            }
            Node::Is(predicate) => Test::Is(*predicate),
            Node::Compare(comparison) => Test::Compare(comparison.clone()),
        };
        self.steps.push(Step { test, next });
        self.steps.len() as u32 - 1
    }

    #[inline]
    pub(super) fn run(&self, frame: &[u8], length: usize, headers: &Headers) -> bool {
        let mut at = self.start;
        while let Some(step) = self.steps.get(at as usize) {
            let holds = match &step.test {
                Test::Is(predicate) => predicate.holds(headers),
                Test::Compare(comparison) => comparison.holds(frame, length, headers),
            };
            at = step.next[usize::from(holds)];
        }
        at == ACCEPT
    }
}
