"""The firewall of published ports, as one table of nftables that is replaced in one step."""

import ipaddress
from collections.abc import Sequence

TABLE = "inet provision"
UNIT = """\
# made by provision
[Unit]
Description=Published ports of the appliance for known addresses alone
Documentation=man:nft(8)
Before=network-pre.target
Wants=network-pre.target
DefaultDependencies=no
After=local-fs.target
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft --file /etc/provision/firewall.nft
ExecReload=/usr/sbin/nft --file /etc/provision/firewall.nft
ExecStop=/usr/sbin/nft delete table inet provision

[Install]
WantedBy=multi-user.target
"""
"""A unit of its own: the distribution's `nftables.service` flushes all tables, and Docker's rules with them."""


def ruleset(ports: Sequence[int], sources: Sequence[str]) -> str:
    """New connections from outside to one of these ports pass from these ranges alone; whatever else comes, passes.

    The chain stands before the port mapping of container engines, which opens published ports past every chain of input.
    What is named is refused and nothing more, so no rule of ours can shut out SSH. The first two lines make the file
    replace the table that stood before, in the same transaction, and streams that run go on.
    """
    ranges = [ipaddress.ip_network(source, strict=False) for source in sources]
    lists = {version: [str(each) for each in ranges if each.version == version] for version in (4, 6)}
    return "\n".join([
        "# made by provision: `provision prepare` replaces this file",
        f"table {TABLE}",
        f"delete table {TABLE}",
        f"table {TABLE} {{",
        *_set("ports", "inet_service", [str(port) for port in sorted(set(ports))]),
        *(line for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr"))
          for line in _set(f"sources{version}", kind, lists[version])),
        "\tchain published {",
        "\t\ttype filter hook prerouting priority mangle; policy accept;",
        '\t\tiif "lo" accept',
        "\t\tct state established,related accept",
        "\t\tfib daddr type != local accept",
        "\t\ttcp dport != @ports accept",
        "\t\tip saddr @sources4 accept",
        "\t\tip6 saddr @sources6 accept",
        "\t\tcounter drop",
        "\t}",
        "}",
        "",
    ])  # fmt: skip


def _set(name: str, kind: str, elements: Sequence[str]) -> list[str]:
    interval = ["\t\tflags interval", "\t\tauto-merge"] if name != "ports" else []
    listed = [f"\t\telements = {{ {', '.join(elements)} }}"] if elements else []
    return [f"\tset {name} {{", f"\t\ttype {kind}", *interval, *listed, "\t}"]
