"""Where a series stands in BIDS: what the setting takes, and which pattern decides."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scp.config import Config, ConfigError, load
from scp.config.bids import DEFAULT, Place, place, place_of
from scp.steward.gates.finding import is_t1

LABEL = st.text("abcXYZ0189", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("anat/T1w", Place("anat", (), "T1w")),
        ("anat/acq-hi_ce-gd_rec-mag_FLAIR", Place("anat", ("acq-hi", "ce-gd", "rec-mag"), "FLAIR")),
        ("func/task-rest_bold", Place("func", ("task-rest",), "bold")),
        ("func/task-n2_dir-AP_sbref", Place("func", ("task-n2", "dir-AP"), "sbref")),
        ("dwi/dir-PA_dwi", Place("dwi", ("dir-PA",), "dwi")),
        ("fmap/acq-se_dir-AP_epi", Place("fmap", ("acq-se", "dir-AP"), "epi")),
    ],
)
def test_a_place_is_a_folder_entities_and_a_suffix(text, found):
    assert place(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "", "T1w", "anat/", "anat/T1", "anat/t1w", "anat/bold", "anat/task-rest_T1w", "anat/T1w_acq-hi", "anat/acq_T1w",
        "anat/acq-a-b_T1w", "anat/acq-a_b_T1w", "anat/ce-a_acq-b_T1w", "anat/run-1_T1w", "anat/../T1w", "anat/T1w\n",
        "func/bold", "func/task-_bold", "func/task-ré_bold", "fmap/epi", "fmap/phasediff", "dwi/sbref", "NONE",
        "/etc/T1w", "sub-1/anat/T1w", "anat/T1w.nii.gz",
    ],
)  # fmt: skip
def test_what_bids_has_not_is_refused_on_its_line(tmp_path, text):
    with pytest.raises(ValueError, match="no place in BIDS"):
        place(text)
    path = tmp_path / "cloakroom.toml"
    written = text.replace("\n", "\\n")
    path.write_text(f'[bids]\n"*t2*" = "anat/T2w"\n"*t1*" = "{written}"\n', "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert str(caught.value).startswith(f"{path}:3: bids.*t1*: ")
    assert str(caught.value).endswith('or "fmap/dir-AP_epi", or "none"')


@given(LABEL, LABEL, st.sampled_from(["bold", "sbref"]))
def test_every_place_is_a_file_name_that_bids_can_read_back(task, acquisition, suffix):
    found = place(f"func/task-{task}_acq-{acquisition}_{suffix}")
    assert found == Place("func", (f"task-{task}", f"acq-{acquisition}"), suffix)
    assert all(re.fullmatch("[a-z]+-[A-Za-z0-9]+", entity) for entity in found.entities)


def test_the_first_pattern_that_fits_decides_and_case_does_not():
    patterns = {"*scout*": "none", "t1 *": "anat/T1w", "*T1*": "anat/acq-other_T1w", "[ab]?": "anat/T2w"}
    assert place_of("T1 scout", patterns) is None
    assert place_of("T1 MPRAGE", patterns) == place("anat/T1w")
    assert place_of("sag t1", patterns) == place("anat/acq-other_T1w")
    assert place_of("B1", patterns) == place("anat/T2w")
    assert place_of("BOLD", patterns) is None
    assert place_of("", patterns) is None


@given(st.lists(st.sampled_from(["SAG", "T1", "MPRAGE", "SPGR", "BRAVO", "FLAIR", "T2", "3D"]), max_size=4))
def test_by_default_what_the_gate_calls_t1_weighted_is_a_t1(words):
    description = " ".join(words)
    assert place_of(description, DEFAULT) == (place("anat/T1w") if is_t1(description) else None)


@pytest.mark.parametrize("description", ["MP2RAGE UNI T1", "T1 MAP", "T1 LOCALIZER", "T1 SCOUT"])
def test_but_for_what_is_another_suffix(description):
    assert is_t1(description)
    assert place_of(description, DEFAULT) is None


def test_a_sites_patterns_take_the_place_of_the_default(tmp_path):
    path = tmp_path / "cloakroom.toml"
    path.write_text('[bids]\n"*swi*" = "anat/T2starw"\n', "utf-8")
    assert dict(load(path, {}).bids) == {"*swi*": "anat/T2starw"}
    assert dict(load(path, {"CLOAKROOM_BIDS": '{"a": "none"}'}).bids) == {"a": "none"}
    assert Config().bids == DEFAULT
    with pytest.raises(TypeError):
        Config().bids["a"] = "none"
    path.write_text('[bids]\n"" = "anat/T1w"\n', "utf-8")
    with pytest.raises(ConfigError, match=re.escape(f"{path}:")):
        load(path, {})
