import stat

import pytest
from pyrage import decrypt, encrypt, x25519

from scp.store import keys


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "keys"


def rewrite(path, text, mode=0o400):
    path.chmod(0o600)
    path.write_text(text)
    path.chmod(mode)


def test_init_makes_what_is_missing_and_overwrites_nothing(folder):
    assert keys.missing(folder)
    assert sorted(path.name for path in keys.init(folder)) == ["linkage.key", "officer.key", "officer.pub"]
    assert not keys.missing(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert keys.init(folder) == []
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("there", [[], ["linkage.key"], ["linkage.key", "officer.key"]])
def test_an_init_that_was_stopped_is_finished(folder, there, tmp_path):
    keys.init(tmp_path / "whole")
    folder.mkdir()
    for name in there:
        (tmp_path / "whole" / name).rename(folder / name)
    (folder / ".tmp-1234").write_text("half")
    keys.init(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["linkage.key", "officer.key", "officer.pub"]
    private = x25519.Identity.from_str((folder / "officer.key").read_text().strip())
    assert str(private.to_public()) == keys.load(folder).officer


def test_a_private_half_that_is_none_is_refused(folder):
    folder.mkdir()
    (folder / "officer.key").write_text("nonsense")
    (folder / "officer.key").chmod(0o400)
    with pytest.raises(keys.KeyFileError, match="is not an age private key"):
        keys.init(folder)


def test_modes(folder):
    keys.init(folder)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"linkage.key": 0o400, "officer.key": 0o400, "officer.pub": 0o444}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_pair_is_a_pair(folder):
    keys.init(folder)
    loaded = keys.load(folder)
    private = x25519.Identity.from_str((folder / "officer.key").read_text().strip())
    assert decrypt(encrypt(b"x", [x25519.Recipient.from_str(loaded.officer)]), [private]) == b"x"
    assert len(loaded.linkage) == 32


def test_the_private_half_is_noticed_until_it_is_moved_away(folder):
    keys.init(folder)
    assert keys.load(folder).private_half == folder / "officer.key"
    (folder / "officer.key").unlink()
    assert keys.load(folder).private_half is None
    assert keys.init(folder) == []  # the public half is enough: no second pair


def test_a_hospital_brings_its_own_officers_key(folder):
    folder.mkdir()
    own = x25519.Identity.generate().to_public()
    (folder / "officer.pub").write_text(f"{own}\n")
    assert [path.name for path in keys.init(folder)] == ["linkage.key"]
    assert keys.load(folder).officer == str(own)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("linkage.key", "abcd", "linkage.key: is not a linkage key"),
        ("linkage.key", "not hexadecimal", "linkage.key: is not a linkage key"),
        ("officer.pub", "age1nonsense", "officer.pub: is not an age public key"),
        ("officer.pub", "", "officer.pub: is not an age public key"),
    ],
)
def test_what_is_no_key_is_refused(folder, name, text, message):
    keys.init(folder)
    rewrite(folder / name, text)
    with pytest.raises(keys.KeyFileError, match=message) as caught:
        keys.load(folder)
    if text:
        assert text not in str(caught.value)


def test_a_missing_key_says_what_to_do(folder):
    with pytest.raises(keys.KeyFileError, match=r"linkage\.key: is missing; `cloakroom keys init`"):
        keys.load(folder)


def test_an_unreadable_key_is_named(folder):
    keys.init(folder)
    (folder / "linkage.key").unlink()
    (folder / "linkage.key").mkdir()
    with pytest.raises(keys.KeyFileError, match=r"linkage\.key: cannot be read \(IsADirectoryError\)"):
        keys.load(folder)


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644])
def test_a_key_that_others_can_read_is_refused(folder, mode):
    keys.init(folder)
    (folder / "linkage.key").chmod(mode)
    with pytest.raises(keys.KeyFileError, match="others can read it"):
        keys.load(folder)


def test_no_key_stands_in_a_repr(folder):
    keys.init(folder)
    loaded = keys.load(folder)
    assert loaded.linkage.hex() not in repr(loaded)
    assert str(loaded.linkage) not in repr(loaded)
