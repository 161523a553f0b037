//! Fields by the names that a user writes.

use engine::ConfigError;
use wire::{Field, Fields};

/// Names that are not those of [`Field::name`] with a dot or an underscore.
const OTHERS: [(&str, Field); 12] = [
    ("eth_type", Field::EtherType),
    ("vlan_id", Field::Vlan),
    ("tcp_sport", Field::Sport),
    ("udp_sport", Field::Sport),
    ("tcp_dport", Field::Dport),
    ("udp_dport", Field::Dport),
    ("tcp_checksum", Field::L4Checksum),
    ("udp_checksum", Field::L4Checksum),
    ("icmp_checksum", Field::L4Checksum),
    ("udp_length", Field::L4Length),
    ("ipv6_flow", Field::Ipv6FlowLabel),
    ("icmp_id", Field::IcmpRest),
];

/// The fields of these names: `ip.src` or `ip_src`, `tcp.sport` or `sport`.
pub(super) fn parse(key: &str, names: &[String]) -> Result<Fields, ConfigError> {
    let mut fields = Fields::EMPTY;
    for (i, name) in names.iter().enumerate() {
        let plain = name.replace('.', "_");
        let known = Field::ALL.into_iter().find(|field| field.name() == plain);
        let other = || OTHERS.iter().find(|(other, _)| *other == plain).map(|&(_, field)| field);
        match known.or_else(other) {
            Some(field) => fields = fields.with(field),
            None => {
                let all = Field::ALL.map(|field| field.name()).join(", ");
                return Err(ConfigError::at(&format!("{key}[{i}]"), format!("'{name}' is no field"))
                    .help(format!("the fields are: {all}")));
            }
        }
    }
    Ok(fields)
}
