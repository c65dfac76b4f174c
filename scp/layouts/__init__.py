"""Where a published visit stands below the export root; a new layout is one file and one line here."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import PurePosixPath
from types import MappingProxyType

from scp.layouts.daily import daily
from scp.layouts.dated import dated
from scp.layouts.flat import flat

Layout = Callable[[str, date], PurePosixPath]

LAYOUTS: Mapping[str, Layout] = MappingProxyType({"dated": dated, "daily": daily, "flat": flat})
