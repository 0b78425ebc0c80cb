"""The `runwell` command. Each command has its own module, imported when it is used."""
