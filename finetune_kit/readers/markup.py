"""Markup where rows should be: pages and documents that carry the suffix of a table."""

from __future__ import annotations

import re

_HTML = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|table|meta)\b", re.IGNORECASE | re.DOTALL)
_XML = re.compile(rb"\s*<\?xml\b")
_BOM = b"\xef\xbb\xbf"


def markup_in(head: bytes) -> str | None:
    """What a file that begins with `head` is and what to do with it, if it is markup."""
    head = head.removeprefix(_BOM)
    if b"urn:schemas-microsoft-com:office:spreadsheet" in head:
        return "an XML Spreadsheet of 2003. Open it in a spreadsheet program, and save it as .xlsx"
    if _HTML.match(head):
        return (
            "an HTML page, as many programs export under .xls. Open it in a spreadsheet program, and save it as .xlsx"
        )
    if _XML.match(head):
        return "an XML document. Export the rows as CSV UTF-8 or JSON Lines"
    return None
