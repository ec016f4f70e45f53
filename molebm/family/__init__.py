"""The wider family of energy-based models: one file each, all trained, saved and read alike.

To add a kind:

1. `molebm/family/KIND.py` holds a pydantic `Config` (a `FamilyConfig` with `model: Literal["KIND"]`) and a
   `FamilyModel`, whose docstrings in `interface.py` say what each method is for.
2. `registry.py` names it in `KINDS`.
3. Features that it reads are a function in `molebm/chem/featurising.py`, or it reads conformers.

`molebm train`, `molebm energies` and `molebm.load_model` then know it.
"""
