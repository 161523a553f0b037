//! Variables of a rule, numbered in the order in which its evaluation meets them.

use std::sync::Arc;

use crate::{
    payload::{Test, Value, Variable},
    rule::Rule,
};

/// Gives variables the numbers of the order in which groups and tests define them.
///
/// # Errors
/// The name of a variable that is used before the test that defines it, since its buffer is looked into earlier.
pub(super) fn renumber(rule: &mut Rule) -> Result<(), Arc<str>> {
    let mut numbers: Vec<Option<Variable>> = vec![None; rule.variables.len()];
    let mut names = Vec::with_capacity(rule.variables.len());
    for test in rule.buffers.iter_mut().flat_map(|group| &mut group.tests) {
        let unknown = |variable: Variable| {
            rule.variables.get(usize::from(variable.0)).cloned().unwrap_or_else(|| "".into())
        };
        for value in uses(test) {
            if let Value::Of(variable) = value {
                let number = numbers.get(usize::from(variable.0)).copied().flatten();
                *variable = number.ok_or_else(|| unknown(*variable))?;
            }
        }
        if let Some(variable) = defines(test) {
            let number = Variable(names.len() as u8);
            names.push(unknown(*variable));
            if let Some(place) = numbers.get_mut(usize::from(variable.0)) {
                *place = Some(number);
            }
            *variable = number;
        }
    }
    rule.variables = names;
    Ok(())
}

/// Where a test may use a variable.
fn uses(test: &mut Test) -> Vec<&mut Value> {
    match test {
        Test::Content(content) => {
            let positions =
                [&mut content.offset, &mut content.depth, &mut content.distance, &mut content.within];
            positions.into_iter().flatten().collect()
        }
        Test::IsDataAt(test) => vec![&mut test.position],
        Test::ByteTest(test) => vec![&mut test.bytes, &mut test.value, &mut test.offset],
        Test::ByteJump(jump) => vec![&mut jump.bytes, &mut jump.offset, &mut jump.post_offset],
        Test::ByteMath(math) => vec![&mut math.bytes, &mut math.operand],
        Test::ByteExtract(_) | Test::Pcre(_) | Test::BufferSize(_) | Test::Absent { .. } => Vec::new(),
    }
}

/// The variable that a test defines.
fn defines(test: &mut Test) -> Option<&mut Variable> {
    match test {
        Test::ByteExtract(test) => Some(&mut test.variable),
        Test::ByteMath(test) => Some(&mut test.variable),
        _ => None,
    }
}
