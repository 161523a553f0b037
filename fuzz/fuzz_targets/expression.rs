//! Any text is an expression or an error inside it; an expression survives being written and read again, and means
//! the same before and after for any frame, with its own headers or others.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tables::expression::Expression;

fuzz_target!(|input: (&str, &[u8], &[u8])| {
    let (text, frame, other) = input;
    match Expression::parse(text) {
        Err(error) => assert!(text.get(error.span.clone()).is_some(), "{error:?}"),
        Ok(expression) => {
            let canonical = expression.to_string();
            let again = Expression::parse(&canonical).expect("canonical text is good");
            assert_eq!(again, expression);
            let headers = wire::parse(frame);
            let matches = expression.matches(frame, &headers);
            assert_eq!(again.matches(frame, &headers), matches);
            if let Some(quick) = expression.quick() {
                assert_eq!(quick.matches(frame), matches);
            }
            expression.matches(other, &headers);
        }
    }
});
