"""Files of the console as they are served: addresses by content, references between them, compression."""

from __future__ import annotations

import gzip

import pytest

from api.console.static import prepare


def test_an_address_changes_with_the_content_alone() -> None:
    one, same, other = (prepare({"console.css": each})["console.css"].address for each in (b"a{}", b"a{}", b"b{}"))
    assert one == same != other
    assert one.startswith("/static/") and one.endswith("/console.css")


def test_what_a_file_names_is_spelled_as_its_address() -> None:
    css = b"@font-face{src:url(inter.woff2)} a{mask:url(\"icons.svg#x\")} b{background:url('icons.svg')} c{d:url(data:,e)}"
    found = prepare({"console.css": css, "inter.woff2": b"font", "icons.svg": b"<svg/>"})
    font, icons = (found[name].address.removeprefix("/static") for name in ("inter.woff2", "icons.svg"))
    expected = (
        f"@font-face{{src:url(..{font})}} a{{mask:url(\"..{icons}#x\")}} b{{background:url('..{icons}')}} c{{d:url(data:,e)}}"
    )
    assert found["console.css"].content.decode() == expected


def test_modules_name_each_other_by_address_however_deep() -> None:
    names = {"console.js": b'import { keys } from "./keys.js"', "keys.js": b"import './copy.js'", "copy.js": b"1"}
    found, changed = prepare(names), prepare({**names, "copy.js": b"2"})
    assert (
        found["console.js"].content.decode() == f'import {{ keys }} from "..{found["keys.js"].address.removeprefix("/static")}"'
    )
    assert all(found[name].address != changed[name].address for name in names)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"console.css": b"a{b:url(none.woff2)}"}, "console.css names none.woff2, which is not there"),
        ({"console.js": b'import "./none.js"'}, "console.js names none.js, which is not there"),
        ({"a.js": b'import "./b.js"', "b.js": b'import "./a.js"'}, "a.js names itself, by way of b.js"),
    ],
)
def test_what_is_not_there_is_named(contents: dict[str, bytes], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepare(contents)


def test_text_is_compressed_if_that_makes_it_smaller_and_fonts_are_not() -> None:
    found = prepare({"console.css": b"a{b:c}" * 100, "small.css": b"a{}", "inter.woff2": b"font" * 100})
    compressed = found["console.css"].compressed
    assert compressed is not None
    assert gzip.decompress(compressed) == found["console.css"].content
    assert found["small.css"].compressed is None
    assert found["inter.woff2"].compressed is None
