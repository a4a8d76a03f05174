"""Changes of files that get past the container: archives and checksums stay right.

A change of single bytes seldom gets further than a checksum. These take a file apart, change one
thing inside and put it together again, so that what lies behind is reached.
"""

import gzip
import hashlib
import io
import json
import pickletools
import re
import struct
import warnings
import zipfile
import zlib
from random import Random

NUMBERS = [
    *(0, -1, 1, 2, 3, 127, 128, 255, 256, 1000, 32767, 65535, 65536, 2**24, 2**31 - 1, -(2**31)),
    *(2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 10**30, 10**400),
]
FLOATS = [0.0, -0.0, 0.5, -1.5, 1e-45, 1e-300, 1e38, 3.5e38, 1e300, float("inf"), float("nan")]
TEXTS = [
    *("", "x", "auto", "nan", "None", "true", "\0", "é", "\ud800", "a" * 300, "../../etc/passwd"),
    *("os.system", "__import__", "__tuple__", "__array__", "__object__", "__float__", "exit()"),
]
NAMES = [
    "../up",
    "/absolute",
    "C:\\drive",
    "metadata.json",
    "data.pkl",
    "x/data.pkl",
    "",
    "a/" * 99,
]


def edited(data: bytes, random: Random) -> bytes:
    """Change a few bytes: flips, numbers, cuts, insertions, copies."""
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 1, 2, 4, 8])):
        at = random.randrange(len(changed) + 1)
        match random.randrange(7):
            case 0 if at < len(changed):
                changed[at] ^= 1 << random.randrange(8)
            case 1 if at < len(changed):
                changed[at] = random.choice([0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)])
            case 2:
                form = random.choice(["<H", ">H", "<I", ">I", "<Q", ">Q"])
                mask = 2 ** (8 * struct.calcsize(form)) - 1
                word = struct.pack(form, random.choice(NUMBERS) & mask)
                changed[at : at + len(word)] = word
            case 3:
                del changed[at : at + random.choice([1, 2, 4, 8, 64])]
            case 4:
                changed[at:at] = random.randbytes(random.choice([1, 2, 4, 8]))
            case 5:
                start = random.randrange(len(changed) + 1)
                changed[at:at] = changed[start : start + random.choice([1, 4, 16, 256])]
            case 6 if random.random() < 0.3:
                del changed[at:]
    return bytes(changed)


def number(value: float, random: Random) -> float:
    """Return another number, one that lies near or one that hurts."""
    if isinstance(value, float) and random.random() < 0.5:
        return random.choice([*FLOATS, -value, value * 2, value + 1])
    near = [value + 1, value - 1, -value, value * 2] if abs(value) < 1e300 else []
    return random.choice([*near, *NUMBERS])


def plain(value, random: Random, depth: int = 0):
    """Change one place of a value of lists, dictionaries, numbers and texts."""
    if isinstance(value, dict | list) and value and (random.random() < 0.85 or depth == 0):
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key, changed = random.choice(keys), value.copy()
        match random.randrange(8):
            case 0:
                del changed[key]
            case 1 if isinstance(value, list):
                changed[key:key] = [value[key]] * random.choice([1, 2, 50])
            case 1:
                changed[random.choice(TEXTS)] = value[key]
            case 2:
                changed[key] = value[random.choice(keys)]
            case _:
                changed[key] = plain(value[key], random, depth + 1)
        return changed
    kind = random.randrange(12)
    if isinstance(value, bool) or kind == 0:
        return random.choice([None, True, False, 0, "text", [], {}])
    if isinstance(value, int | float) and kind < 11:
        return number(value, random)
    if isinstance(value, str) and kind < 6:
        return random.choice([*TEXTS, value + "x", value[:-1], value * 3])
    deep = 1
    for _ in range(random.choice([2, 30, 900])):
        deep = random.choice([[deep], {"a": deep}])
    return random.choice([deep, [value, value], {"__tuple__": [value]}, number(1, random), [], {}])


def _json(data: bytes, random: Random) -> bytes:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return edited(data, random)
    for _ in range(random.choice([1, 1, 2])):
        value = plain(value, random)
    try:
        text = json.dumps(value)
    except (ValueError, RecursionError):
        return edited(data, random)
    return text.encode("utf-8", "replace")


def structured_json(data: bytes, random: Random) -> bytes:
    """Change a JSON document: a value, or some bytes."""
    return _json(data, random) if random.random() < 0.8 else edited(data, random)


