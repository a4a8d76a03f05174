"""Format 1 of bundles, restated by hand: what every later version must still read.

Written from the description of the format, with nothing of the package; also the forger's tool of
the tests, since it checks nothing.
"""

import hashlib
import io
import json
import struct
import zipfile

SAFETENSORS_TYPES = {
    "float32": "F32",
    "float64": "F64",
    "int64": "I64",
    "uint8": "U8",
    "bool": "BOOL",
}


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def safetensors(arrays, header=None):
    """Eight bytes of header length, the header as JSON, the arrays end to end."""
    data, entries = b"", {}
    for name, array in arrays.items():
        entries[name] = {
            "dtype": SAFETENSORS_TYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    text = json.dumps(entries if header is None else header).encode()
    return struct.pack("<Q", len(text)) + text + data


def metadata(content, arrays_bytes, **changes):
    content = {"arrays_sha256": hashlib.sha256(arrays_bytes).hexdigest(), **content}
    return {
        "format": "soft-students bundle",
        "format_version": 1,
        "sha256": hashlib.sha256(compact(content)).hexdigest(),
        "content": content,
        **changes,
    }


def archive(members, compression=zipfile.ZIP_STORED):
    """A zip of (name, bytes) pairs."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as zipped:
        for name, data in members:
            zipped.writestr(name, data)
    return file.getvalue()


def bundle(content, arrays, **changes):
    arrays_bytes = arrays if isinstance(arrays, bytes) else safetensors(arrays)
    header = compact(metadata(content, arrays_bytes, **changes))
    return archive([("metadata.json", header), ("arrays.safetensors", arrays_bytes)])
