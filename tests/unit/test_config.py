import json
import os
import socket
import stat
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scp.config import Config, ConfigError, Limits, PeerRule, load, prepare_process, rows
from scp.config.fields import settings, variable
from scp.config.file import line_of
from scp.stop import Stop

BROKEN = sorted((Path(__file__).parents[1] / "configs" / "broken").glob("*.toml"))

EVERYTHING = r"""
ae_title = "NODE_7"
host = "0.0.0.0"
port = 104
http_host = "::1"
http_port = 9000
http_token = "secrets/token"
workers = 3
state = "s"
export = "e"
recipe = "own.dicom"
visit_quiet_seconds = 60
steward_seconds = 0.5
commit_instances = 8
commit_seconds = 0.002
layout = "flat"
consent = "assumed"
visit_approval = true
grouping = "day"
grouping_hours = 13
export_group = 1011
exports = ["nifti", "catalog", "bids"]
nifti_gzip = true
require_called_ae_title = false
networks = ["10.0.0.0/8", "fe80::/10"]
sop_classes = ["1.2.840.10008.5.1.4.1.1.4"]
transfer_syntaxes = ["1.2.840.10008.1.2.1"]
min_free_bytes = 1
log_format = "json"
log_level = "debug"

[protocols]
"t1 mpr sag p2" = "T1 MPRAGE"

[bids]
"*t2*" = "anat/T2w"

[variables]
site = "ANON"

[limits]
max_pdu_bytes = 1000
max_instance_bytes = 1001
max_bytes_in_flight = 1005
in_flight_seconds = 7
stream_bytes = 1005
max_associations = 1002
max_associations_per_title = 1006
max_unassociated = 1003
max_unassociated_per_address = 1004
max_fruitless_per_second = 1009
artim_seconds = 1.5
header_seconds = 2
body_seconds = 3
idle_seconds = 4
instance_seconds = 5
drain_seconds = 6
tls_handshake_seconds = 8
min_bytes_per_second = 1007
max_depth = 8
max_elements = 1008
max_values = 1009
max_header_bytes = 1010
hung_seconds = 9

[tls]
enabled = true
port = 2763
plain_port = false
certificate = "c.pem"
key = "k.pem"
client_ca = "ca.pem"
require_client_certificate = false

[user_identity]
check = "password"
required = false
passwords = "p"

[gates]
mandatory = "quarantine"
primary = "quarantine"
consistent = "quarantine"
t1 = "quarantine"
resolution = "quarantine"
slices = "quarantine"
gaps = "quarantine"
protocol = "quarantine"
dcm2niix = "quarantine"

[inbound]
folder = "anonymiser"
settle_seconds = 1.0
after = "remove"
layout = "fedehr"
ae_title = "DISC"
issuer = "COHORT-7"
max_zip_entries = 7
max_zip_bytes = 8

[retention]
published_days = 1
staged_days = 2
quarantine_days = 3
reports_days = 4
manifests_days = 5

[[peers]]
ae_title = "PACS"

[[peers]]
ae_title = "MR1"
networks = ["10.1.0.0/16"]
quiet_seconds = 900
certificates = ["MR1.hospital.example", "AA0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B0B"]
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "cloakroom.toml"
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """No file and no variable of the machine that runs the tests."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CLOAKROOM_")]:
        monkeypatch.delenv(name)


def test_without_anything_the_defaults_hold():
    config = load(environ={})
    assert (config.ae_title, config.host, config.port) == ("CLOAKROOM", "127.0.0.1", 11112)
    assert (config.http_host, config.http_port) == ("127.0.0.1", 8080)
    assert 1 <= config.workers <= 4
    assert (config.state, config.export) == (Path("var/state"), Path("var/export"))
    assert (config.recipe, config.layout, config.consent) == ("mip", "dated", "assumed")
    assert (config.visit_quiet_seconds, config.steward_seconds) == (300.0, 1.0)
    assert (config.commit_instances, config.commit_seconds) == (64, 0.005)
    assert (config.peers, config.networks, config.sop_classes, dict(config.protocols)) == ((), (), (), {})
    assert config.require_called_ae_title
    assert config.limits == Limits()
    assert config == Config()


