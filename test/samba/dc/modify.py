#!/usr/bin/python3
"""Applies LDIF changes from standard input to a DC that start runs, over LDAP as its administrator.

The way an administrator's tool goes: NTLM with sealing on port 389, or where the DC takes no NTLM a simple bind over
TLS; with the DC's own checks and time stamps.
  modify.py DIR < changes.ldif        (a password: unicodePwd:: base64 of the UTF-16LE text in double quotes)
"""
import json, sys
import ldb
from samba import credentials, gensec, param
from samba.samdb import SamDB

facts = json.load(open(f"{sys.argv[1]}/facts.json"))
lp = param.LoadParm()
lp.load(facts["smbConf"])
creds = credentials.Credentials()
creds.guess(lp)
creds.set_username(facts["adminUser"])
creds.set_password(facts["adminPassword"])
creds.set_domain(facts["netbiosDomain"])
creds.set_kerberos_state(credentials.DONT_USE_KERBEROS)
creds.set_gensec_features(creds.get_gensec_features() | gensec.FEATURE_SEAL)  # unicodePwd asks for it
scheme = "ldap"
if lp.get("ntlm auth") == "disabled":
    scheme = "ldaps"
    creds.set_bind_dn(f"{facts['adminUser']}@{facts['dnsDomain']}")
    lp.set("tls verify peer", "no_check")  # an address is in no certificate
sam = SamDB(url=f"{scheme}://{facts['host']}", credentials=creds, lp=lp)
for changetype, message in sam.parse_ldif(sys.stdin.buffer.read().decode()):
    if changetype == ldb.CHANGETYPE_ADD:
        sam.add(message)
    elif changetype == ldb.CHANGETYPE_DELETE:
        sam.delete(message.dn, ["tree_delete:1"])
    elif "newrdn" in message:  # changetype modrdn
        parent = message["newsuperior"] if "newsuperior" in message else message.dn.parent()
        sam.rename(message.dn, f"{message['newrdn']},{parent}")
    elif "isDeleted" in message:
        # A deleted object is given back its place: isDeleted goes, distinguishedName comes.
        message.dn = sam.search(message.dn, ldb.SCOPE_BASE, attrs=["cn"], controls=["show_deleted:1"])[0].dn
        sam.modify(message, ["show_deleted:1"])
    else:
        sam.modify(message)
