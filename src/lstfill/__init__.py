"""Fills the gaps of satellite land surface temperature from air temperature, on Earth System Data Cubes.

Science: ``mask``, ``split``, ``preprocess``, ``model``, ``train``, ``evaluate``, ``predict``. What a cube is: ``cube``.
Where data and runs are kept: ``storage``, ``compute``, ``tracking``, ``artifacts``. The two meet in ``steps``.
"""
