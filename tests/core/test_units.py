"""Times are numbers of seconds, or have units."""

import pytest

from nas_lightning.core.units import read_seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (300, 300.0),
        ("2.5", 2.5),
        ("90s", 90.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("1.5h 10s", 5410.0),
        (None, None),
    ],
)
def test_a_time_has_units_or_is_in_seconds(value, seconds):
    assert read_seconds("max_seconds", value, use="5m") == seconds


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "5 parsecs",
            r"max_seconds \(5 parsecs\) must be seconds, or a time of h, m and s; use e.g. 5m",
        ),
        ("5m5m", r"max_seconds \(5m5m\) must be seconds"),
        ("30s1", r"max_seconds \(30s1\) must be seconds"),
        (True, r"max_seconds \(True\) must be seconds"),
        ([1, 2], r"max_seconds \(\[1, 2\]\) must be seconds"),
        ("-5m", r"max_seconds \(-5m\) must be seconds"),
        ("0m", r"max_seconds \(0.0\) must be in \(0, inf\); use e.g. 5m"),
        (-1, r"max_seconds \(-1.0\) must be in \(0, inf\); use e.g. 5m"),
    ],
)
def test_what_is_no_time_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        read_seconds("max_seconds", value, use="5m")
