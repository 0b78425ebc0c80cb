"""Rules of the house that a machine can check, and proof that each check catches an offender."""
