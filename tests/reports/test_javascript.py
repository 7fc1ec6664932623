"""The script of interactive charts, which is kept between commands."""

import pytest

from nas_lightning.reports import rendering


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Returns how often the script was made; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    calls = []
    monkeypatch.setattr(
        rendering.vl_convert, "javascript_bundle", lambda _: calls.append(1) or "chart()"
    )
    return calls


def test_it_is_made_once_for_all_commands(made, tmp_path):
    assert [rendering.javascript.__wrapped__() for _ in range(3)] == ["chart()"] * 3
    assert len(made) == 1
    (kept,) = (tmp_path / "cache" / "nas_lightning" / "charts").iterdir()
    assert kept.suffix == ".js"


def test_where_it_cannot_be_kept_it_is_made_each_time(made, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder would be")
    assert [rendering.javascript.__wrapped__() for _ in range(2)] == ["chart()"] * 2
    assert len(made) == 2
