//! RFC 6146 section 3.5.2.2: every state with every packet.

use super::super::tcp::{Side, State, opens};
use wire::tcp::flags::{ACK, FIN, PSH, RST, SYN};

#[test]
fn states_follow_the_rfc() {
    use Side::{V4, V6};
    use State::*;
    for (state, side, flags, after, renewed) in [
        (V6Init, V4, SYN | ACK, Established, true),
        (V6Init, V6, SYN, V6Init, true),
        (V6Init, V6, ACK, V6Init, false),
        (V6Init, V4, RST, V6Init, false),
        (V4Init, V6, SYN | ACK, Established, true),
        (V4Init, V4, SYN, V4Init, true),
        (V4Init, V4, ACK, V4Init, false),
        (Established, V4, FIN | ACK, V4Fin, true),
        (Established, V6, FIN | ACK, V6Fin, true),
        (Established, V4, RST, Trans, true),
        (Established, V6, RST | ACK, Trans, true),
        (Established, V6, PSH | ACK, Established, true),
        (V4Fin, V6, FIN | ACK, BothFin, true),
        (V4Fin, V4, FIN | ACK, V4Fin, true),
        (V6Fin, V4, FIN | ACK, BothFin, true),
        (V6Fin, V6, ACK, V6Fin, true),
        (BothFin, V4, ACK, BothFin, false),
        // Not in the RFC: the ports are used again.
        (BothFin, V6, SYN, V6Init, true),
        (BothFin, V4, SYN, V4Init, true),
        (Trans, V4, RST, Trans, false),
        (Trans, V6, ACK, Established, true),
    ] {
        assert_eq!(state.after(side, flags), (after, renewed), "{state:?} {side:?} {flags:#x}");
    }
    assert!([Established, V4Fin, V6Fin].iter().all(|state| state.is_open()));
    assert!(![V4Init, V6Init, BothFin, Trans].iter().any(|state| state.is_open()));
    assert!(opens(SYN) && !opens(SYN | ACK) && !opens(SYN | RST) && !opens(ACK));
}