def text(data: bytes, random: Random) -> bytes:
    """Change a text: a number in it, a line, a cell, or some bytes."""
    lines = data.split(b"\n")
    for _ in range(random.choice([1, 1, 2, 4])):
        at = random.randrange(len(lines)) if lines else 0
        match random.randrange(8) if lines else 7:
            case 0:
                del lines[at]
            case 1:
                lines[at:at] = [lines[at]] * random.choice([1, 2, 100])
            case 2:
                other = random.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case 3 | 4 | 5:
                found = list(re.finditer(rb"-?\d+(\.\d+)?(e-?\d+)?", lines[at]))
                if found:
                    start, end = random.choice(found).span()
                    changed = number(float(lines[at][start:end]), random)
                    lines[at] = lines[at][:start] + repr(changed).encode() + lines[at][end:]
            case 6:
                hostile = random.choice([b'"', b",", b"\0", b"\xff", b"=", b" ", b",,,,,,", b"\r"])
                place = random.randrange(len(lines[at]) + 1)
                lines[at] = lines[at][:place] + hostile + lines[at][place:]
            case _:
                return edited(b"\n".join(lines), random)
    return b"\n".join(lines)


def safetensors(data: bytes, random: Random) -> bytes:
    """Change the header of arrays, or numbers in one of them."""
    try:
        (length,) = struct.unpack("<Q", data[:8])
        header, body = json.loads(data[8 : 8 + length]), bytearray(data[8 + length :])
        entries = [e for k, e in header.items() if k != "__metadata__"]
        entry = random.choice(entries)
        start, end = entry["data_offsets"]
    except (ValueError, LookupError, struct.error, AttributeError, TypeError, RecursionError):
        return edited(data, random)
    if random.random() < 0.3:
        header = plain(header, random)
    else:
        forms = {"F64": "<d", "F32": "<f", "I64": "<q", "I32": "<i", "U8": "<B", "BOOL": "<B"}
        form = forms.get(entry.get("dtype"), "<B")
        size = struct.calcsize(form)
        for _ in range(random.choice([1, 1, 2, 5])):
            if end - start >= size:
                at = start + size * random.randrange((end - start) // size)
                try:
                    (old,) = struct.unpack_from(form, body, at)
                    struct.pack_into(form, body, at, number(old, random))
                except (struct.error, OverflowError):
                    body[at : at + size] = random.randbytes(size)
    try:
        packed = json.dumps(header).encode("utf-8", "replace")
    except (ValueError, RecursionError):
        return edited(data, random)
    return struct.pack("<Q", len(packed)) + packed + bytes(body)


def npy(data: bytes, random: Random) -> bytes:
    """Change the header of an NPY file (its length stays right), or its bytes."""
    if data[:6] != b"\x93NUMPY" or len(data) < 10 or random.random() < 0.3:
        return edited(data, random)
    length = struct.unpack("<H", data[8:10])[0]
    header, body = data[10 : 10 + length].decode("latin1"), data[10 + length :]
    match random.randrange(6):
        case 0:
            sizes = [random.choice(NUMBERS) for _ in range(random.randrange(5))]
            header = re.sub(r"\([^)]*\)", str(tuple(sizes)), header)
        case 1:
            kinds = [
                "|O",
                "<U9",
                "|S0",
                "<U0",
                "|V0",
                "<f2",
                "<f16",
                "<c16",
                ">i8",
                "<M8[s]",
                "|b1",
            ]
            kinds += [
                "<U1000000000",
                "|S2147483647",
                "('<f8',(9,9))",
                "[('a','<f8')]",
                "|O8",
                "f8f8",
            ]
            header = re.sub(r"'descr': '[^']*'", f"'descr': '{random.choice(kinds)}'", header)
        case 2:
            header = header.replace("False", "True")
        case 3:
            header = random.choice(["(", "-", "[", "{1:", "not "]) * random.choice([90, 4000, 9000])
        case 4:
            header = header.replace("'shape'", "'descr'")
        case _:
            header = edited(header.encode("latin1"), random).decode("latin1")
    raw = header.encode("latin1")[:65535]
    return data[:8] + struct.pack("<H", len(raw)) + raw + body


def pickled(data: bytes, random: Random) -> bytes:
    """Change the program of a pickle: a number, an instruction, or one that has no place there."""
    try:
        places = [at for _, _, at in pickletools.genops(data) if at is not None]
    except Exception:
        return edited(data, random)
    ends = [*places[1:], len(data)]
    pieces = [data[a:b] for a, b in zip(places, ends, strict=True)]
    snippets = [
        b"cos\nsystem\nX\x08\x00\x00\x00echo 666\x85R",
        b"cbuiltins\nexec\nX\x01\x00\x00\x001\x85R",
        b"cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        *(b")" + b"\x85" * 40, b"}", b"]", b")", b"(", b"N", b"\x88", b"q\x00", b"h\x00", b"h\x01"),
        *(b"l", b"t", b"R", b"b", b"s", b"u", b"a", b"e", b"Q", b"0", b"2", b"\x81", b"."),
        b"]q\x00" + b"]h\x00ah\x00aq\x00" * 40,
        b")q\x00" + b"h\x00h\x00\x86q\x00" * 12,
    ]
    for _ in range(random.choice([1, 1, 2, 3])):
        at = random.randrange(len(pieces))
        match random.randrange(6):
            case 0:
                del pieces[at]
            case 1:
                pieces.insert(at, pieces[random.randrange(len(pieces))])
            case 2:
                pieces[at] = pieces[random.randrange(len(pieces))]
            case 3:
                pieces.insert(at, random.choice(snippets))
            case 4:
                found = [i for i, piece in enumerate(pieces) if piece[:1] in b"KMJ"]
                if found:
                    value = random.choice(NUMBERS) & 0xFFFFFFFF
                    pieces[random.choice(found)] = b"J" + struct.pack("<I", value)
            case 5:
                pieces[at] = edited(pieces[at], random)
        if not pieces:
            break
    return b"".join(pieces)


