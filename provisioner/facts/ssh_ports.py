"""Where the SSH server listens: no firewall of ours may touch these ports."""

from provisioner.model.facts import Answers, Fact, ReadFiles, Unknown

FILES = ("/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*")
DEFAULT = 22


def parse(answers: Answers) -> tuple[int, ...]:
    """Lines `Port 22`, and the ports of `ListenAddress`; 22 is always among them, for those who go back to it."""
    words = [line.split() for text in answers.values() if not isinstance(text, Unknown) for line in text.splitlines()]
    ports = [word[1] for word in words if len(word) > 1 and word[0].lower() == "port"]
    ports += [word[1].rpartition(":")[2] for word in words if len(word) > 1 and word[0].lower() == "listenaddress"]
    return tuple(sorted({DEFAULT, *(int(port) for port in ports if port.isdecimal())}))


FACT: Fact[tuple[int, ...]] = Fact("ssh_ports", ReadFiles(FILES), parse, absent=(DEFAULT,))
