"""Writes tests/fuzz/corpus/pth: hostile and damaged .pth files, and a few that must open (valid-*).

    python3 tests/golden/make_pth_corpus.py

Needs Python alone: pickles and zips are put together by hand, so that they can lie. tests/unit/test_pth_hostile.c says
for which reason each is refused. Nothing here is ever loaded by Python.
"""
import os
import struct
import zlib

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fuzz", "corpus", "pth")
os.makedirs(HERE, exist_ok=True)


def write(name, data):
    with open(os.path.join(HERE, name), "wb") as f:
        f.write(data)


# --- pickles ---

def text(s):
    b = s if isinstance(s, bytes) else s.encode()
    return b"X" + struct.pack("<I", len(b)) + b


def integer(i):
    if -2**31 <= i < 2**31:
        return b"J" + struct.pack("<i", i)
    return b"\x8a\x08" + struct.pack("<q", i)


def numbers(values):
    return b"(" + b"".join(map(integer, values)) + b"t"


def storage(key="0", count=24, kind="FloatStorage", extra=b""):
    return b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key) + text("cpu") + integer(count) + \
        extra + b"tQ"


def tensor(size=(2, 3, 4), stride=(12, 4, 1), offset=0, where=None):
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + (where or storage()) + integer(offset) + numbers(size) + \
        numbers(stride) + b"\x89ccollections\nOrderedDict\n)RtR"


def dictionary(pairs):
    return b"}(" + b"".join(text(k) + v for k, v in pairs) + b"u"


def pickle(value):
    return b"\x80\x02" + value + b"."


def call(module, name, *args):
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n(" + b"".join(args) + b"tR"


# --- zips ---

class Entry:
    def __init__(self, name, data, **lies):
        self.name, self.data = name.encode(), data
        self.stored = lies.get("stored", data)
        self.method = lies.get("method", 0)
        self.flags = lies.get("flags", 0)
        self.size = lies.get("size", len(data))
        self.packed = lies.get("packed", len(self.stored))
        self.crc = lies.get("crc", zlib.crc32(data))
        self.local_name = lies.get("local_name", name).encode()
        self.same_as = lies.get("same_as")
        self.inside = lies.get("inside", 0)
        self.extra = lies.get("extra", b"")
        self.at = 0


def archive(entries, count=None, directory_at=None, directory_size=None, end64=None):
    out = b""
    for e in entries:
        if e.same_as is not None:
            e.at = entries[e.same_as].at + e.inside
            continue
        e.at = len(out)
        out += struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, e.flags, e.method, 0, 33, e.crc, min(e.packed, 2**32 - 1),
                           min(e.size, 2**32 - 1), len(e.local_name), 0) + e.local_name + e.stored
    at = len(out)
    for e in entries:
        out += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 20, e.flags, e.method, 0, 33, e.crc,
                           min(e.packed, 2**32 - 1), min(e.size, 2**32 - 1), len(e.name), len(e.extra), 0, 0, 0, 0,
                           e.at) + e.name + e.extra
    size = len(out) - at
    count = len(entries) if count is None else count
    at = at if directory_at is None else directory_at
    size = size if directory_size is None else directory_size
    if end64 is not None:
        here = len(out)
        out += struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, size, at)
        out += struct.pack("<IIQI", 0x07064B50, 0, here + end64, 1)
        count, size, at = 0xFFFF, 2**32 - 1, 2**32 - 1
    return out + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, min(count, 0xFFFF), min(count, 0xFFFF), size, at, 0)


DATA = struct.pack("<24f", *range(24))


def torch_zip(value, data=DATA, more=(), **end):
    entries = [Entry("a/data.pkl", pickle(value)), Entry("a/data/0", data), Entry("a/version", b"3\n")]
    return archive(entries + list(more), **end)


def with_tensor(**kw):
    return torch_zip(dictionary([("w", tensor(**kw))]))


# --- valid ---

write("valid-zip", with_tensor())
write("valid-zip64-end", torch_zip(dictionary([("w", tensor())]), end64=0))
write("valid-unknown-class", torch_zip(dictionary([
    ("config", b"cyacs.config\nCfgNode\n)\x81(" + text("a") + integer(1) + b"u}" + text("frozen") + b"\x88sb"),
    ("loss", call("numpy.core.multiarray", "scalar", call("numpy", "dtype", text("f8")), text("x"))),
    ("state_dict", dictionary([("w", tensor())]))])))
write("valid-no-crc", archive([Entry("a/data.pkl", pickle(dictionary([("w", tensor())])), crc=0),
                               Entry("a/data/0", DATA, crc=0)]))

MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")


