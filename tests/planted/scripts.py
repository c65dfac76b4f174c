"""The character sets of PS3.3 C.12.1.1.2, each with letters for names and every way they could be found encoded."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydicom.charset import convert_encodings, encode_string

_ESCAPES = (b"\x1b$B", b"\x1b$(D", b"\x1b$)C", b"\x1b$)A", b"\x1b(B", b"\x1b(J", b"\x1b)I", b"\x1b-A")
_WIDE = ("utf-8", "utf-16-le", "utf-16-be", "shift_jis", "euc_jp", "euc_kr", "gb18030", "big5")


@dataclass(frozen=True)
class Script:
    """One value of SpecificCharacterSet."""

    terms: tuple[str, ...]
    letters: str

    def encode(self, text: str) -> bytes:
        """The text as it stands in a data set, with the escape sequences that it needs."""
        encodings = convert_encodings(list(self.terms))
        return text.encode(encodings[0]) if len(self.terms) == 1 else encode_string(text, encodings)

    def forms(self, *names: str) -> list[bytes]:
        """The names in this and in every other encoding that has the letters, without escape sequences."""
        found = set()
        for name in names:
            found.add(self._bare(name))
            for encoding in _WIDE:
                encoded = name.encode(encoding, "ignore")
                if len(encoded) >= len(name):
                    found.add(encoded)
        return sorted(found)

    def _bare(self, name: str) -> bytes:
        encoded = self.encode(name)
        for escape in _ESCAPES:
            encoded = encoded.replace(escape, b"")
        return encoded


SCRIPTS: Mapping[str, Script] = {
    "Latin 1": Script(("ISO_IR 100",), "äöüßéèêçñåøæ"),
    "Latin 2": Script(("ISO_IR 101",), "łšžčřěůńśźćő"),
    "Latin 3": Script(("ISO_IR 109",), "ĥĝĉĵŝŭħ"),
    "Latin 4": Script(("ISO_IR 110",), "āēīūķļņģ"),
    "Latin 5": Script(("ISO_IR 148",), "ğışöçüé"),
    "Cyrillic": Script(("ISO_IR 144",), "абвгдежзийклмн"),
    "Arabic": Script(("ISO_IR 127",), "ابتثجحخدذرزس"),
    "Greek": Script(("ISO_IR 126",), "αβγδεζηθικλμ"),
    "Hebrew": Script(("ISO_IR 138",), "אבגדהוזחטיכל"),
    "Thai": Script(("ISO_IR 166",), "กขคงจฉชซญดตถ"),
    "Katakana": Script(("ISO_IR 13",), "ｱｲｳｴｵｶｷｸｹｺｻｼ"),
    "Kanji": Script(("", "ISO 2022 IR 87"), "山田太郎花子東京都大阪府"),
    "Katakana, Kanji": Script(("ISO 2022 IR 13", "ISO 2022 IR 87"), "山田太郎花子東京都大阪府"),
    "Kanji supplement": Script(("", "ISO 2022 IR 159"), "丂丄丅丌丒丟丣两丨丫"),
    "Hangul": Script(("", "ISO 2022 IR 149"), "김희중이박최정강조윤"),
    "Simplified": Script(("", "ISO 2022 IR 58"), "王小东张李明华北京上"),
    "UTF-8": Script(("ISO_IR 192",), "王äж김山ÜЩñ"),
    "GB18030": Script(("GB18030",), "王小东张李明华北京上"),
    "GBK": Script(("GBK",), "王小东张李明华北京上"),
}
