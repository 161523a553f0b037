//! Variables of rule headers: `$HOME_NET`, `$HTTP_PORTS`.

use std::collections::BTreeMap;

/// What the variables of rule headers stand for: addresses and ports as a rule would write them, which may name
/// other variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vars(BTreeMap<String, String>);

/// The variables of Suricata's default configuration.
const DEFAULTS: &[(&str, &str)] = &[
    ("HOME_NET", "[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]"),
    ("EXTERNAL_NET", "!$HOME_NET"),
    ("HTTP_SERVERS", "$HOME_NET"),
    ("SMTP_SERVERS", "$HOME_NET"),
    ("SQL_SERVERS", "$HOME_NET"),
    ("DNS_SERVERS", "$HOME_NET"),
    ("TELNET_SERVERS", "$HOME_NET"),
    ("AIM_SERVERS", "$EXTERNAL_NET"),
    ("DC_SERVERS", "$HOME_NET"),
    ("DNP3_SERVER", "$HOME_NET"),
    ("DNP3_CLIENT", "$HOME_NET"),
    ("MODBUS_CLIENT", "$HOME_NET"),
    ("MODBUS_SERVER", "$HOME_NET"),
    ("ENIP_CLIENT", "$HOME_NET"),
    ("ENIP_SERVER", "$HOME_NET"),
    ("HTTP_PORTS", "80"),
    ("SHELLCODE_PORTS", "!80"),
    ("ORACLE_PORTS", "1521"),
    ("SSH_PORTS", "22"),
    ("DNP3_PORTS", "20000"),
    ("MODBUS_PORTS", "502"),
    ("FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]"),
    ("FTP_PORTS", "21"),
    ("GENEVE_PORTS", "6081"),
    ("VXLAN_PORTS", "4789"),
    ("TEREDO_PORTS", "3544"),
    ("SIP_PORTS", "[5060,5061]"),
];

impl Default for Vars {
    fn default() -> Self {
        Self(DEFAULTS.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

impl Vars {
    /// No variables at all.
    pub fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Gives a variable (its name without `$`) a value, instead of what it had.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// What a variable stands for.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them: name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether `value` is something that a variable can stand for: addresses or ports.
    ///
    /// # Errors
    /// What is wrong with it, as addresses.
    pub fn check(&self, value: &str) -> Result<(), crate::refusal::Refusal> {
        crate::parse::check_variable(value, self)
    }
}
