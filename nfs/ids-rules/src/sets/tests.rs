use super::*;
use proptest::prelude::*;

fn ports(ranges: &[(u16, u16)]) -> PortSet {
    ranges.iter().fold(PortSet::none(), |set, &(low, high)| set.union(&PortSet::range(low, high)))
}

#[test]
fn neighbours_become_one_range() {
    assert_eq!(ports(&[(80, 80), (82, 90), (81, 81)]).ranges(), [(80, 90)]);
    assert_eq!(ports(&[(65535, 65535), (0, 1)]).ranges(), [(0, 1), (65535, 65535)]);
}

#[test]
fn a_negation_has_the_other_family_whole() {
    let outside = AddressSet::v4(0x0a00_0000, 0x0aff_ffff).complement();
    assert!(!outside.contains("10.1.2.3".parse().unwrap()));
    assert!(outside.contains("11.1.2.3".parse().unwrap()));
    assert!(outside.contains("fe80::1".parse().unwrap()));
}

proptest! {
    #[test]
    fn sets_obey_their_algebra(
        a in prop::collection::vec((any::<u16>(), 0_u16..500), 0..6),
        b in prop::collection::vec((any::<u16>(), 0_u16..500), 0..6),
        probes in prop::collection::vec(any::<u16>(), 50),
    ) {
        let of = |list: &[(u16, u16)]| ports(&list.iter().map(|&(low, more)| (low, low.saturating_add(more))).collect::<Vec<_>>());
        let naive = |list: &[(u16, u16)], port: u16| list.iter().any(|&(low, more)| (low..=low.saturating_add(more)).contains(&port));
        let (left, right) = (of(&a), of(&b));
        let edges = a.iter().chain(&b).flat_map(|&(low, more)| [low, low.wrapping_sub(1), low.saturating_add(more).wrapping_add(1)]);
        for port in probes.into_iter().chain(edges) {
            prop_assert_eq!(left.contains(port), naive(&a, port));
            prop_assert_eq!(left.complement().contains(port), !naive(&a, port));
            prop_assert_eq!(left.union(&right).contains(port), naive(&a, port) || naive(&b, port));
            prop_assert_eq!(left.without(&right).contains(port), naive(&a, port) && !naive(&b, port));
        }
        prop_assert_eq!(left.complement().complement(), left);
    }
}
