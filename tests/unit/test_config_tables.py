"""Every setting, one by one: what it takes, what it does not, and where an error points."""

import inspect
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_settings import BaseSettings

from scp.config import Config, ConfigError, Limits, Tls, UserIdentity, load, rows
from scp.config.fields import settings, variable
from scp.config.inbound import Inbound
from scp.config.visits import Gates

KEYS = [key for key, _ in settings()]
NUMBERS = [key for key, field in settings() if field.annotation in {int, float}]
LISTS = ("exports", "peers", "networks", "sop_classes", "transfer_syntaxes")
TABLES = ("bids", "protocols", "variables")
TEXTS = (
    "ae_title", "host", "http_host", "http_token", "state", "export", "recipe", "layout", "consent", "log_format",
    "log_level",
    "tls.certificate", "tls.key", "tls.client_ca", "user_identity.check", "user_identity.passwords",
    "inbound.folder", "inbound.after", "inbound.ae_title", "inbound.issuer", "inbound.layout",
    "export_group", "grouping", *(f"gates.{gate}" for gate in Gates.model_fields),
)  # fmt: skip
SWITCHES = (
    "require_called_ae_title", "tls.enabled", "tls.plain_port", "tls.require_client_certificate",
    "user_identity.required", "visit_approval", "nifti_gzip",
)  # fmt: skip


def name(key):
    return ".".join(key)


def wrong_values(key):
    """TOML values of every type but the setting's own."""
    values = {"text": '"x y\\u0000"', "truth": "true", "list": "[[]]", "date": "2026-01-01", "float": "-0.5"}
    values["table"] = "{ a = 1 }"
    if name(key) in SWITCHES:
        del values["truth"]
    return [pytest.param(key, value, id=f"{name(key)}-{kind}") for kind, value in values.items()]


def write(folder, key, value):
    path = folder / "cloakroom.toml"
    lines = ["# first line", "", f"[{key[0]}]" if len(key) > 1 else "", f"{key[-1]} = {value}"]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_the_kinds_cover_every_setting():
    covered = {name(key) for key in NUMBERS} | {*LISTS, *TABLES, *TEXTS, *SWITCHES}
    assert covered == {name(key) for key in KEYS}


@pytest.mark.parametrize(("key", "value"), [case for key in KEYS for case in wrong_values(key)])
def test_a_value_of_another_type_is_refused_on_its_line(tmp_path, key, value):
    if key[0] in {"host", "http_host", "recipe", "layout"} and value.startswith('"'):
        return  # any text will do until somebody uses it
    path = write(tmp_path, key, value)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    message = str(caught.value)
    assert message.startswith(f"{path}:4: ")
    assert name(key).split(".")[0] in message
    assert " is not " in message


@pytest.mark.parametrize("key", NUMBERS, ids=name)
@pytest.mark.parametrize("value", ["0", "-1", '"1"', "true"])
def test_every_number_is_above_zero_and_a_number(tmp_path, key, value):
    if key[0] == "retention" and value == "0":
        assert load(write(tmp_path, key, value), {}).retention == Config().retention  # for ever
        return
    with pytest.raises(ConfigError, match=":4: "):
        load(write(tmp_path, key, value), {})


@given(key=st.sampled_from(NUMBERS), number=st.integers(1, 65535))
def test_every_number_is_taken_from_file_and_variable_alike(tmp_path_factory, key, number):
    path = write(tmp_path_factory.mktemp("numbers"), key, number)
    for config in (load(path, {}), load(environ={variable(key): str(number)})):
        row = next(row for row in rows(config) if row.key == name(key))
        assert float(row.value) == number
        assert row.origin != "default"


@pytest.mark.parametrize("key", KEYS, ids=name)
def test_every_default_can_be_given_by_its_variable(key):
    row = next(row for row in rows(Config()) if row.key == name(key))
    value = json.loads(row.value)
    if isinstance(value, list) and key[0] != "peers":
        value = ",".join(value)
    text = value if isinstance(value, str) else json.dumps(value)
    config = load(environ={row.variable: text})
    assert next(again for again in rows(config) if again.key == row.key).value == row.value
    assert [again.value for again in rows(config)] == [again.value for again in rows(Config())]
    assert config.origins == {row.key: row.variable}


@pytest.mark.parametrize("key", KEYS, ids=name)
def test_a_letter_too_many_is_told_with_the_right_key(tmp_path, key):
    wrong = (*key[:-1], key[-1] + "x")
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, wrong, '"x"'), {})
    assert str(caught.value).endswith(f':4: unknown key "{key[-1]}x": did you mean "{key[-1]}"?')
    with pytest.raises(ConfigError, match="unknown variable"):
        load(environ={variable(wrong): "x"})


@given(st.text("_abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=16))
def test_a_key_of_the_file_is_never_ignored(tmp_path_factory, word):
    path = tmp_path_factory.mktemp("keys") / "cloakroom.toml"
    path.write_text(f'{word} = "x"\n')
    if word in Config.model_fields:
        return
    with pytest.raises(ConfigError, match=":1: unknown key"):
        load(path, {})


@pytest.mark.parametrize(
    "word", [word for word in inspect.signature(BaseSettings.__init__).parameters if word.startswith("_")]
)
def test_no_option_of_the_library_is_a_setting(tmp_path, word):
    with pytest.raises(ConfigError, match=f'unknown key "{word}"'):
        load(write(tmp_path, (word,), "true"), {})


@given(st.from_regex(r"CLOAKROOM_[A-Z_]{1,12}", fullmatch=True), st.text(max_size=5))
def test_a_variable_with_our_prefix_is_never_ignored(named, text):
    known = {variable(key) for key in KEYS}
    if named in known or named == "CLOAKROOM_CONFIG":
        return
    with pytest.raises(ConfigError, match="unknown variable"):
        load(environ={named: text})


@given(st.dictionaries(st.text("ABCDEFGH_", min_size=1, max_size=9), st.text(max_size=5), max_size=4))
def test_variables_of_others_are_left_alone(environ):
    assert load(environ=environ) == Config()


@pytest.mark.parametrize(
    ("table", "model"),
    [("limits", Limits), ("tls", Tls), ("user_identity", UserIdentity), ("gates", Gates), ("inbound", Inbound)],
)
def test_the_tables_are_all_there(table, model):
    assert [key[1] for key in KEYS if key[0] == table] == list(model.model_fields)


def test_the_limits_are_as_many_as_were_thought_of():
    assert len(Limits.model_fields) == 23


def test_a_description_is_one_sentence_that_says_more_than_the_name():
    for key, field in settings():
        assert field.description, name(key)
        assert field.description[0].isupper(), name(key)
        assert field.description.count(". ") == 0, name(key)
        assert field.description.endswith("."), name(key)
        assert len(field.description) >= 8, name(key)


@pytest.mark.parametrize("key", KEYS, ids=name)
def test_of_file_and_variable_the_variable_is_blamed(tmp_path, key):
    if key[0] in {"host", "http_host", "recipe", "layout"}:
        wrong = ""
    else:
        wrong = "[" if key[0] in {"peers", "protocols", "bids", "variables"} else "\x00"
    path = write(tmp_path, ("port",), "104")
    with pytest.raises(ConfigError) as caught:
        load(path, {variable(key): wrong})
    assert str(caught.value).startswith(variable(key) + ": ")
