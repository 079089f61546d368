"""Where data lie: stores, objects and buckets behind ``s3://``, ``https://`` and paths.

Import the modules (``from lstfill.storage import stores``); nothing heavy is loaded before a function needs it.
"""
