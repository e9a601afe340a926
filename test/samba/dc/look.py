#!/usr/bin/python3
"""Tells what stands in a DC's own database, for as long as standard input lasts: one JSON document a line, and an answer to each.

  look.py
    {"dc": DIR, "secrets": [NAME, ...]}                 ->  NT hash, supplementalCredentials (hex), pwdLastSet, keyVersion of each
    {"dc": DIR, "find": FILTER, "attributes": [...]}    ->  the entries, values as LDIF has them
"""
import json, sys
import ldb
from samba import param
from samba.auth import system_session
from samba.samdb import SamDB


def open_database(directory):
    lp = param.LoadParm()
    lp.load(f"{directory}/smb.conf")
    return SamDB(url=f"{directory}/private/sam.ldb", session_info=system_session(), lp=lp)


def secrets_of(sam, name):
    attributes = ["unicodePwd", "supplementalCredentials", "pwdLastSet", "sAMAccountName", "msDS-KeyVersionNumber"]
    [entry] = sam.search(sam.domain_dn(), ldb.SCOPE_SUBTREE, f"(sAMAccountName={ldb.binary_encode(name)})", attrs=attributes)

    def hex_of(attribute):
        return entry[attribute][0].hex() if attribute in entry else None

    return {
        "name": str(entry["sAMAccountName"]),
        "ntHash": hex_of("unicodePwd"),
        "supplementalCredentials": hex_of("supplementalCredentials"),
        "pwdLastSet": str(entry["pwdLastSet"]),
        "keyVersion": int(str(entry["msDS-KeyVersionNumber"])) if "msDS-KeyVersionNumber" in entry else 0,
    }


def found(sam, entry):
    values = {name: [sam.schema_format_value(name, each).decode() for each in entry[name]] for name in entry if name != "dn"}
    return {"dn": [str(entry.dn)], **values}


# Domains share one schema in a process: a process for each.
for line in sys.stdin:
    request = json.loads(line)
    sam = open_database(request["dc"])
    if "secrets" in request:
        answer = [secrets_of(sam, name) for name in request["secrets"]]
    else:
        entries = sam.search(sam.domain_dn(), ldb.SCOPE_SUBTREE, request["find"], attrs=request["attributes"])
        answer = [found(sam, entry) for entry in entries]
    print(json.dumps(answer), flush=True)
