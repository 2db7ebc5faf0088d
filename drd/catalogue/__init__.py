"""What drd remembers: runs and their steps, restore points, evidence, and rows that sum them up.

`sql_catalogue` has the catalogue (it imports SQLAlchemy), `summary` what `drd status` reads
(standard library only). This module imports nothing, so that `summary` stays light.
"""