def legacy(value, keys=("0",), counts=(24,), data=DATA, version=1001):
    out = MAGIC + pickle(integer(version)) + pickle(dictionary([("little_endian", b"\x88")])) + pickle(value)
    out += pickle(b"](" + b"".join(map(text, keys)) + b"e")
    for count in counts:
        out += struct.pack("<q", count) + data
    return out


def old(key="0", count=24, view=b"N", kind="FloatStorage"):
    return storage(key, count, kind, view)


write("valid-legacy", legacy(dictionary([("w", tensor(where=old()))])))
write("valid-legacy-view", legacy(dictionary([
    ("w", tensor(size=(4,), stride=(1,), where=old(view=b"(" + text("9") + integer(8) + integer(6) + b"t")))])))

# --- pickles that ask for code ---

SYSTEM = b"cposix\nsystem\n" + text("echo owned > /tmp/owned") + b"\x85R"
write("code-posix-system", torch_zip(SYSTEM))
write("code-os-system-bare", pickle(SYSTEM.replace(b"posix", b"os")))
write("code-os-system-legacy", legacy(SYSTEM.replace(b"posix", b"os")))
write("code-os-path", torch_zip(call("os.path", "exists", text("/"))))
write("code-builtins-eval", torch_zip(call("builtins", "eval", text("1"))))
write("code-builtin-getattr", torch_zip(call("__builtin__", "getattr", text("a"), text("b"))))
write("code-subprocess", torch_zip(dictionary([("w", tensor()), ("x", call("subprocess", "Popen", text("id")))])))
write("code-sys-modules", torch_zip(b"csys\nmodules\n"))
write("code-importlib", torch_zip(call("importlib", "import_module", text("os"))))
write("code-in-tensor", torch_zip(dictionary([("w", call("nt", "system", text("id")))])))

# --- pickles beyond limits ---

write("pickle-deep", torch_zip(b"]" * 300 + b"a" * 299))
write("pickle-memo", torch_zip(b"}r\xff\xff\xff\xff"))
write("pickle-memo-unset", torch_zip(b"h\x07"))
write("pickle-opcode", torch_zip(b"\x95\x00\x00\x00\x00\x00\x00\x00\x00}"))
write("pickle-protocol-4", archive([Entry("a/data.pkl", b"\x80\x04}.")]))
write("pickle-inst", torch_zip(b"(iposix\nsystem\n"))
write("pickle-stack", torch_zip(b"\x85"))
write("pickle-mark", torch_zip(b"t"))
write("pickle-left-over", torch_zip(b"NN"))
write("pickle-not-utf8", torch_zip(text(b"\xff\xfe")))
write("pickle-text-length", archive([Entry("a/data.pkl", b"\x80\x02X\xff\xff\xff\x7fabc")]))
write("pickle-name-length", torch_zip(b"c" + b"m" * 400 + b"\nx\n"))
write("pickle-call-of-text", torch_zip(text("f") + b")R"))
laughs = b"](" + b"N" * 10 + b"eq\x00" + b"".join(
    b"](" + (b"h" + bytes([i])) * 10 + b"eq" + bytes([i + 1]) for i in range(100))
write("pickle-laughs", torch_zip(b"(" + laughs + b"t"))
write("pickle-cycle", torch_zip(b"}q\x00" + text("state_dict") + b"h\x00s"))
write("pickle-no-end", archive([Entry("a/data.pkl", b"\x80\x02}")]))

# --- zips that lie ---

GOOD = pickle(dictionary([("w", tensor())]))
PKL = Entry("a/data.pkl", GOOD)
packed = zlib.compressobj(9, zlib.DEFLATED, -15)
bomb = packed.compress(bytes(20 << 20)) + packed.flush()
write("zip-bomb", archive([PKL, Entry("a/data/0", bytes(20 << 20), stored=bomb, method=8)]))
write("zip-stored-but-packed", archive([PKL, Entry("a/data/0", DATA, size=1 << 30)]))
write("zip-huge", archive([PKL, Entry("a/data/0", DATA, size=3 << 30, packed=3 << 30)]))
write("zip-huge-64", archive([PKL, Entry("a/data/0", DATA, size=2**32 - 1, packed=2**32 - 1,
                                         extra=struct.pack("<HHQQ", 1, 16, 1 << 60, 1 << 60))]))
write("zip-64-cut", archive([PKL, Entry("a/data/0", DATA, size=2**32 - 1, packed=2**32 - 1,
                                        extra=struct.pack("<HHI", 1, 4, 7))]))
