"""The report on a run: recorded while it is watched (`recorder`), told as plain data (`story`), shown as a page."""
