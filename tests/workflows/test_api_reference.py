"""The reference of the public names is that of the code."""

import inspect

import pytest

from workflows import api_reference


def test_the_page_in_docs_is_up_to_date():
    """If not, `python workflows/api_reference.py` writes it anew."""
    pytest.importorskip("ase")  # without which some modules cannot be read
    text = api_reference.HEAD + "\n".join(api_reference._contents()) + "\n\n" + "\n".join(api_reference.reference())
    assert api_reference.TARGET.read_text(encoding="utf-8") == text


def test_a_docstring_becomes_markdown():
    def scale(x: float, *, by: "float" = 2.0, name: str = "a") -> float:
        r"""Multiply :math:`x` by ``by``.

        Parameters
        ----------
        by
            The factor,
            without a unit.

        References
        ----------
        Euclid, Elements.
        """
        return x * by

    written = "\n".join(api_reference.described("scale", scale))
    assert "scale(x: float, *, by: float = 2.0, name: str = 'a') -> float" in written
    assert "Multiply $x$ by `by`." in written
    assert "* **by** – The factor, without a unit." in written
    assert "**References**\n\nEuclid, Elements." in written


def test_every_public_name_says_what_it_is():
    pytest.importorskip("ase")
    for module, names in api_reference._public():
        for name in names:
            found = getattr(api_reference.importlib.import_module(module), name)
            assert inspect.getdoc(found), f"{module}.{name}"
