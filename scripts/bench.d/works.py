"""What braid does in a measurement: NFs with their configuration, chains of them, and the traffic that fits."""

import json
import pathlib

import traffic
from programs import FOLDER

MILLION = 1_000_000
# Rules that let destinations in the whole table of routes pass.
ANY = "rules-any-10"


def firewall(rules):
    return ['kind = "firewall"', f'rules = "{rules}"']


def router(count):
    neighbours = ", ".join(
        f'"192.0.2.{2 + n}" = "02:00:00:00:01:0{n}"' for n in range(traffic.GATEWAYS)
    )
    return [
        'kind = "router"',
        f'routes_file = "routes-{count}"',
        f"neighbours = {{ {neighbours} }}",
        'interfaces.a = { mac = "02:00:00:00:00:02", addresses = ["10.0.0.1/8"], mtu = 1600 }',
        'interfaces.b = { mac = "02:00:00:00:00:03", addresses = ["192.0.2.1/24"], mtu = 1600 }',
    ]


def balancer(backends=8):
    named = ", ".join(f'{{ name = "web{n}", address = "198.51.100.{n + 1}", port = 8080 }}' for n in range(backends))
    address, port = traffic.SERVICE
    service = f'address = "{address}", port = {port}, protocol = "udp", mode = "nat", backends = [{named}]'
    return ['kind = "lb"', f"services = [{{ {service} }}]"]


def switch():
    places = ", ".join(
        f'"{traffic.station(2, n).hex(":")}" = "b"' for n in range(traffic.STATIONS)
    )
    return ['kind = "l2fwd"', f"table = {{ {places} }}"]


def nat(*more, pool="203.0.113.1"):
    return ['kind = "nat"', 'inside = ["10.0.0.0/8"]', f'pool = ["{pool}"]', *more]


def watch_full():
    """A monitor with sketches, and assets by the signatures of the examples."""
    folder = pathlib.Path(__file__).resolve().parents[2] / "examples" / "assets"
    files = {"syn": "syn.fp", "synack": "synack.fp", "servers": "servers.sig", "clients": "clients.sig", "udp": "udp.sig"}
    named = ", ".join(f'{key} = "{folder / file}"' for key, file in files.items())
    return ['kind = "monitor"', 'active_timeout = "30m"', "sketches = true", f"assets = {{ {named} }}"]


MACS = 'macs = { source = "02:00:00:00:00:03", destination = "02:00:00:00:00:04" }'
ENDS = 'local = "192.0.2.1", remote = "192.0.2.2"'
BACK = 'local = "192.0.2.2", remote = "192.0.2.1"'
# A tunnel for everything, under a key that everybody knows.
KEYMAT = "000102030405060708090a0b0c0d0e0f10111213"


def vpn(name, ends, direction, count=1):
    associations = ", ".join(f'{{ spi = {4097 + n}, keymat = "{KEYMAT}" }}' for n in range(count))
    return [
        'kind = "vpn"',
        f"capacity = {max(4096, count)}",
        f"[[nf.{name}.tunnels]]",
        'name = "t"',
        *ends.split(", "),
        "mtu = 1600",
        'selectors = [{ local = "0.0.0.0/0", remote = "0.0.0.0/0" }]',
        f"{direction} = [{associations}]",
    ]