def archive(data: bytes, random: Random, inside) -> bytes:
    """Change a member of a zip archive, or the archive; the sums of the members are right.

    `inside` is called with the members by name, and changes one.
    """
    if random.random() < 0.15:
        return edited(data, random)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            members = [(info.filename, packed.read(info)) for info in packed.infolist()]
    except Exception:
        return edited(data, random)
    if not members:
        return edited(data, random)
    method = zipfile.ZIP_STORED
    if random.random() < 0.85:
        changed = inside(dict(members), random)
        members = [(name, changed[name]) for name, _ in members if name in changed]
    else:
        at = random.randrange(len(members))
        name, content = members[at]
        match random.randrange(6):
            case 0:
                members.append(members[at])
            case 1:
                members[at] = (random.choice(NAMES) or name, content)
            case 2:
                members.append((random.choice(NAMES) or "x", content))
            case 3:
                del members[at]
            case 4:
                method = random.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
            case 5:
                members[at] = (name, content + bytes(random.choice([1, 100, 2_000_000])))
                method = zipfile.ZIP_DEFLATED
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", method) as packed:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in members:
            packed.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, method)
    return edited(out.getvalue(), random) if random.random() < 0.05 else out.getvalue()


def sealed_bundle(metadata: dict, arrays: bytes) -> dict[str, bytes]:
    """Return the members of a bundle whose checksums are right."""
    content = metadata.get("content")
    if isinstance(content, dict):
        content["arrays_sha256"] = hashlib.sha256(arrays).hexdigest()
        packed = json.dumps(content, separators=(",", ":")).encode()
        metadata = metadata | {"sha256": hashlib.sha256(packed).hexdigest()}
    packed = json.dumps(metadata, separators=(",", ":")).encode()
    return {"metadata.json": packed, "arrays.safetensors": arrays}


def bundle_members(members: dict[str, bytes], random: Random) -> dict[str, bytes]:
    """Change the metadata or the arrays of a bundle and renew its checksums."""
    try:
        metadata = json.loads(members["metadata.json"])
        arrays = members["arrays.safetensors"]
        if random.random() < 0.5:
            arrays = safetensors(arrays, random)
        else:
            where = random.choice(["params", "fitted", "fitted", "content", "all"])
            content = metadata["content"]
            if where == "all":
                metadata = plain(metadata, random)
            elif where == "content":
                metadata["content"] = plain(content, random)
            else:
                content[where] = plain(content[where], random)
        return members | sealed_bundle(metadata, arrays)
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        name = random.choice(list(members))
        return members | {name: edited(members[name], random)}


def bundle(data: bytes, random: Random) -> bytes:
    """Change a bundle behind its checksums."""
    return archive(data, random, bundle_members)


def torch_members(members: dict[str, bytes], random: Random) -> dict[str, bytes]:
    """Change the pickle, or another member, of what torch has written."""
    pickles = [name for name in members if name.endswith(".pkl")]
    if pickles and random.random() < 0.8:
        name = random.choice(pickles)
        return members | {name: pickled(members[name], random)}
    name = random.choice(list(members))
    change = text if name.endswith((".py", ".json", "version")) else edited
    return members | {name: change(members[name], random)}


def torch_file(data: bytes, random: Random) -> bytes:
    """Change a file of torch behind its checksums."""
    return archive(data, random, torch_members)