def test_every_setting_can_stand_in_the_file(written):
    config = load(written(EVERYTHING), {})
    assert config.peers == (
        PeerRule(ae_title="PACS"),
        PeerRule(
            ae_title="MR1",
            networks=(ip_network("10.1.0.0/16"),),
            quiet_seconds=900.0,
            certificates=("mr1.hospital.example", "aa" + "0b" * 31),
        ),
    )
    assert config.networks == (ip_network("10.0.0.0/8"), ip_network("fe80::/10"))
    assert dict(config.protocols) == {"t1 mpr sag p2": "T1 MPRAGE"}
    assert dict(config.variables) == {"site": "ANON"}
    assert config.limits.artim_seconds == 1.5
    assert (config.export_group, config.visit_approval, config.gates.t1) == ("1011", True, "quarantine")
    assert [config.quiet_seconds(titles) for titles in ((), ("PACS",), ("MR1",), ("PACS", "MR1"))] == [60, 60, 900, 900]
    assert config.limits.max_unassociated_per_address == 1004
    assert not config.require_called_ae_title
    assert all(row.value != row.default or row.key == "consent" for row in rows(config))
    assert set(config.origins) == {row.key for row in rows(config)}


def test_every_setting_has_a_variable_and_it_wins(written):
    given = {
        "CLOAKROOM_AE_TITLE": "OTHER",
        "CLOAKROOM_PORT": "4242",
        "CLOAKROOM_VISIT_QUIET_SECONDS": "1e1",
        "CLOAKROOM_REQUIRE_CALLED_AE_TITLE": "Yes",
        "CLOAKROOM_NETWORKS": "192.0.2.0/24, 2001:db8::/32",
        "CLOAKROOM_SOP_CLASSES": "1.2.3,1.2.4",
        "CLOAKROOM_PEERS": '[{"ae_title": "CT", "networks": ["192.0.2.1"]}]',
        "CLOAKROOM_PROTOCOLS": '{"a": "B"}',
        "CLOAKROOM_LIMITS__IDLE_SECONDS": "77",
        "CLOAKROOM_TLS__KEY": "other.pem",
        "CLOAKROOM_USER_IDENTITY__CHECK": "username",
        "CLOAKROOM_STATE": "elsewhere",
    }
    config = load(written(EVERYTHING), given)
    assert (config.ae_title, config.port, config.visit_quiet_seconds) == ("OTHER", 4242, 10.0)
    assert config.require_called_ae_title
    assert config.networks == (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    assert config.sop_classes == ("1.2.3", "1.2.4")
    assert config.peers == (PeerRule(ae_title="CT", networks=(ip_network("192.0.2.1"),)),)
    assert dict(config.protocols) == {"a": "B"}
    assert config.state == Path("elsewhere")
    assert config.limits.idle_seconds == 77
    assert config.limits.artim_seconds == 1.5
    assert (config.tls.key, config.tls.certificate) == (Path("other.pem"), Path("c.pem"))
    assert (config.user_identity.check, config.user_identity.required) == ("username", False)
    assert config.origins["port"] == "CLOAKROOM_PORT"
    assert config.origins["limits.idle_seconds"] == "CLOAKROOM_LIMITS__IDLE_SECONDS"
    assert config.origins["http_port"].endswith("cloakroom.toml:6")


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_file_is_told_by_line(path):
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    message = str(caught.value)
    assert message.removeprefix(str(path)) == path.with_suffix(".expected").read_text().rstrip("\n")
    assert message.startswith(f"{path}:")
    assert "\n" not in message


def test_every_expectation_has_its_file():
    folder = BROKEN[0].parent
    assert {path.stem for path in folder.iterdir()} == {path.stem for path in BROKEN}
    assert len(BROKEN) > 40


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"CLOAKROOM_PORT": "abc"}, 'CLOAKROOM_PORT: "abc" is not a port number (1-65535)'),
        ({"CLOAKROOM_PORT": "0"}, 'CLOAKROOM_PORT: "0" is not a port number (1-65535)'),
        ({"CLOAKROOM_PORT": ""}, 'CLOAKROOM_PORT: "" is not a port number (1-65535)'),
        ({"CLOAKROOM_WORKERS": "1.5"}, 'CLOAKROOM_WORKERS: "1.5" is not a whole number from 1 to 2147483647'),
        (
            {"CLOAKROOM_VISIT_QUIET_SECONDS": "nan"},
            'CLOAKROOM_VISIT_QUIET_SECONDS: "nan" is not a number of seconds above 0',
        ),
        (
            {"CLOAKROOM_REQUIRE_CALLED_AE_TITLE": "maybe"},
            'CLOAKROOM_REQUIRE_CALLED_AE_TITLE: "maybe" is not true or false',
        ),
        (
            {"CLOAKROOM_NETWORKS": "10.0.0.0/8,x"},
            (
                'CLOAKROOM_NETWORKS: networks: "x" is not a network like "10.1.0.0/16" '
                "(the address bits behind the prefix are 0)"
            ),
        ),
        ({"CLOAKROOM_PEERS": "[{"}, "CLOAKROOM_PEERS: is not JSON"),
        ({"CLOAKROOM_PEERS": '[{"ae_titel": "X"}]'}, 'CLOAKROOM_PEERS: "ae_title" is missing'),
        ({"CLOAKROOM_PEERS": "{}"}, "CLOAKROOM_PEERS: {} is not a list"),
        ({"CLOAKROOM_PROT": "1"}, "CLOAKROOM_PROT: unknown variable: did you mean CLOAKROOM_PORT?"),
        ({"CLOAKROOM_COLOUR_OF_THE_WALL": "1"}, "CLOAKROOM_COLOUR_OF_THE_WALL: unknown variable"),
        ({"CLOAKROOM_LIMITS": "{}"}, "CLOAKROOM_LIMITS: unknown variable: did you mean CLOAKROOM_BIDS?"),
        (
            {"CLOAKROOM_LIMITS__IDLE_SECONDS": "0"},
            'CLOAKROOM_LIMITS__IDLE_SECONDS: "0" is not a number of seconds above 0 and at most 2147483 (24 days)',
        ),
        (
            {"CLOAKROOM_SERVICE_HOST": "10.0.0.1"},
            (
                "CLOAKROOM_SERVICE_HOST: unknown variable; Kubernetes sets it for a Service of that name: "
                "set enableServiceLinks: false in the pod"
            ),
        ),
        ({"CLOAKROOM_EXPORT": "var"}, "CLOAKROOM_EXPORT: export and state must not lie inside each other"),
        ({"CLOAKROOM_CONFIG": "nowhere.toml"}, "nowhere.toml: cannot be read: No such file or directory"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_variable_is_told_by_name(given, message):
    with pytest.raises(ConfigError) as caught:
        load(environ=given)
    assert str(caught.value) == message


def test_the_file_is_the_option_before_the_variable_before_the_folders_own(tmp_path):
    for name, port in (("cloakroom.toml", 1001), ("named.toml", 1002), ("option.toml", 1003)):
        (tmp_path / name).write_text(f"port = {port}\n")
    named = {"CLOAKROOM_CONFIG": "named.toml"}
    assert load(environ={}).port == 1001
    assert load(environ=named).port == 1002
    assert load(Path("option.toml"), named).port == 1003


@pytest.mark.parametrize("text", ["", "port = 104\n"])
def test_the_one_of_state_and_export_that_was_given_is_told(tmp_path, text):
    (tmp_path / "cloakroom.toml").write_text(text)
    for name in ("STATE", "EXPORT"):
        with pytest.raises(ConfigError, match=f"^CLOAKROOM_{name}: export and state must not"):
            load(environ={f"CLOAKROOM_{name}": "var"})
    (tmp_path / "cloakroom.toml").write_text(text + 'state = "var"\n')
    with pytest.raises(ConfigError, match=f"^cloakroom.toml:{1 + bool(text)}: export and state must not"):
        load(environ={})


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "cloakroom.toml").write_bytes(b"\xef\xbb\xbfport = 104\r\n")
    assert load(environ={}).port == 104


