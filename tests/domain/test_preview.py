"""What a list shows of a document is the same whether all of it was read or only the beginning."""

from hypothesis import given, settings
from hypothesis import strategies as st

from runwell.domain.json_gate import Json, encode
from runwell.domain.preview import CUT, LONGEST, cut, preview_of

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.text(
    '"\\\n\x01é😀', min_size=150
)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@settings(deadline=None)
@given(DOCUMENTS, st.integers(1, 30))
def test_the_beginning_has_the_preview_of_the_whole(document, times):
    for whole in (encode(document), encode([document] * times), encode(str(document) * times)):
        beginning = cut(bytes(whole)[:CUT])
        assert preview_of(beginning) == preview_of(whole)
        assert len(preview_of(whole)) <= LONGEST


def test_text_is_shown_as_text_and_all_else_as_json():
    assert preview_of(encode("a\nb")) == "a\nb"
    assert preview_of(encode({"a": [1]})) == '{"a":[1]}'


def test_an_escape_that_was_cut_through_leaves_nothing():
    for end in ("\\", "\\u", "\\u00e", "\\ud83d", "\\\\\\", "\\ud83d\\ude0"):
        text = "x" * (CUT - 1 - len(end)) + end
        shown = preview_of(cut(b'"' + text.encode()))
        assert shown == "x" * LONGEST
    short = cut(b'"' + b"\\u0041" * 10 + b"\\" * 6 + b"y" * CUT)
    assert preview_of(short).startswith("A" * 10 + "\\" * 3 + "y")


def test_a_document_that_was_read_whole_stays_as_it_is():
    assert bytes(cut(b"[1, 2]")) == b"[1, 2]"
    assert isinstance(cut(b"null"), Json)
