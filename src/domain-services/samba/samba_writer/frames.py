"""The protocol between phsync (samba-writer.ts, frames.ts) and this process, on standard input and output.

A frame is 4 bytes (big-endian) with the length of a JSON document, at most MAX_DOCUMENT, and the document. Behind a request
of `apply` the secrets that its changes announce follow, one after another. One request at a time, an answer to each; the end
of standard input ends the process, after the request in hand. Secrets are on no command line, in no environment and in no
answer.

  {"op": "open", "ou": NAME}
    opens the database of the domain controller. NAME is the organizational unit below the domain's head.
    -> {"dnsDomain", "netbiosDomain", "dn", "sid", "invocationId", "dc", "users": [id, ...]}: the domain, and whom this program
       made
  {"op": "apply", "dryRun": BOOL, "changes": [CHANGE, ...]}
    applies the changes in their order, in one transaction, or in several where one of them fails. An empty list finds out
    whether the database works.
    -> {"answers": [OUTCOME, ...]}, one for each change, in their order; what they say is on the disk, but for dryRun
  CHANGE
    {"id": GUID, "deleted": true}, or
    {"id": GUID, "samAccountNames": [...], "commonNames": [...], "userPrincipalName", "displayName", "givenName", "sn", "mail",
     "enabled": BOOL, "neverExpires": BOOL, "sid", and with secrets "keys": LENGTH, "pwdLastSet": "FILETIME"}
    Its secrets: 16 bytes of NT hash, LENGTH bytes of USER_PROPERTIES (MS-SAMR 2.2.10; 0: none came), at most MAX_KEYS.
  OUTCOME
    {"error": {"code", "message"}}: not applied, or
    {"result": created|updated|unchanged|deleted|absent, "samAccountName", "changed": [...],
     "password": written|unchanged|older, "passwordError": {"code", "message"}, "notes": [...], "displaced": [id, ...]},
    each member where it says something. writer.ts says what they mean.
  {"error": {"code", "message"}} in place of an answer: the database as a whole cannot be opened or written.

phsync checks the limits before it sends; a request that exceeds them ends the process.
"""
import json
import struct

MAX_DOCUMENT = 32 * 1024 * 1024
MAX_KEYS = 64 * 1024
NT_HASH = 16


def read_exactly(stream, length):
    data = bytearray(length)
    view, at = memoryview(data), 0
    while at < length:
        got = stream.readinto(view[at:])
        if not got:
            return None
        at += got
    return data


def read_request(stream):
    head = read_exactly(stream, 4)
    if head is None:
        return None
    (length,) = struct.unpack(">I", head)
    if length > MAX_DOCUMENT:
        raise SystemExit(f"samba_writer: a document of {length} bytes")
    document = read_exactly(stream, length)
    return None if document is None else json.loads(bytes(document))


def read_secrets(stream, changes):
    """Of each change (NT hash, USER_PROPERTIES or None), or None where it announces nothing. All are read before one is
    looked at; None: the other side has ended."""
    lengths = [change.get("keys") for change in changes]
    if not all(length is None or 0 <= length <= MAX_KEYS for length in lengths):
        raise SystemExit("samba_writer: keys of more bytes than there may be")
    data = read_exactly(stream, sum(NT_HASH + length for length in lengths if length is not None))
    if data is None:
        return None
    secrets, at = [], 0
    for length in lengths:
        if length is None:
            secrets.append(None)
            continue
        middle, end = at + NT_HASH, at + NT_HASH + length
        secrets.append((bytes(data[at:middle]), bytes(data[middle:end]) or None))
        at = end
    return secrets


def write_answer(stream, answer):
    data = json.dumps(answer).encode()
    stream.write(struct.pack(">I", len(data)) + data)
    stream.flush()


