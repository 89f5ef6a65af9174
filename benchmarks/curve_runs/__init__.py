"""Small models, really trained, with one fault or none: what `benchmarks/curves.py` judges and `fixtures/curves` keeps.

A recipe is a function of a seed that gives the logs of its runs: file name to text. Nothing in a log is made up; where
a fault is one of the log itself (two runs in one file), real rows are put together wrongly.
"""
