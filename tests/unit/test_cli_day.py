"""`cloakroom day close`: a day with a visit that stands there by half stays open, with a sentence that says so."""

from doubles import VISIT
from typer.testing import CliRunner
from visiting import House, approve, image

from scp import cli

RUNNER = CliRunner()
DAY = "DICOM/2031/20310203"


def test_a_day_is_closed_once_its_visits_stand_there_whole(tmp_path, monkeypatch):
    house = House(tmp_path, monkeypatch)
    for name in ("STATE", "EXPORT"):
        monkeypatch.setenv(f"CLOAKROOM_{name}", str(tmp_path / name.lower()))
    house.store(image(1))
    house.later()
    late = house.store(image(2))
    approve(house.index, late)
    assert house.index.begin_publishing(late, f"{DAY}/{VISIT}")
    marker, closed = house.config.export / DAY / VISIT / ".ready", house.config.export / DAY / ".ready"
    marker.unlink()  # as it is while the late instance joins, and when that is stopped
    said = RUNNER.invoke(cli.app, ["day", "close", "2031-02-03"])
    assert (said.exit_code, closed.exists()) == (1, False)
    assert f"visit {VISIT} stands in it by half" in said.stderr
    assert house.publisher.resume(late, f"{DAY}/{VISIT}") is not None
    said = RUNNER.invoke(cli.app, ["day", "close", "2031-02-03"])
    assert (said.exit_code, said.stdout) == (0, f"closed {closed.parent}\n")
    assert closed.exists()
