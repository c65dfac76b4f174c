"""The command line against a node that has run, as its operator uses it."""

import json

from factories import mr
from running import Node, wait

from scp.retrieve.send import send


def push(node, *instances):
    return send(list(instances), host="127.0.0.1", port=node.port, called="CLOAKROOM", calling="PACS", attempts=3)


def test_the_first_start_says_all_that_is_needed(node):
    said = node.log.read_text()
    assert "AE title   CLOAKROOM" in said
    assert f"127.0.0.1:{node.port}" in said
    assert f"storescu -aec CLOAKROOM -R +sd +r 127.0.0.1 {node.port} FOLDER" in said
    assert "officer.key opens the quarantine; move it to the data-protection officer" in said
    (node.state / "keys" / "officer.key").unlink()
    assert node.stop() == 0
    node.log.unlink()
    node.start()
    assert "opens the quarantine" not in node.log.read_text()


def test_visits_are_listed_shown_and_published_by_hand(tmp_path):
    node = Node(tmp_path, visit_quiet_seconds=3600)
    node.start()
    try:
        assert push(node, mr(), mr(1)) == [0, 0]
        listed = json.loads(node.command("visit", "list", "--json").stdout)
        assert [visit["state"] for visit in listed] == ["receiving", "receiving"]
        number = listed[0]["scan_research_id"]
        assert "published" in node.command("visit", "publish", number).stdout
        shown = json.loads(node.command("visit", "show", number, "--json").stdout)
        assert (shown["state"], shown["instances"]) == ("published", 1)
        assert (node.export / shown["path"] / ".ready").exists()
        assert number in node.command("visit", "show", number).stdout
        again = node.command("visit", "publish", number, check=False)
        assert (again.returncode, "published already" in again.stderr) == (1, True)
        assert node.command("visit", "show", "123", check=False).returncode == 1
    finally:
        node.stop()


def test_quarantine_is_listed_and_shown(node):
    assert push(node, mr(BurnedInAnnotation="YES")) == [0xC005]
    (entry,) = json.loads(node.command("quarantine", "list", "--json").stdout)
    shown = json.loads(node.command("quarantine", "show", entry["id"], "--json").stdout)
    assert shown["outcome"] == "burned_in"
    assert (node.folder / shown["file"]).exists()
    name = f"{entry['id']}.age"
    assert (
        shown["the_officer_opens_it_with"] == f"cloakroom quarantine open {name} --key officer.key --out original.dcm"
    )
    assert node.command("quarantine", "show", "nothing", check=False).returncode == 1


def test_status_at_a_glance(node):
    push(node, mr())
    node.published(1)
    glance = wait(lambda: json.loads(node.command("status", "--json").stdout), "status")
    assert (glance["running"], glance["instances"], glance["visits"]) == (True, 1, {"published": 1})
    assert "CLOAKROOM" in node.command("status").stdout
    node.stop()
    assert json.loads(node.command("status", "--json").stdout)["running"] is False


def test_before_any_node_has_run(tmp_path):
    node = Node(tmp_path)
    for words in (("visit", "list"), ("quarantine", "list")):
        said = node.command(*words, check=False)
        assert (said.returncode, "no node has run here yet" in said.stderr) == (1, True)
    assert json.loads(node.command("status", "--json").stdout)["running"] is False
    assert "no keys yet" in node.command("config", "check").stdout
    assert not node.state.exists()


def test_keys_are_made_once(tmp_path):
    node = Node(tmp_path)
    assert node.command("keys", "init").stdout.count("made ") == 3
    assert "nothing was changed" in node.command("keys", "init").stdout
    node.start()
    assert node.stop() == 0


def test_config_show_tells_where_each_value_came_from(tmp_path):
    node = Node(tmp_path)
    rows = {row["key"]: row for row in json.loads(node.command("config", "show", "--json").stdout)}
    assert rows["port"]["value"] == str(node.port)
    assert rows["port"]["origin"] == "CLOAKROOM_PORT"
    assert rows["ae_title"]["origin"] == "default"


def test_a_second_node_on_the_same_state_is_refused(node):
    second = Node(node.folder)
    second.settings |= {"state": node.state, "export": node.export}
    said = second.command("serve", check=False)
    assert said.returncode == 2
    assert "another node runs on this state folder" in said.stderr


def test_a_port_in_use_is_one_sentence(node, tmp_path):
    other = Node(tmp_path / "other", port=node.port)
    other.folder.mkdir()
    said = other.command("serve", check=False)
    assert said.returncode == 2
    assert (
        said.stderr
        == f"cloakroom: CLOAKROOM_PORT: 127.0.0.1:{node.port} cannot be listened on (Address already in use)\n"
    )
    assert not other.state.exists()


def test_a_wrong_key_refuses_to_start(node):
    push(node, mr())
    node.stop()
    key = node.state / "keys" / "linkage.key"
    key.chmod(0o600)
    key.write_text("00" * 32 + "\n")
    key.chmod(0o400)
    said = node.command("serve", check=False)
    assert said.returncode == 2
    assert "was made with another linkage.key" in said.stderr


def test_a_lost_key_is_never_replaced(node):
    push(node, mr())
    node.stop()
    for path in (node.state / "keys").iterdir():
        path.unlink()
    said = node.command("serve", check=False)
    assert (said.returncode, "linkage.key: is missing" in said.stderr) == (2, True)
    assert list((node.state / "keys").iterdir()) == []


def test_a_recipe_that_does_not_compile_starts_nothing(tmp_path):
    (tmp_path / "site.dicom").write_text("FORMAT dicom\n%header\nREMOVE ALL\nkeep Rows\n")
    node = Node(tmp_path, recipe=tmp_path / "site.dicom")
    said = node.command("serve", check=False)
    assert said.returncode == 2
    assert said.stderr.startswith(f"cloakroom: {tmp_path / 'site.dicom'}:4: ")
    assert said.stderr.count("\n") == 1
    assert not node.state.exists()


def test_a_key_that_others_can_read_starts_nothing(tmp_path):
    node = Node(tmp_path)
    node.command("keys", "init")
    (node.state / "keys" / "linkage.key").chmod(0o444)
    said = node.command("serve", check=False)
    assert (said.returncode, "linkage.key: others can read it" in said.stderr) == (2, True)
    assert not (node.state / "linkage.db").exists()


def test_an_unknown_setting_starts_nothing(tmp_path):
    (tmp_path / "cloakroom.toml").write_text('ae_title = "NODE"\nvisit_quiet = 3\n')
    node = Node(tmp_path)
    said = node.command("serve", check=False)
    assert said.returncode == 2
    assert said.stderr == (
        'cloakroom: cloakroom.toml:2: unknown key "visit_quiet": did you mean "visit_quiet_seconds"?\n'
    )
    assert not node.state.exists()
