"""Writes the corpus of the .npz fuzz target, tests/fuzz/corpus/npz: archives by numpy.savez, and damaged ones.

    python3 tests/golden/make_npz.py

Needs numpy (committed output: numpy 2.4.6). tests/unit/test_npz.c reads the valid ones and refuses the others.
"""
import io
import pathlib
import struct
import zipfile

import numpy as np

out = pathlib.Path(__file__).parent.parent / "fuzz/corpus/npz"
out.mkdir(parents=True, exist_ok=True)
STAMP = (2024, 1, 1, 0, 0, 0)
A = np.arange(6, dtype="<f4").reshape(2, 3) / 4
B = np.asfortranarray(np.arange(4, dtype="<f8").reshape(2, 2))


def npy(a):
    b = io.BytesIO()
    np.save(b, a, allow_pickle=True)
    return b.getvalue()


def archive(members, method=zipfile.ZIP_STORED, comment=b"", zip64=False):
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", method) as z:
        for name, data in members:
            info = zipfile.ZipInfo(name, STAMP)
            info.compress_type = method
            with z.open(info, "w", force_zip64=zip64) as f:
                f.write(data)
        z.comment = comment
    return b.getvalue()


both = [("train.npy", npy(A)), ("test.npy", npy(B))]
stored = archive(both)
packed = archive(both, zipfile.ZIP_DEFLATED)
files = {
    "valid-stored": stored,
    "valid-deflated": packed,
    "valid-comment": archive(both + [("read.me", b"text")], comment=b"a comment"),
    "valid-zip64-local": archive(both, zip64=True),  # as numpy.savez writes
    "truncated": stored[:-30],
    "object": archive([("a.npy", npy(np.array([{}], dtype=object)))]),
    "twice": archive([("a.npy", npy(A)), ("b.npy", npy(A))]).replace(b"b.npy", b"a.npy"),
    "not-npy": archive([("a.npy", b"hello, this is no array at all")]),
    "empty": archive([]),
    "bzip2": archive([("a.npy", npy(A))], zipfile.ZIP_BZIP2),
}
at = stored.index(b"PK\1\2")
end = stored.index(b"PK\5\6")


def patched(base, where, form, value):
    b = bytearray(base)
    struct.pack_into(form, b, where, value)
    return bytes(b)


files["wrong-crc"] = patched(stored, at + 16, "<I", 1)
files["bomb"] = patched(packed, packed.index(b"PK\1\2") + 24, "<I", 0xfffffff0)
files["longer-than-file"] = patched(patched(stored, at + 20, "<I", 1 << 20), at + 24, "<I", 1 << 20)
files["header-outside"] = patched(stored, at + 42, "<I", 1 << 30)
files["directory-outside"] = patched(stored, end + 16, "<I", 1 << 30)
files["many-members"] = patched(stored, end + 10, "<H", 60000)
files["encrypted"] = patched(stored, at + 8, "<H", 1)
files["zip64-missing"] = patched(stored, at + 24, "<I", 0xffffffff)
locator = struct.pack("<IIQI", 0x07064b50, 0, 1 << 60, 1)
files["zip64-locator-outside"] = stored[:end] + locator + stored[end:]
record = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, 2, 2, end - at, at)
files["valid-zip64-end"] = stored[:end] + record + struct.pack("<IIQI", 0x07064b50, 0, end, 1) + stored[end:]
b = bytearray(packed)
i = packed.index(b"train.npy") + 9 + 20
b[i] ^= 0x55
files["damaged-deflate"] = bytes(b)
for name, data in files.items():
    (out / name).write_bytes(data)
