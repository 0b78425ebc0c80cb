"""The routes of this API, a class for each part of it: read what is asked, call a verb, render."""
