"""Where schemas and policies lie, in a checkout and in an installed wheel."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from streams import resources
from streams.errors import ConfigError


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An empty package folder in place of the real one."""
    folder = tmp_path / "streams"
    folder.mkdir()
    monkeypatch.setattr(resources, "as_file", lambda _: nullcontext(folder))
    return folder


def test_a_checkout_has_them_beside_the_package():
    assert resources.data_dir("schemas") == Path(__file__).parent.parent / "schemas"


def test_a_wheel_has_them_within(package):
    (package / "_data" / "schemas").mkdir(parents=True)

    assert resources.data_dir("schemas") == package / "_data" / "schemas"


def test_a_folder_beside_an_installed_package_is_not_ours(package):
    (package.parent / "schemas").mkdir()

    with pytest.raises(ConfigError, match="install consent-gate again"):
        resources.data_dir("schemas")
