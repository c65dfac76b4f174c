"""What a peer calls itself and its objects never stands in a node's log, at any level, and forges no line of it."""

import json
import re
import socket
from pathlib import Path

from factories import encode, mr
from peer import COMMAND, EXPLICIT, LAST, MR, STORE, associate, context, element, elements, pdu, pdv
from running import Node, wait

FORGED = b'1.2\n{"event": "FORGED", "level": "error"}'
TITLE = b"=cmd|EVILTITLE"


def speak(port, data):
    with socket.create_connection(("127.0.0.1", port), 10) as sock:
        sock.sendall(data)
        sock.settimeout(2)
        heard = b""
        try:
            while part := sock.recv(4096):
                heard += part
        except (TimeoutError, ConnectionError):
            pass
        return heard


def command(uid, sop_class=MR.encode()):
    values = {2: sop_class, 0x100: STORE, 0x110: 7, 0x700: 0, 0x800: 1, 0x1000: uid + b"\0" * (len(uid) % 2)}
    return elements(values)


def test_nothing_from_the_wire_is_written_as_it_came(tmp_path):
    node = Node(tmp_path, log_level="debug", workers=1)
    node.start()
    try:
        limits = Path(f"/proc/{node.workers()[0]}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
        ask = associate(context(3, MR, EXPLICIT), calling=TITLE)
        data = encode(mr(PatientID="EVILPATIENT", StudyDescription="EVILWORDS"))
        for one in (
            ask + pdu(4, pdv(3, COMMAND | LAST, command(FORGED))) + pdu(4, pdv(3, LAST, data)),
            ask + pdu(4, pdv(3, COMMAND | LAST, command(b"1.2.3", FORGED))) + pdu(4, pdv(3, LAST, data)),
            ask + pdu(4, pdv(3, COMMAND | LAST, element(0, FORGED))),
            associate(context(3, FORGED.decode(), EXPLICIT), calling=TITLE),
            associate(context(3, MR, EXPLICIT), calling=b"FORGED\n{}", called=b"EVILNODE"),
            associate(context(3, MR, EXPLICIT), name="FORGED\n{}"),
            FORGED * 3,
        ):
            speak(node.port, one)
        wait(lambda: node.metric('cloakroom_instances_total{outcome="mismatched"}') == 2, "both are refused")
    finally:
        assert node.stop() == 0
    text = node.log.read_text()
    lines = [line for line in text.splitlines() if line.startswith("{")]
    assert len(lines) > 8
    assert all(json.loads(line)["event"] != "FORGED" for line in lines)
    assert not [word for word in ("EVIL", "FORGED", "1.2.3") if word in text]