def test_a_loop_of_links_is_for_the_start_to_refuse(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert load(environ={"CLOAKROOM_STATE": str(tmp_path / "loop" / "state")}).state.name == "state"


def test_a_visit_may_wait_for_years():
    assert load(environ={"CLOAKROOM_VISIT_QUIET_SECONDS": "1e9"}).visit_quiet_seconds == 1e9


@given(st.floats(0, 2_147_483, exclude_min=True))
def test_a_pause_that_is_allowed_can_be_waited_for(seconds):
    """As loops, sockets and processes wait: the time is told them in milliseconds."""
    config = Config(steward_seconds=seconds, limits=Limits(idle_seconds=seconds))
    stop = Stop()
    stop.set()
    assert stop.wait(config.steward_seconds)
    stop.close()
    with socket.socket() as connection:
        connection.settimeout(config.limits.idle_seconds)


def test_the_environment_of_the_process_is_read_by_default(monkeypatch):
    monkeypatch.setenv("CLOAKROOM_PORT", "1234")
    assert load().port == 1234
    assert Config().port == 11112


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {})
    (tmp_path / "latin.toml").write_bytes(b'recipe = "\xe9"\n')
    with pytest.raises(ConfigError, match=r"latin\.toml: is not UTF-8 text \(byte 10\)"):
        load(tmp_path / "latin.toml", {})


