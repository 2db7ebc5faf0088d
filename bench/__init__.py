"""`make bench` measures what drd costs, and prints each figure beside a baseline of the
same run.
"""
