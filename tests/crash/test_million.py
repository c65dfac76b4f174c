"""A node with a long life behind it, made up, in small: `make million` has it whole, and looks at the time."""

import million
import pytest
from house import House

from scp.verify import Kind

pytestmark = pytest.mark.timeout(300)


def test_all_rows_are_looked_at_before_serving():
    seconds, busy, looked = million.started(2 * million.A_VISIT)
    assert looked == 2 * million.A_VISIT + 1
    assert seconds > 0
    assert busy > 0


def test_the_command_says_how_long_and_whether_that_is_too_long(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["million.py", str(million.A_VISIT)])
    monkeypatch.setattr(million, "MOST_SECONDS", 0.0)
    assert million.main() == 1
    assert f"{million.A_VISIT + 1} instances looked at" in capsys.readouterr().out
    monkeypatch.setattr(million, "MOST_SECONDS", 3600.0)
    assert million.main() == 0


def test_what_it_makes_is_in_order_and_what_is_taken_from_it_is_missed(tmp_path):
    house = House(tmp_path)
    house.live([0])
    million.fill(house, million.A_VISIT)
    quick = house.prepare()
    assert quick.recovered.report.findings == []
    million.os.close(quick.lock)
    next(house.config.export.rglob("*_00007_00000000.dcm")).unlink()
    again = house.prepare()
    million.os.close(again.lock)
    (found,) = again.recovered.report.findings
    assert (found.kind, again.recovered.report.lost) == (Kind.MISSING, 1)
