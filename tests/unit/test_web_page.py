"""The status page: what it says, what it never says, and who may read it."""

import base64
import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp import web
from scp.metrics import declare
from scp.outcome import Failure, Outcome
from scp.web import page
from scp.web.pages import OPEN

NEEDLE = "QzSMITH"
VOID = {"meta", "br", "link"}


def made(**over):
    given = {
        "version": "1.2.3",
        "recipe": "mip",
        "health": lambda: web.Health(ready=True),
        "visits": lambda: {"receiving": 2, "published": 12345},
        "quarantined": lambda: {"burned_in": 3, "malformed": 0},
        "quarantine_bytes": lambda: 1_500_000,
        "free_bytes": lambda: {"export": 250, "state": 999},
        "size_bytes": lambda: {"export": 1000, "state": 1000},
        "restarts": lambda: 4,
        "workers": lambda: {"serving": 2, "missing": 0},
        "certificates": lambda: {"certificate": time.time() + 40.5 * 86400},
        "arrivals": lambda: [web.Arrived("123456789012", "receiving", 152, 1_700_000_000.0)],
        "about": {"AE title": "RESEARCH_IN", "recipe": "mip", "digest": "0123456789abcdef"},
    }
    return web.Signs(**(given | over))


def draw(health=None, **over):
    return page.draw(made(**over), health or web.Health(ready=True))


def text(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.partition("<body>")[2]))


class Balanced(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.all = [], []

    def handle_starttag(self, tag, attrs):
        self.all.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(html):
    parser = Balanced()
    parser.feed(html)
    assert parser.open == []
    return parser.all


def test_exports_are_shown_where_there_are_any():
    assert "Exports nifti done 12,345 nifti waiting 2 " in text(
        draw(exports=lambda: {"nifti done": 12345, "nifti waiting": 2})
    )
    assert "Exports" not in text(draw())


def test_at_a_glance():
    shown = text(draw())
    for words in (
        "RESEARCH_IN ready", "Alerts none", "receiving 2", "published 12,345", "burned_in 3", "altogether 1.5 MB",
        "serving 2", "restarts 4", "export 250 B of 1.0 KB free", "25% free", "in 40 days", "0123456789abcdef",
        "123456789012 receiving 152 2023-11-14 22:13",
    ):  # fmt: skip
        assert words in shown, words
    assert "malformed" not in shown


def test_a_page_without_script_that_renews_itself_and_loads_nothing():
    tags = parsed(draw())
    names = {tag for tag, _ in tags}
    assert not names & {"script", "link", "img", "iframe", "object", "form"}
    assert ("meta", {"http-equiv": "refresh", "content": "15"}) in tags
    assert ("meta", {"name": "viewport", "content": "width=device-width,initial-scale=1"}) in tags
    assert all(attrs["href"].startswith("/") for tag, attrs in tags if tag == "a")
    assert not any(name.startswith("on") for _, attrs in tags for name in attrs)
    assert "url(" not in draw()
    assert "prefers-color-scheme:dark" in draw()


def test_what_is_wrong_stands_first():
    reasons = ("no worker serves", "a disk is filled up")
    shown = text(draw(web.Health(ready=False, reasons=reasons), warnings=lambda: ["officer.key lies here"]))
    assert "RESEARCH_IN not ready" in shown
    assert "Alerts no worker serves a disk is filled up officer.key lies here Node" in shown


@pytest.mark.parametrize(
    "name",
    ["visits", "quarantined", "workers", "free_bytes", "size_bytes", "certificates", "arrivals", "warnings"],
)
@pytest.mark.parametrize("error", [OSError(NEEDLE), Failure(Outcome.STORAGE_FAULT, NEEDLE)])
def test_what_does_not_answer_is_said_and_the_rest_is_shown(name, error):
    def fail():
        raise error

    html = draw(**{name: fail})
    parsed(html)
    assert html.count("does not answer") == 1
    assert NEEDLE not in html
    assert "RESEARCH_IN" in html


@pytest.mark.parametrize("name", ["quarantine_bytes", "restarts"])
def test_a_total_that_does_not_answer_is_left_out(name):
    def fail():
        raise OSError

    assert "Quarantine" in text(draw(**{name: fail}))


def test_an_empty_node():
    shown = text(draw(visits=dict, quarantined=dict, arrivals=tuple, certificates=dict, workers=dict))
    assert "Visits none yet" in shown
    assert "Quarantine empty" in shown
    assert "Last arrivals none yet" in shown
    assert "Certificates" not in shown


def test_a_disk_without_a_size_and_an_ended_certificate():
    html = draw(size_bytes=dict, certificates=lambda: {"client_ca": 0.0})
    assert "<meter" not in html
    assert "in 0 days" in html


@given(st.text(max_size=40), st.text(max_size=40))
def test_nothing_is_taken_for_html(first, second):
    html = draw(
        web.Health(ready=False, reasons=(first,)),
        about={"AE title": second, first: second},
        arrivals=lambda: [web.Arrived(first, second, 1, 0.0)],
        visits=lambda: {first: 1},
    )
    names = [tag for tag, _ in parsed(html.replace("\x00", ""))]
    assert names.count("section") == 8
    assert "script" not in names


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (1_500_000, "1.5 MB"), (2e12, "2.0 TB"), (3e18, "3000.0 PB")],
)
def test_bytes_in_words(count, words):
    assert page._bytes(count) == words


TOKEN = "shown-by-the-ward"  # noqa: S105  of these tests only


@pytest.fixture
def guarded():
    return web.Pages(declare().registry, made(), TOKEN)


def basic(words):
    return "Basic " + base64.b64encode(words.encode()).decode()


@pytest.mark.parametrize("path", ["/", "/metrics", "/metrics?x=1"])
@pytest.mark.parametrize(
    "shown",
    [
        "", "Bearer", "Bearer ", "Bearer x", f"Bearer {TOKEN}x", TOKEN, f"Token {TOKEN}", "Basic !!!", basic(TOKEN),
        basic(f"{TOKEN}:x"), basic(""), f"Bearer {TOKEN[:-1]}", "Bearer \ud800", "Basic \xff",
    ],
)  # fmt: skip
def test_without_the_token_there_is_nothing_to_see(guarded, path, shown):
    answer = guarded.answer(path, shown)
    assert (answer.status, answer.asks) == (401, True)
    assert b"RESEARCH_IN" not in answer.body
    assert TOKEN.encode() not in answer.body


@pytest.mark.parametrize(
    "shown", [f"Bearer {TOKEN}", f"bearer {TOKEN} ", basic(f"anybody:{TOKEN}"), basic(f":{TOKEN}")]
)
def test_with_the_token_there_is(guarded, shown):
    assert guarded.answer("/", shown).status == 200
    assert guarded.answer("/metrics", shown).status == 200


def test_probes_need_none_and_what_is_not_there_is_not_there(guarded):
    assert {"/healthz", "/readyz"} == OPEN
    assert all(guarded.answer(path).status == 200 for path in OPEN)
    assert guarded.answer("/nothing").status == 404


def test_without_a_token_everybody_reads():
    assert web.Pages(declare().registry, made()).answer("/").status == 200
