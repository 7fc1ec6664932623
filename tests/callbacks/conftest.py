"""What is observed here."""

from observed import module, trainer  # noqa: F401 - fixtures
