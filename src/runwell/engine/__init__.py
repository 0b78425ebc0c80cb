"""The verbs: submit, answer, cancel, retry, delete, read. What every dialect can ask for."""
