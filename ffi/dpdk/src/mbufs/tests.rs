use super::*;

#[test]
fn a_burst_without_packets_has_none() {
    let mut burst = Mbufs::new();
    assert!(burst.is_empty() && !burst.is_full());
    assert!(burst.get(0).is_none() && burst.get_mut(BURST).is_none() && burst.take(99).is_none());
    burst.compact();
    burst.clear();
    assert_eq!(burst.drain().count(), 0);
    assert_eq!(burst.append(&mut Mbufs::new()), 0);
    burst.split_mask(u32::MAX, &mut Mbufs::new());
    assert_eq!((burst.len(), burst.iter().count(), burst.iter_mut().count()), (0, 0, 0));
}