# Lines of each NF by its name in chains. Tables of a million have room to spare.
NFS = {
    "swap": ['kind = "mac_swap"'],
    "switch": switch(),
    **{f"edge_{count}": firewall(f"rules-{count}") for count in (10, 1000, 10000)},
    "edge_any": firewall(ANY),
    "watch": ['kind = "monitor"'],
    "watch_full": watch_full(),
    "watch_1m": ['kind = "monitor"', "capacity = 1300000"],
    "state": ['kind = "conntrack"'],
    "nat": nat(),
    "nat_1m": nat("capacity = 1300000", pool="203.0.113.0/26"),
    "translator": ['kind = "nat64"', 'prefix = "2001:db8:64::/96"', 'pool = ["203.0.113.1"]'],
    "prefixes": ['kind = "nptv6"', 'prefixes = { "fd01:203:405::/48" = "2001:db8:1::/48" }'],
    "addresses": ['kind = "static_nat"', 'source = { "10.0.0.0/8" = "11.0.0.0/8" }'],
    "outside": ['kind = "external"', 'out = "loop"', 'in = "loop"', "writes = []", 'timeout = "2ms"'],
    "front": balancer(),
    "router_1000": router(1000),
    "router_1m": router(MILLION),
    "vlan_on": ['kind = "vlan"', "encap = { id = 5 }"],
    "vlan_off": ['kind = "vlan"', "decap = { id = 5 }"],
    "mpls_on": ['kind = "mpls"', "encap = { labels = [100, 200], mtu = 1600 }"],
    "mpls_off": ['kind = "mpls"', "decap = { labels = [100, 200] }"],
    "ipip_on": ['kind = "ipip"', f"encap = {{ {ENDS}, mtu = 1600 }}"],
    "ipip_off": ['kind = "ipip"', f"decap = {{ {BACK} }}"],
    "vxlan_on": ['kind = "vxlan"', f"encap = {{ vni = 42, {ENDS}, {MACS}, mtu = 1600 }}"],
    "vxlan_off": ['kind = "vxlan"', f"decap = {{ vni = 42, {BACK} }}"],
    "vpn_on": vpn("vpn_on", ENDS, "outbound"),
    "vpn_off": vpn("vpn_off", BACK, "inbound"),
    "wireguard": [
        'kind = "wireguard"',
        'private_key = "AKeZaHwBxjiKLFnkY2unvEdOTtg4AL+M9dQXfopFVFk="',
        'local = "192.0.2.1"',
        MACS,
        'other = "pass"',
        'peers = [{ public_key = "YDCttCs9e1J52/g9vEnwJJa+2x6RqaayAYMpSVQfGEY=", allowed = ["203.0.113.0/24"] }]',
    ],
    "uplink": [
        'kind = "shaper"',
        'rate = "200gbit"',
        'default = "rest"',
        "class = [",
        '  { name = "low", match = "udp and dport in 1024-8191", rate = "50gbit", ceil = "200gbit", mark = "ef" },',
        '  { name = "middle", match = "udp and dport in 8192-16383", rate = "50gbit", ceil = "200gbit", priority = 1 },',
        '  { name = "rest", ceil = "200gbit", priority = 2 },',
        "]",
    ],
    "inspect": ['kind = "ids"', 'rules = "literals-1000"'],
    "tagger": ['kind = "smart_tagger"', 'rule = [{ name = "web", match = "tcp and port == 443", mark = "ef" }]'],
    "breakpoint": ['kind = "smart_breakpoint"', 'class = [{ mark = "ef", deadline = "1s", rate = "10mbit" }]'],
    "merge": ['kind = "smart_merge"', 'marks = ["ef"]'],
    "far": ['kind = "netem"', 'delay = "1ms"', "loss = 0.1", "limit = 65536"],
}

# Chains by name.
PATHS = {
    "forward": [],
    "mac_swap": ["swap"],
    "firewall_10": ["edge_10"],
    "firewall_1000": ["edge_1000"],
    "firewall_10000": ["edge_10000"],
    "monitor": ["watch"],
    "monitor_full": ["watch_full"],
    "nat": ["nat"],
    "lb_nat": ["front"],
    "vpn_seal": ["vpn_on"],
    "vpn": ["vpn_on", "vpn_off"],
    "router_1000": ["router_1000"],
    "firewall_10+monitor+mac_swap": ["edge_10", "watch", "swap"],
    "firewall_10+nat+monitor": ["edge_10", "nat", "watch"],
    "firewall_10+nat+monitor+router": ["edge_any", "nat", "watch", "router_1000"],
    "firewall_10+nat+monitor_1m": ["edge_any", "nat_1m", "watch_1m"],
    "firewall_10+nat+monitor+router_1m": ["edge_any", "nat_1m", "watch_1m", "router_1m"],
}
# The captures of chains that cannot do with the usual one.
CAPTURES = {
    "lb_nat": "service",
    "router_1000": "routed",
    "firewall_10+nat+monitor+router": "routed",
    "firewall_10+nat+monitor_1m": "million",
    "firewall_10+nat+monitor+router_1m": "million",
}


def capture(name, sizes="64"):
    """A capture of this name in the folder, which is made."""
    file = f"{name}-{sizes}.pcap"
    how = {
        "flows": {},
        "service": {"destination": traffic.to_service},
        "stations": {"stations": True},
        "six": {"six": True},
        "words": {"words": True},
        "routed": {"destination": traffic.over(traffic.routes(1000))},
    }
    lengths = traffic.IMIX if sizes == "imix" else (int(sizes),)
    if name == "million":
        write = lambda path: traffic.write_capture(
            path, lengths, traffic.over(traffic.routes(MILLION)), count=MILLION
        )
        traffic.once(f"{FOLDER}/{file}", write)
    else:
        traffic.write_capture(f"{FOLDER}/{file}", lengths, **how[name])
    return file


def write_files(nfs):
    """The files that these NFs read."""
    text = json.dumps([NFS[nf] for nf in nfs])
    for count in (10, 1000, 10000):
        traffic.write_rules(f"{FOLDER}/rules-{count}", count)
    traffic.write_rules(f"{FOLDER}/{ANY}", 10, last="")
    traffic.write_literals(f"{FOLDER}/literals-1000", 1000)
    for count in (1000, MILLION):
        if f'routes-{count}\\"' in text:
            traffic.once(f"{FOLDER}/routes-{count}", lambda path: traffic.write_routes(path, traffic.routes(count)))
