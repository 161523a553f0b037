use super::segment::after;
use super::*;
use wire::builder::Builder;
use wire::tcp::flags::*;

const ORIGINATES: usize = 0;
const RESPONDS: usize = 1;

fn segment(flags: u8, seq: u32, ack: u32, len: usize) -> Segment {
    with_options(flags, seq, ack, len, &[])
}

fn with_options(flags: u8, seq: u32, ack: u32, len: usize, options: &[u8]) -> Segment {
    let packet = Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
        .tcp(1, 2)
        .seq(seq)
        .ack(ack)
        .flags(flags)
        .window(1000)
        .tcp_options(options)
        .payload_len(len)
        .build();
    Segment::of(&wire::parse(&packet), &packet).expect("TCP")
}

/// A connection whose handshake is done: both sides' next number is 101 and 501.
fn open(options: [&[u8]; 2]) -> Tcp {
    let (mut tcp, phase) = Tcp::begin(&with_options(SYN, 100, 0, 0, options[0]), true).expect("a SYN");
    assert_eq!(phase, Phase::SynSent);
    let answer = with_options(SYN | ACK, 500, 101, 0, options[1]);
    assert_eq!(tcp.observe(phase, RESPONDS, &answer, (false, false, false)), Step::To(Phase::SynReceived));
    let last = segment(ACK, 101, 501, 0);
    let step = tcp.observe(Phase::SynReceived, ORIGINATES, &last, (true, false, false));
    assert_eq!(step, Step::To(Phase::Established));
    tcp
}

fn observe(tcp: &mut Tcp, by: usize, segment: &Segment) -> Step {
    tcp.observe(Phase::Established, by, segment, (true, true, false))
}

#[test]
fn numbers_wrap() {
    assert!(after(1, 0) && after(0, u32::MAX) && after(5, u32::MAX - 5));
    assert!(!after(0, 0) && !after(0, 1) && !after(u32::MAX, 0));
}

#[test]
fn scaled_windows_count_only_if_both_sides_scale() {
    let scale: &[u8] = &[3, 3, 7, 0];
    let far = segment(ACK, 101 + 50_000, 501, 100);
    let offer = segment(ACK, 501, 101, 0);
    for (options, fits) in [([scale, scale], true), ([scale, &[]], false), ([&[], scale], false)] {
        let mut tcp = open(options);
        assert_eq!(observe(&mut tcp, RESPONDS, &offer), Step::To(Phase::Established));
        let step = observe(&mut tcp, ORIGINATES, &far);
        let expected = if fits { Step::To(Phase::Established) } else { Step::Invalid(Cause::TcpSeqAbove) };
        assert_eq!(step, expected, "{options:?}");
    }
}

#[test]
fn only_the_exact_reset_closes() {
    for (seq, expected) in [
        (501, Step::To(Phase::Closed)),
        (502, Step::To(Phase::Established)),
        (1500, Step::To(Phase::Established)),
        (500, Step::Invalid(Cause::TcpReset)),
        (90_000, Step::Invalid(Cause::TcpSeqAbove)),
    ] {
        let mut tcp = open([&[], &[]]);
        assert_eq!(observe(&mut tcp, RESPONDS, &segment(RST, seq, 0, 0)), expected, "{seq}");
    }
}

#[test]
fn after_a_fin_any_reset_closes() {
    for phase in [Phase::FinWait, Phase::CloseWait, Phase::LastAck, Phase::TimeWait] {
        let mut tcp = open([&[], &[]]);
        let step = tcp.observe(phase, RESPONDS, &segment(RST, 90_000, 0, 0), (true, true, false));
        assert_eq!(step, Step::To(Phase::Closed), "{phase:?}");
    }
}

#[test]
fn what_goes_a_little_beyond_the_window_passes_and_may_be_acknowledged() {
    // The originator may send up to 1101, and the window is 1000.
    for (len, expected) in [(100, Step::Ignored), (1000, Step::Invalid(Cause::TcpSeqAbove))] {
        let mut tcp = open([&[], &[]]);
        assert_eq!(observe(&mut tcp, ORIGINATES, &segment(ACK, 1102, 501, len)), expected);
        let answer = observe(&mut tcp, RESPONDS, &segment(ACK, 501, 1102 + len as u32, 0));
        let expected = match expected {
            Step::Ignored => Step::To(Phase::Established),
            _ => Step::Invalid(Cause::TcpAckAbove),
        };
        assert_eq!(answer, expected, "{len}");
    }
}

#[test]
fn a_syn_into_a_connection_changes_nothing_until_it_is_answered() {
    let mut tcp = open([&[], &[]]);
    assert_eq!(observe(&mut tcp, ORIGINATES, &segment(SYN, 70_000, 0, 0)), Step::Ignored);
    // The challenge of RFC 5961 section 4 is an ACK of the old connection.
    assert_eq!(observe(&mut tcp, RESPONDS, &segment(ACK, 501, 101, 0)), Step::To(Phase::Established));
    // The responder had forgotten the connection, and takes the new one.
    assert_eq!(observe(&mut tcp, ORIGINATES, &segment(SYN, 70_000, 0, 0)), Step::Ignored);
    let answer = segment(SYN | ACK, 9_000, 70_001, 0);
    assert_eq!(observe(&mut tcp, RESPONDS, &answer), Step::To(Phase::SynReceived));
}

#[test]
fn flags_that_do_not_go_together_are_no_segment() {
    for flags in [0, SYN | FIN, SYN | RST, FIN, FIN | RST, FIN | URG | PSH, URG, 0xff] {
        assert_eq!(segment(flags, 1, 1, 0).kind(), None, "{flags:#x}");
    }
    for (flags, kind) in [
        (SYN | ECE | CWR, SegmentKind::Syn),
        (SYN | ACK | ECE, SegmentKind::SynAck),
        (ACK | PSH | URG, SegmentKind::Ack),
        (FIN | ACK | PSH, SegmentKind::Fin),
        (RST | ACK, SegmentKind::Rst),
    ] {
        assert_eq!(segment(flags, 1, 1, 0).kind(), Some(kind), "{flags:#x}");
    }
}
