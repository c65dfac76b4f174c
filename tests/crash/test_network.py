"""A line that breaks, in small here: `network.py` has cuts by the thousand."""

import socket
import subprocess
import sys

import network
import pytest

pytestmark = [pytest.mark.debian, pytest.mark.timeout(300)]


@pytest.mark.parametrize("kind", ["down", "loss", "reset", "slow"])
def test_nothing_is_lost_and_nothing_is_left(tmp_path, kind):
    said = []
    cuts = 1 if kind == "slow" else 12
    assert network.broken(tmp_path, cuts, 3, (kind,), said.append) == []
    assert int(said[-1].split(" sends")[0]) > 20


def test_a_fault_is_one_until_it_is_healed():
    with network.Line() as line:
        listener = socket.create_server((line.host, 0))
        address = (line.host, listener.getsockname()[1])
        reach = line.inside(sys.executable, "-c", f"import socket; socket.create_connection({address}, 2).close()")

        def reached():
            return subprocess.run(reach, check=False, capture_output=True).returncode == 0

        assert reached()
        line.down()
        assert not reached()
        line.heal()
        assert reached()
        line.reset()
        assert not reached()
        line.heal()
        line.loss()
        rules = subprocess.run(line.inside("iptables", "-S"), check=True, capture_output=True, text=True).stdout
        assert rules.count("DROP") == 2
        line.heal()
        line.slow()
        shown = subprocess.run(line.inside("tc", "qdisc"), check=True, capture_output=True, text=True).stdout
        assert "tbf" in shown
        line.heal()
        assert reached()
        listener.close()
    left = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    assert line.namespace not in left
