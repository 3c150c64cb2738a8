"""The rules of published ports: what is named is guarded, and nothing else is."""

import pytest

from provisioner.planning.host.firewall import UNIT, ruleset


def test_one_table_that_replaces_itself_in_one_step() -> None:
    lines = ruleset((443,), ("10.0.0.0/8", "fd00::/8")).splitlines()
    assert lines[1:4] == ["table inet provision", "delete table inet provision", "table inet provision {"]
    assert "\t\telements = { 443 }" in lines
    assert "\t\telements = { 10.0.0.0/8 }" in lines
    assert "\t\telements = { fd00::/8 }" in lines


def test_only_named_ports_come_to_the_end_of_the_chain() -> None:
    lines = [line.strip() for line in ruleset((8443, 443, 443), ("10.1.2.3",)).splitlines()]
    chain = lines[lines.index("chain published {") + 1 : lines.index("counter drop") + 1]
    assert chain[0].endswith("policy accept;")
    assert "tcp dport != @ports accept" in chain[: chain.index("ip saddr @sources4 accept")]
    assert "elements = { 443, 8443 }" in lines
    assert "elements = { 10.1.2.3/32 }" in lines


def test_a_kind_of_address_that_is_not_named_has_an_empty_set() -> None:
    assert ruleset((443,), ("fd00::/8",)).count("elements") == 2


@pytest.mark.parametrize("source", ["10.0.0.0/8 }; drop", "anything", ""])
def test_what_is_no_address_never_reaches_a_rule(source: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        ruleset((443,), (source,))


def test_the_unit_reloads_the_file_and_leaves_other_tables_alone() -> None:
    assert UNIT.count("/etc/provision/firewall.nft") == 2
    assert "ExecReload=/usr/sbin/nft --file" in UNIT
    assert "flush" not in UNIT