def npz_members(members: dict[str, bytes], random: Random) -> dict[str, bytes]:
    """Change one of the arrays of an NPZ file."""
    name = random.choice(list(members))
    return members | {name: npy(members[name], random)}


def npz(data: bytes, random: Random) -> bytes:
    """Change an NPZ file behind its checksums."""
    return archive(data, random, npz_members)


def protobuf(data: bytes, random: Random, depth: int = 0) -> bytes:
    """Change one field of a message, at any depth; the lengths around it stay right."""
    fields, at = [], 0
    try:
        while at < len(data):
            key, at = _varint(data, at)
            start = at
            match key & 7:
                case 0:
                    _, at = _varint(data, at)
                case 1:
                    at += 8
                case 2:
                    length, start = _varint(data, at)
                    at = start + length
                case 5:
                    at += 4
                case _:
                    raise ValueError("no such kind of field")
            if at > len(data):
                raise ValueError("cut short")
            fields.append([key, data[start:at]])
    except (ValueError, IndexError):
        return edited(data, random)
    if not fields:
        return edited(data, random)
    for _ in range(random.choice([1, 1, 1, 2])):
        index = random.randrange(len(fields))
        key, body = fields[index]
        match random.randrange(10):
            case 0:
                del fields[index]
            case 1:
                fields.insert(index, fields[random.randrange(len(fields))])
            case 2:
                fields[index] = [key, fields[random.randrange(len(fields))][1]]
            case _ if key & 7 == 0:
                fields[index] = [key, _packed(random.choice(NUMBERS) & (2**64 - 1))]
            case _ if key & 7 == 2 and depth < 8:
                fields[index] = [key, protobuf(body, random, depth + 1)]
            case _:
                fields[index] = [key, edited(body, random)]
        if not fields:
            break
    out = b""
    for key, body in fields:
        out += _packed(key) + (_packed(len(body)) if key & 7 == 2 else b"") + body
    return out


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("no number")


def _packed(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def ubjson(data: bytes, random: Random) -> bytes:
    """Change one number, text or array of XGBoost's UBJSON; lengths around it stay right."""
    if random.random() < 0.1:
        return edited(data, random)
    places = list(re.finditer(rb"\[\$(.)#L(.{8})", data, re.DOTALL))
    texts = list(re.finditer(rb"SL(.{8})", data, re.DOTALL))
    changed = bytearray(data)
    forms = {b"l": ">i", b"L": ">q", b"d": ">f", b"U": ">B", b"D": ">d", b"I": ">h", b"i": ">b"}
    for _ in range(random.choice([1, 1, 2, 3])):
        if texts and random.random() < 0.2:
            found = random.choice(texts)
            (length,) = struct.unpack(">q", found[1])
            if 0 < length < 100:
                digits = random.choice(b"0123456789-[]ex,")
                changed[found.end() + random.randrange(length)] = digits
            continue
        if not places or random.random() < 0.15:
            # a small number outside of arrays, an id or a class
            ids = list(re.finditer(rb"[iUIl]\x00", data))
            if ids:
                changed[random.choice(ids).start() + 1] = random.choice([1, 2, 3, 127, 255])
            continue
        found = random.choice(places)
        (length,) = struct.unpack(">q", found[2])
        form = forms.get(found[1], ">B")
        size = struct.calcsize(form)
        if not 0 < length < len(data):
            continue
        at = found.end() + size * random.randrange(length)
        try:
            (old,) = struct.unpack_from(form, changed, at)
            struct.pack_into(form, changed, at, number(old, random))
        except (struct.error, OverflowError):
            changed[at : at + size] = random.randbytes(size)
    if random.random() < 0.1 and places:
        # an array that is shorter or longer by one, in step with its length
        found = random.choice(places)
        (length,) = struct.unpack(">q", found[2])
        size = struct.calcsize(forms.get(found[1], ">B"))
        if 0 < length < len(data):
            end = found.end() + size * length
            more = random.choice([1, -1])
            changed[found.start(2) : found.end(2)] = struct.pack(">q", length + more)
            changed[end if more > 0 else end - size : end] = bytes(size) if more > 0 else b""
    return bytes(changed)


def gzipped(data: bytes, random: Random) -> bytes:
    """Change what is packed with gzip, or the packed bytes."""
    try:
        inner = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return edited(data, random)
    if random.random() < 0.3:
        return edited(data, random)
    if random.random() < 0.05:
        inner += bytes(random.choice([10_000, 80 * 2**20]))
    return gzip.compress(edited(inner, random), 1)
