use super::*;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

fn literal(bytes: &[u8], id: u32) -> Literal<'_> {
    Literal { bytes, case: Case::Matters, id, once: false }
}

fn expression(text: &str) -> Expression<'_> {
    Expression { text, case: Case::Matters, dot_all: false, multi_line: false, id: 0, once: true }
}

fn scanner(databases: Vec<Database>) -> Scanner {
    Scanner::new(databases.into()).expect("there is memory")
}

fn all(scanner: &mut Scanner, database: usize, bytes: &[u8]) -> Vec<(u32, usize)> {
    let mut found = Vec::new();
    let scanned = scanner.scan(database, bytes, |hit| {
        found.push((hit.id, hit.end));
        ControlFlow::Continue(())
    });
    assert_eq!(scanned, Ok(()));
    found
}

#[test]
fn literals_are_found_wherever_they_end() {
    let literals = [literal(b"abc", 7), literal(b"c.*", 8), literal(b"\0\xff", 9)];
    let mut scanner = scanner(vec![Database::of_literals(&literals).expect("compiles")]);
    assert_eq!(all(&mut scanner, 0, b"xabcabc"), [(7, 4), (7, 7)]);
    assert_eq!(all(&mut scanner, 0, b"abc.*\0\xff"), [(7, 3), (8, 5), (9, 7)]);
    assert_eq!(all(&mut scanner, 0, b"ABC"), []);
    assert_eq!(all(&mut scanner, 0, b""), []);
}

#[test]
fn case_and_repetition_are_each_literals_own() {
    let literals =
        [Literal { case: Case::Ignored, ..literal(b"Host", 1) }, Literal { once: true, ..literal(b"st", 2) }];
    let mut scanner = scanner(vec![Database::of_literals(&literals).expect("compiles")]);
    assert_eq!(all(&mut scanner, 0, b"host HOST stst"), [(1, 4), (2, 4), (1, 9)]);
}

#[test]
fn a_scanner_has_room_for_each_of_its_databases() {
    let many: Vec<String> = (0..3000).map(|n| format!("pattern number {n} of many")).collect();
    let many: Vec<Literal<'_>> =
        many.iter().zip(0..).map(|(text, id)| literal(text.as_bytes(), id)).collect();
    let few = Database::of_literals(&[literal(b"few", 0)]).expect("compiles");
    let large = Database::of_literals(&many).expect("compiles");
    assert!(large.size() > few.size());
    let mut scanner = scanner(vec![few, large]);
    assert!(scanner.size() > 0);
    assert_eq!(all(&mut scanner, 0, b"few"), [(0, 3)]);
    assert_eq!(all(&mut scanner, 1, b"few: pattern number 2999 of many"), [(2999, 32)]);
    assert_eq!(all(&mut scanner, 2, b"few"), []);
}

#[test]
fn the_caller_may_end_a_scan() {
    let mut scanner = scanner(vec![Database::of_literals(&[literal(b"a", 0)]).expect("compiles")]);
    let mut seen = 0;
    let scanned = scanner.scan(0, b"aaaa", |_| {
        seen += 1;
        if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((scanned, seen), (Ok(()), 2));
}

#[test]
fn a_panic_in_a_callback_comes_back_to_the_caller_and_leaves_the_scanner_good() {
    let mut scanner = scanner(vec![Database::of_literals(&[literal(b"a", 0)]).expect("compiles")]);
    let caught = catch_unwind(AssertUnwindSafe(|| scanner.scan(0, b"aa", |_| std::panic::panic_any(42))));
    assert_eq!(caught.expect_err("the callback panics").downcast_ref(), Some(&42));
    assert_eq!(all(&mut scanner, 0, b"a"), [(0, 1)]);
}

#[test]
fn expressions_are_found() {
    let lines = Expression { multi_line: true, id: 1, ..expression("^b+$") };
    let dots = Expression { dot_all: true, case: Case::Ignored, id: 2, ..expression("X.Y") };
    let mut scanner = scanner(vec![Database::of_expressions(&[lines, dots]).expect("compiles")]);
    assert_eq!(all(&mut scanner, 0, b"a\nbb\nx\ny"), [(1, 4), (2, 8)]);
}

#[test]
fn what_makes_no_pattern_is_refused() {
    let refused = |result: Result<Database, Error>| match result {
        Err(Error::Pattern { place, message }) => (place, message),
        _ => unreachable!("it is refused"),
    };
    assert_eq!(refused(Database::of_literals(&[])).0, None);
    assert_eq!(refused(Database::of_literals(&[literal(b"a", 0), literal(b"", 1)])).0, Some(1));
    assert_eq!(refused(Database::of_expressions(&[expression("a\0b")])).0, Some(0));
    let (place, message) = refused(Database::of_expressions(&[expression("fine"), expression("(a)\\1")]));
    assert_eq!(place, Some(1));
    assert!(message.contains("unsupported"), "{message}");
}

#[test]
fn scanners_of_many_threads_share_databases() {
    let databases: Arc<[Database]> =
        vec![Database::of_literals(&[literal(b"needle", 3)]).expect("compiles")].into();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let mut scanner = Scanner::new(Arc::clone(&databases)).expect("there is memory");
            std::thread::spawn(move || (0..1000).all(|_| all(&mut scanner, 0, b"hay needle") == [(3, 10)]))
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().expect("no panic")));
}
