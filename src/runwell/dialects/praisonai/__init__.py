"""The jobs API of PraisonAI: runs as jobs at `/api/v1/runs`. See README.md for what is narrower here."""
