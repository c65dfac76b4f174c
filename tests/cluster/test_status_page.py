"""The status page in a real browser: on a desk and on a phone, by day and by night."""

import os
import shutil
from http.client import HTTPConnection
from pathlib import Path

import browsing
import numpy as np
import pytest
from PIL import Image
from running import Node

from scp import phantom
from scp.retrieve.send import send

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

KEPT = os.environ.get("CLOAKROOM_TEST_PICTURES", "")  # a folder to keep the screenshots in, as docs does


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """A node that has stored a study and sealed an instance that declares itself burned in."""
    node = Node(tmp_path_factory.mktemp("status"), ae_title="RESEARCH_IN")
    node.start()
    study = phantom.study()[:40]
    bad = phantom.study()[41]
    bad.BurnedInAnnotation = "YES"
    statuses = send([*study, bad], host="127.0.0.1", port=node.port, called="RESEARCH_IN", calling="PACS", attempts=3)
    assert statuses[:-1] == [0] * 40
    assert statuses[-1] != 0
    node.published(40)
    node.study = study
    yield node
    node.stop()


def url(node):
    return f"http://127.0.0.1:{node.http_port}/"


def get(node, headers):
    connection = HTTPConnection("127.0.0.1", node.http_port, timeout=10)
    try:
        connection.request("GET", "/", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers
    finally:
        connection.close()


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), dtype=float)


def keep(path, name):
    if KEPT:
        shutil.copyfile(path, Path(KEPT) / name)


def test_it_says_what_the_node_did_and_nothing_of_the_patient(node, tmp_path):
    html = browsing.dom(tmp_path, url(node))
    for words in ("RESEARCH_IN", "ready", "published", "burned_in", "serving", "last arrival"):
        assert words in html
    visit = next(path.name for path in (node.export / "DICOM").glob("*/*/*") if path.is_dir())
    assert visit in html
    for instance in (node.study[0], node.study[-1]):
        for keyword, value in phantom.identity([instance]).items():
            assert len(str(value)) < 4 or str(value) not in html, keyword


def test_light_and_dark(node, tmp_path):
    light = browsing.picture(tmp_path, url(node), "1000,900")
    dark = browsing.picture(tmp_path, url(node), "1000,900", dark=True)
    assert pixels(light).mean() > 200
    assert pixels(dark).mean() < 60
    keep(light, "status-light.png")


def test_on_a_phone_nothing_stands_beside_the_page(node, tmp_path):
    """Chromium's window is at least 500 wide; what is beyond the page's edge would be seen as no margin there."""
    path = browsing.picture(tmp_path, url(node), "500,1500", dark=True)
    shown = pixels(path)
    assert shown.shape[1] == 500
    edge = shown[:, -8:]
    assert edge.std() < 1  # the margin is empty from top to bottom
    assert shown.std() > 5
    keep(path, "status-dark.png")


def test_over_http_with_a_token(tmp_path):
    secret = tmp_path / "token"
    secret.write_text("of the ward\n")
    secret.chmod(0o400)
    node = Node(tmp_path, http_token=secret)
    node.start()
    try:
        assert node.get("/healthz")[0] == 200
        assert node.get("/")[0] == node.get("/metrics")[0] == 401
        status, headers = get(node, {"Authorization": f"Bearer {secret.read_text().strip()}"})
        assert status == 200
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        status, headers = get(node, {})
        assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="cloakroom"')
    finally:
        node.stop()


@pytest.mark.parametrize(("text", "mode", "said"), [("", 0o400, "is empty"), ("x", 0o444, "others can read")])
def test_a_token_that_protects_nothing_stops_the_start(tmp_path, text, mode, said):
    secret = tmp_path / "token"
    secret.write_text(text)
    secret.chmod(mode)
    done = Node(tmp_path, http_token=secret).command("serve", check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "state").exists()
