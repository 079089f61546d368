"""How good a fill is: scores on cells the model has not seen, beside baselines, and the report that shows them.

Import the modules (``from lstfill.evaluate import scores``); figures and report load matplotlib, the others do not.
"""
