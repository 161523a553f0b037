use regex_automata::meta;

use super::*;

fn read(text: &str) -> Result<(Pcre, Option<Buffer>), Refusal> {
    parse(Span::new(text.as_bytes()))
}

/// Where the first match begins and ends.
fn find(text: &str, haystack: &[u8]) -> Option<(usize, usize)> {
    let (pcre, _) = read(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"));
    let engine = meta::Regex::builder().syntax(syntax()).build(&pcre.regex).expect("it compiled before");
    engine.find(haystack).map(|found| (found.start(), found.end()))
}

#[test]
fn expressions_match_as_in_pcre() {
    for (pcre, haystack, wanted) in [
        (r"/a.c/", &b"xabc"[..], Some((1, 4))),
        (r"/a.c/", b"a\nc", None),
        (r"/a.c/s", b"a\nc", Some((0, 3))),
        (r"/ABC/i", b"abc", Some((0, 3))),
        (r"/^b/", b"a\nb", None),
        (r"/^b/m", b"a\nb", Some((2, 3))),
        (r"/a$/", b"a\n", Some((0, 2))),
        (r"/a$/E", b"a\n", None),
        (r"/a$/m", b"a\nb", Some((0, 1))),
        (r"/b/A", b"ab", None),
        (r"/a+/G", b"aaa", Some((0, 1))),
        (r"/a+?/G", b"aaa", Some((0, 3))),
        (r"/a b # c/x", b"ab", Some((0, 2))),
        (r"/a\ b/x", b"a b", Some((0, 3))),
        (r"/[ ]/x", b" ", Some((0, 1))),
        (r"/\x41\101\x{41}\cA/", b"AAA\x01", Some((0, 4))),
        (r"/[\x90-\xff]{2}/", b"\x80\x90\xff", Some((1, 3))),
        (r"/[^a-c]/", b"abcd", Some((3, 4))),
        (r"/[]a]+/", b"x]a]", Some((1, 4))),
        (r"/[a[b]+/", b"x[a", Some((1, 3))),
        (r"/[a&&b]+/", b"&&", Some((0, 2))),
        (r"/[a-]+/", b"-a", Some((0, 2))),
        (r"/[\w-]+/", b"*-a", Some((1, 3))),
        (r"/[\d\-x]+/", b"-1x", Some((0, 3))),
        (r"/[[:alpha:]_]+/", b"1a_", Some((1, 3))),
        (r"/[[:^digit:]]/", b"1a", Some((1, 2))),
        (r"/a{,2}/", b"a{,2}", Some((0, 5))),
        (r"/a{x/", b"a{x", Some((0, 3))),
        (r"/a{2,}b{1}/", b"aaab", Some((0, 4))),
        (r"/\Qa.b\E+c/", b"a.bbc", Some((0, 5))),
        (r"/\<a\>\/\;\:\#/", b"<a>/;:#", Some((0, 7))),
        (r"/\bfoo\b/", b"a foo.", Some((2, 5))),
        (r"/a\R\h\N/", b"a\r\n\tx", Some((0, 5))),
        (r"/(?i)a(?-i)b/", b"Ab", Some((0, 2))),
        (r"/(?i:a)b/", b"AB", None),
        (r"/(?m)^b/", b"\nb", Some((1, 2))),
        (r"/((?m)^b|c)$/", b"\nb", Some((1, 2))),
        (r"/(?P<name>a)(?<other>b)(?'third'c)/", b"abc", Some((0, 3))),
        (r"/a(?#comment)b/", b"ab", Some((0, 2))),
        (r"/(?<![a-z])ver/", b"over ver", Some((4, 8))),
        (r"/(?<![a-z])ver/", b"ver", Some((0, 3))),
        (r"/(?<!\d)x|y/", b"1xy", Some((2, 3))),
        (r"/(?<=:)x/", b"x:x", Some((1, 3))),
        (r"/\//", b"/", Some((0, 1))),
        ("/\u{e9}/", "é".as_bytes(), Some((0, 2))),
    ] {
        assert_eq!(find(pcre, haystack), wanted, "{pcre} in {haystack:?}");
    }
}

#[test]
fn what_needs_backtracking_is_refused_by_name() {
    for (pcre, what) in [
        (r"/(a)\1/", "a back-reference"),
        (r"/(?P<x>a)(?P=x)/", "a back-reference"),
        (r"/(a)\g{1}/", "a back-reference"),
        (r"/a(?=b)/", "a look-ahead"),
        (r"/a(?!b)/", "a look-ahead"),
        (r"/a(?<!b)/", "a look-behind"),
        (r"/((?<!b)a)/", "a look-behind"),
        (r"/(?<!ab)c/", "a look-behind of more than one byte"),
        (r"/(?>a)/", "an atomic group"),
        (r"/a++/", "a possessive quantifier"),
        (r"/(?R)/", "a recursion"),
        (r"/(?(1)a)/", "a condition"),
        (r"/a\Kb/", "\\K"),
        (r"/(*UTF)a/", "a verb"),
        (r"/(?|a|b)/", "a branch reset"),
    ] {
        let refusal = read(pcre).unwrap_err();
        assert_eq!(refusal.kind, Kind::Unsupported, "{pcre}");
        assert_eq!(refusal.message, format!("{what}: no engine of linear time has it"), "{pcre}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    for (pcre, column, message) in [
        ("a/", 1, "begins with a slash"),
        ("/a", 1, "ends with a slash and flags"),
        ("//", 2, "must have 1 to 4096 bytes"),
        ("/a/q", 4, "\"q\" is no flag"),
        ("/a/UH", 5, "two flags name buffers"),
        ("/a/, flow:x", 4, "variables of captures are not in the subset"),
        ("/(?P<flow_x>a)/", 2, "variables of captures are not in the subset"),
        ("/(a/", 4, "a ( is not closed"),
        ("/a)/", 3, "a ) without ("),
        ("/[a/", 2, "a [ is not closed"),
        ("/[b-a]/", 5, "a range that ends before it begins"),
        ("/*a/", 2, "a quantifier has nothing before it"),
        (r"/\y/", 2, "an escape that PCRE does not have"),
        (r"/\x{100}/", 2, "\\x{} is 0 to ff"),
    ] {
        let refusal = read(pcre).unwrap_err();
        assert_eq!((refusal.column, refusal.message.as_str()), (column, message), "{pcre}");
    }
}

#[test]
fn flags_name_buffers() {
    for (pcre, buffer) in
        [("/a/U", Buffer::HttpUri), ("/a/iHR", Buffer::HttpHeader), ("/a/P", Buffer::HttpRequestBody)]
    {
        assert_eq!(read(pcre).unwrap().1, Some(buffer), "{pcre}");
    }
    let (pcre, buffer) = read("!\"/a/RB\"").unwrap();
    assert!(pcre.negated && pcre.relative && buffer.is_none());
}

#[test]
fn expressions_cannot_blow_up() {
    for pcre in ["/(((a{100}){100}){100}){100}/", "/(?:x{1000}y?){1000}/", "/[a-z]{60000}{60000}/"] {
        assert!(read(pcre).is_err(), "{pcre}");
    }
    let deep = format!("/{}a{}/", "(".repeat(1000), ")".repeat(1000));
    assert!(read(&deep).is_err());
    // The classic that takes a backtracking engine 2^30 steps.
    let haystack = [&b"a".repeat(5000)[..], b"b"].concat();
    assert_eq!(find("/^(a+)+$/", &haystack), None);
}
