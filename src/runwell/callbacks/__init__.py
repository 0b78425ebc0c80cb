"""Telling somebody outside: which addresses may be posted to, signing, posting, and when to post again."""
