import pytest


@pytest.fixture(scope="session")
def rendering():
    """Helm's SDK is installed for this tier only, so it is imported when a test runs."""
    import rendering  # noqa: PLC0415

    return rendering