def test_nothing_of_it_can_be_changed():
    config = load(environ={})
    with pytest.raises(ValidationError):
        config.port = 1
    with pytest.raises(ValidationError):
        config.limits.idle_seconds = 1
    with pytest.raises(TypeError):
        config.protocols["a"] = "b"


def test_the_folders_of_the_state():
    config = Config(state="s", export="e")
    assert config.keys == Path("s/keys")
    assert config.quarantine == Path("s/quarantine")
    assert (config.index_path, config.linkage_path) == (Path("s/index.db"), Path("s/linkage.db"))
    assert config.metrics_dir == Path("s/run/metrics")


def test_a_link_from_one_tree_into_the_other_is_seen(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "state")
    with pytest.raises(ConfigError, match="inside each other"):
        load(environ={"CLOAKROOM_STATE": "state", "CLOAKROOM_EXPORT": "link/export"})


def test_rows_are_complete_and_readable(written):
    table = rows(load(written('port = 104\n[[peers]]\nae_title = "A"\n'), {"CLOAKROOM_HOST": "::"}))
    assert [row.key for row in table] == [".".join(key) for key, _ in settings()]
    by_key = {row.key: row for row in table}
    assert by_key["port"].value == "104"
    assert by_key["port"].origin.endswith("cloakroom.toml:1")
    assert by_key["host"].origin == "CLOAKROOM_HOST"
    assert by_key["ae_title"].origin == "default"
    assert json.loads(by_key["peers"].value) == [{"ae_title": "A", "networks": [], "certificates": []}]
    assert all(row.description.endswith(".") for row in table)
    assert all(row.variable == variable(tuple(row.key.split("."))) for row in table)


def test_prepare_process_makes_a_folder_for_the_owner_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    monkeypatch.setenv("PROMETHEUS_DISABLE_CREATED_SERIES", "")
    config = Config(state=tmp_path / "s", export=tmp_path / "e")
    prepare_process(config)
    prepare_process(config)
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == str(config.metrics_dir)
    assert stat.S_IMODE(config.metrics_dir.stat().st_mode) == 0o700


@given(st.text(max_size=20))
def test_an_ae_title_is_1_to_16_characters_of_the_default_repertoire(text):
    right = (
        1 <= len(text) <= 16 and all(" " <= char <= "~" and char != "\\" for char in text) and text == text.strip(" ")
    )
    try:
        assert Config(ae_title=text).ae_title == text
    except ValidationError:
        assert not right
    else:
        assert right


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=9))
def test_numbers_joined_by_dots_are_a_uid(numbers):
    uid = ".".join(map(str, numbers))
    assert Config(sop_classes=(uid,)).sop_classes == (uid,)


@pytest.mark.parametrize("uid", ["", "1", "1.", ".1", "1..2", "1.02", "1.2\n", "1.a", "1." + "2" * 63, "1.1\u0661"])
def test_what_is_no_uid(uid):
    with pytest.raises(ValidationError):
        Config(sop_classes=(uid,))


@given(st.text(st.sampled_from('aT1 /*."$`\\;\n'), max_size=6))
def test_no_written_description_holds_what_breaks_a_consumer(text):
    try:
        Config(protocols={"sent": text})
    except ValidationError:
        assert not text.strip() or any(char in text for char in '/*"$`\\;\n') or ".." in text
    else:
        assert text.strip()
        assert not any(char in text for char in '/*"$`\\;\n')
        assert ".." not in text


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_one_sentence(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "c.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        load(path, {})
    except ConfigError as error:
        message = str(error)
    else:
        message = f"{path}:"
    assert message.startswith(f"{path}:")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("a = 1\nb = 2\n", ("b",), 2),
        ("[t]\n\na = 1\n[u]\na = 2\n", ("u", "a"), 5),
        ("[[p]]\na = 1\n[[p]]\na = 2\n", ("p", 1, "a"), 4),
        ("[[p]]\na = 1\n[[p]]\na = 2\n", ("p", 1, "b"), 3),
        ("t.a = 1\nt . b = 2\n", ("t", "b"), 2),
        ("t = { a = 1, b = 2 }\n", ("t", "b"), 1),
        ("# a = 1\n'a' = 2\n", ("a",), 2),
        ('x = 0\n["t"] # note\n"a b" = 1\n', ("t", "a b"), 3),
        ("x = 0\n", ("nowhere",), 1),
    ],
)
def test_the_line_of_a_key(text, key, line):
    assert line_of(text, key) == line


def test_a_fingerprint_is_the_same_with_and_without_colons():
    written = ":".join(["AB"] * 32)
    assert PeerRule(ae_title="A", certificates=(written,)).certificates == ("ab" * 32,)
