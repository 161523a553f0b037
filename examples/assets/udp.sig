# What UDP servers say, as in servers.sig.
dns,v/DNS server///,^..[\x80-\x8f].\x00\x01
ntp,v/NTP server///,^[\x1c\x24].......
quic,v/QUIC version 1///,^[\xc0-\xff]\x00\x00\x00\x01
