"""A folder of broken recipes, each with the message its author hears."""

from pathlib import Path

import pytest

from scp.deidentify.compile import Policy
from scp.deidentify.compile import compile as compile_plan
from scp.deidentify.recipe import RecipeError, find, read

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.dicom"))


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_recipe_is_refused_with_file_line_and_sentence(path: Path) -> None:
    with pytest.raises(RecipeError) as error:
        compile_plan(read(path), Policy({}))
    assert str(error.value) == f"{path}{path.with_suffix('.expected').read_text().rstrip()}"
    assert str(error.value) == f"{error.value.path}:{error.value.line}: {error.value.sentence}"
    assert error.value.path == path
    assert 1 <= error.value.line <= len(path.read_bytes().splitlines()) + 1


def test_every_message_belongs_to_a_recipe() -> None:
    assert {path.stem for path in BROKEN} == {path.stem for path in BROKEN[0].parent.glob("*.expected")}
    assert len(BROKEN) > 70


def test_a_broken_recipe_says_nothing_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    for path in BROKEN:
        with pytest.raises(RecipeError):
            compile_plan(read(path), Policy({}))
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"absent\.dicom:1: it cannot be read: No such file or directory"):
        read(tmp_path / "absent.dicom")


def test_a_folder_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="it cannot be read: Is a directory"):
        read(tmp_path)


def test_a_name_nobody_knows_lists_those_that_are_known() -> None:
    with pytest.raises(RecipeError) as error:
        find("mpi")
    assert "known recipes: basic, mip-strict, mip, research-mri, clean-descriptors" in str(error.value)


@pytest.mark.parametrize("name", ["mip", "mip.dicom", "mip-strict", "mip-strict.dicom"])
def test_a_name_with_or_without_suffix_is_found(name: str) -> None:
    path = find(name)
    assert path.is_file()
    assert path.name.removesuffix(".dicom") == name.removesuffix(".dicom")


def test_a_path_is_found_and_so_is_a_name_in_another_folder(tmp_path: Path) -> None:
    own = tmp_path / "own.dicom"
    own.write_text("FORMAT dicom\n")
    assert find(str(own)) == own
    assert find("own", tmp_path) == own
    with pytest.raises(RecipeError, match="known recipes: own"):
        find("mip", tmp_path)


@pytest.mark.parametrize("name", ["a/b", "T1\\T2", "", "x" * 51, "T1;rm", "über"])
def test_a_policy_refuses_names_that_cannot_be_written(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        Policy({"sent": name})