write("zip-overlap", archive([PKL, Entry("a/data/0", DATA), Entry("a/data/0", DATA, same_as=1)]))
inner = archive([Entry("a/data/1", DATA)])[:-76]
write("zip-inside", archive([PKL, Entry("a/data/0", inner), Entry("a/data/1", DATA, same_as=1, inside=30 + 8)]))
write("zip-two-names", archive([PKL, Entry("a/data/0", DATA), Entry("a/data/0", DATA)]))
write("zip-other-name", archive([PKL, Entry("a/data/0", DATA, local_name="b/data/0")]))
write("zip-encrypted", archive([PKL, Entry("a/data/0", DATA, flags=1)]))
write("zip-crc", archive([PKL, Entry("a/data/0", DATA, crc=123456)]))
write("zip-crc-pickle", archive([Entry("a/data.pkl", GOOD, crc=123456), Entry("a/data/0", DATA)]))
write("zip-count", torch_zip(dictionary([("w", tensor())]), count=60000))
write("zip-count-64", torch_zip(dictionary([("w", tensor())]), count=1 << 50, end64=0))
write("zip-directory-place", torch_zip(dictionary([("w", tensor())]), directory_at=1 << 30))
write("zip-directory-size", torch_zip(dictionary([("w", tensor())]), directory_size=60))
write("zip-end64-place", torch_zip(dictionary([("w", tensor())]), end64=1000))
write("zip-empty", archive([]))
write("zip-no-pickle", archive([Entry("arr_0.npy", DATA)]))
write("zip-no-end", with_tensor()[:-10])
write("zip-byteorder", torch_zip(dictionary([("w", tensor())]), more=[Entry("a/byteorder", b"middle")]))

# --- tensors that lie ---

write("tensor-storage-small", with_tensor(where=storage(count=25)))
write("tensor-storage-huge", with_tensor(where=storage(count=1 << 62)))
write("tensor-offset", with_tensor(offset=1))
write("tensor-offset-negative", with_tensor(offset=-1))
write("tensor-size-negative", with_tensor(size=(2, -3, 4)))
write("tensor-stride-negative", with_tensor(stride=(12, -4, 1)))
write("tensor-stride-far", with_tensor(stride=(12, 1 << 61, 1)))
write("tensor-stride-zero", with_tensor(size=(1 << 40,), stride=(0,)))
write("tensor-size-overflow", with_tensor(size=(1 << 62, 1 << 62), stride=(0, 0)))
write("tensor-dimensions", with_tensor(size=(1,) * 9, stride=(1,) * 9))
write("tensor-strides-missing", with_tensor(stride=(1,)))
write("tensor-no-entry", with_tensor(where=storage(key="../../etc/passwd")))
write("tensor-complex", with_tensor(where=storage(kind="ComplexFloatStorage", count=12)))
write("tensor-no-storage", with_tensor(where=b"N"))
write("tensor-reference", with_tensor(where=b"(" + text("module") + text("x") + b"tQ"))
write("tensor-size-text", torch_zip(dictionary([("w", tensor().replace(numbers((2, 3, 4)), text("big")))])))
write("tensor-twice", torch_zip(dictionary([("w", tensor()), ("w", tensor())])))
write("tensor-name-nul", torch_zip(dictionary([("w\0x", tensor())])))
wide = bytes(40000)
write("tensor-sharing", torch_zip(dictionary([(f"w{i}", tensor((10000,), (1,), where=storage(count=10000)))
                                              for i in range(60)]), data=wide))
write("tensors-none", torch_zip(dictionary([("epoch", integer(3))])))
write("tensors-list", torch_zip(b"](" + tensor() + b"e"))
write("tensors-which", torch_zip(dictionary([("a", dictionary([("w", tensor())])), ("b", dictionary([("w", tensor())]))])))

# --- the old container ---

write("legacy-count", legacy(dictionary([("w", tensor(where=old()))]), counts=(1 << 61,)))
write("legacy-count-negative", legacy(dictionary([("w", tensor(where=old()))]), counts=(-1,)))
write("legacy-short", legacy(dictionary([("w", tensor(where=old()))]))[:-8])
write("legacy-key-unknown", legacy(dictionary([("w", tensor(where=old()))]), keys=("5",)))
write("legacy-key-twice", legacy(dictionary([("w", tensor(where=old()))]), keys=("0", "0"), counts=(24, 24)))
write("legacy-key-missing", legacy(dictionary([("w", tensor(where=old()))]), keys=(), counts=()))
write("legacy-two-types", legacy(dictionary([("w", tensor(where=old())), ("v", tensor(where=old(kind="DoubleStorage")))])))
write("legacy-version", legacy(dictionary([("w", tensor(where=old()))]), version=1002))
write("legacy-view-far", legacy(dictionary([
    ("w", tensor(size=(4,), stride=(1,), where=old(view=b"(" + text("9") + integer(20) + integer(6) + b"t")))])))
write("legacy-only-magic", MAGIC)

# --- other files ---

write("pickle-bare", pickle(dictionary([("a", integer(1))])))
write("tar", b"pickle" + bytes(251) + b"ustar" + bytes(250))
