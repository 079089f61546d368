"""Parts of an object: what one worker wrote whole, others read in pieces."""

from __future__ import annotations

from lstfill.storage.address import bucket_and_key, is_s3, local_path
from lstfill.storage.failures import explained
from lstfill.storage.handles import options_of, s3_filesystem


def get_range(uri: str, start: int, stop: int) -> bytes:
    """Reads the bytes of an object from ``start`` to before ``stop``.

    Raises:
        StoreError: if it is not there or cannot be read.
    """
    options = options_of(uri)
    with explained(uri, options):
        if is_s3(uri):
            key = "/".join(bucket_and_key(uri))
            data: bytes = s3_filesystem(options).cat_file(key, start=start, end=stop)
            return data
        with local_path(uri).open("rb", buffering=0) as file:
            file.seek(start)
            return file.read(stop - start)
