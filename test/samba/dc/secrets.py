#!/usr/bin/python3
"""Tells what a DC's own database keeps of passwords: NT hash and supplementalCredentials in hex, pwdLastSet.

  secrets.py DIR NAME …      a JSON document a line; NAME: sAMAccountName
"""
import json, sys
import ldb
from samba import param
from samba.auth import system_session
from samba.samdb import SamDB

lp = param.LoadParm()
lp.load(f"{sys.argv[1]}/smb.conf")
sam = SamDB(url=f"{sys.argv[1]}/private/sam.ldb", session_info=system_session(), lp=lp)
ATTRIBUTES = ["unicodePwd", "supplementalCredentials", "pwdLastSet", "sAMAccountName", "msDS-KeyVersionNumber"]
for name in sys.argv[2:]:
    [entry] = sam.search(sam.domain_dn(), ldb.SCOPE_SUBTREE, f"(sAMAccountName={ldb.binary_encode(name)})", attrs=ATTRIBUTES)

    def hex_of(attribute):
        return entry[attribute][0].hex() if attribute in entry else None

    print(json.dumps({
        "name": str(entry["sAMAccountName"]),
        "ntHash": hex_of("unicodePwd"),
        "supplementalCredentials": hex_of("supplementalCredentials"),
        "pwdLastSet": str(entry["pwdLastSet"]),
        "keyVersion": int(str(entry["msDS-KeyVersionNumber"])),
    }))
