#!/usr/bin/python3
"""Gives the database of a DC that does not run a new invocation id, as a restore from a backup does.

  new_invocation_id.py DIR       prints the new id
"""
import sys, uuid
import ldb
from samba import param
from samba.auth import system_session
from samba.dcerpc import misc
from samba.ndr import ndr_pack
from samba.samdb import SamDB

lp = param.LoadParm()
lp.load(f"{sys.argv[1]}/smb.conf")
sam = SamDB(url=f"{sys.argv[1]}/private/sam.ldb", session_info=system_session(), lp=lp)
new = misc.GUID(str(uuid.uuid4()))
change = ldb.Message(ldb.Dn(sam, sam.get_dsServiceName()))
change["invocationId"] = ldb.MessageElement(ndr_pack(new), ldb.FLAG_MOD_REPLACE, "invocationId")
# The attribute is the system's own: LDB_CONTROL_RELAX.
sam.modify(change, controls=["local_oid:1.3.6.1.4.1.4203.666.5.12:0"])
print(new)
