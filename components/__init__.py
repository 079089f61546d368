"""Kubeflow components, one a step. They only call ``lstfill.steps``; the image brings the package."""

from components.evaluate import evaluate
from components.ingest import ingest
from components.mask import mask
from components.predict import predict
from components.preprocess import preprocess
from components.split import split
from components.train import train

__all__ = ["evaluate", "ingest", "mask", "predict", "preprocess", "split", "train"]
