"""The domain controller's own database, as far as one has to know it: which it is, whom of its users this program made, and
what is found in it."""
import os
import uuid

import ldb
from samba import param
from samba.auth import system_session
from samba.dcerpc import misc, security
from samba.ndr import ndr_pack
from samba.samdb import SamDB

from refusal import Refused

# The object's id in the tenant, as synchronization tools keep their anchor.
ANCHOR = "mS-DS-ConsistencyGuid"
# Says who made the object; synchronization tools leave objects out whose adminDescription begins so, and a managed
# domain's users must not be synchronized back.
MARK = "adminDescription"
MARK_PREFIX = "User_"
OURS = f"(&(objectClass=user)({ANCHOR}=*)({MARK}={MARK_PREFIX}*))"
# "User cannot change password": User-Change-Password (MS-ADTS 5.1.3.2.1) denied to Everyone and to the user. What is changed
# here would be known to nobody else, and in the way of what comes from the tenant.
CANNOT_CHANGE_PASSWORD = "".join(f"(OD;;CR;ab721a53-1e2f-11d0-9819-00aa0040529b;;{who})" for who in ("WD", "PS"))
DEFAULT_DESCRIPTOR = "defaultSecurityDescriptor"
CONTROL = "userAccountControl"
TEXTS = ("userPrincipalName", "displayName", "givenName", "sn", "mail")


def value(entry, name):
    element = entry.get(name)
    return None if element is None or len(element) == 0 else bytes(element[0])


class Domain:
    def __init__(self, smb_conf, ou):
        loaded = param.LoadParm()
        try:
            loaded.load(smb_conf)
        except RuntimeError:
            raise Refused("not-a-dc", f"{smb_conf} cannot be read") from None
        if loaded.server_role() != "ROLE_ACTIVE_DIRECTORY_DC":
            raise Refused("not-a-dc", f"{smb_conf} is of no domain controller: its server role is {loaded.server_role()}")
        self.check_rights(loaded)
        # batch_mode: no copy of the touched indexes for every single change; one that fails spoils its whole transaction,
        # which is cancelled anyway.
        self.sam = SamDB(session_info=system_session(), lp=loaded, options=["batch_mode:1"])
        if self.sam.am_rodc():
            raise Refused("read-only", "this is a read-only domain controller")
        self.files = self.file_identities(loaded)
        self.loaded = loaded
        self.head = self.sam.domain_dn()
        self.sid = self.sam.get_domain_sid()
        self.own_sid = security.dom_sid(self.sid)
        self.ou = ldb.Dn(self.sam, self.head)
        self.ou.add_child(ldb.Dn(self.sam, "OU=x"))
        self.ou.set_component(0, "OU", ou.encode())
        # The object's id in the tenant -> objectGUID here.
        self.known = {}
        for entry in self.sam.search(self.head, ldb.SCOPE_SUBTREE, OURS, attrs=[ANCHOR, MARK, "objectGUID"]):
            identity = self.identity(entry)
            if identity is not None:
                self.known[identity] = str(misc.GUID(value(entry, "objectGUID")))

    @staticmethod
    def check_rights(loaded):
        """Samba itself prints a line a file, and fails with none of them."""
        main = loaded.private_path("sam.ldb")
        try:
            os.stat(main)
            allowed = os.access(main, os.R_OK | os.W_OK)
        except PermissionError:
            allowed = False
        except OSError:
            # Not there: Samba says so.
            return
        if not allowed:
            raise Refused("not-root", f"{main} may not be opened by this user: run as root")

    @staticmethod
    def file_identities(loaded):
        """Which files the database consists of."""
        main = loaded.private_path("sam.ldb")
        parts = main + ".d"
        paths = [main] + [os.path.join(parts, name) for name in sorted(os.listdir(parts)) if name.endswith(".ldb")]
        return [(path, status.st_dev, status.st_ino) for path in paths for status in [os.stat(path)]]

    def check_files(self):
        """A database that was put back from a backup is another file; what is written to the one that is open is lost."""
        try:
            now = self.file_identities(self.loaded)
        except OSError as error:
            raise Refused("database-gone", f"the database of the domain controller is not there: {error.strerror}") from None
        if now != self.files:
            raise Refused("database-replaced", "the database of the domain controller was replaced by another one")

    def check(self):
        """Raises where the database as a whole does not work, by which one bad change is told from a bad day."""
        self.check_files()
        self.sam.search(self.head, ldb.SCOPE_BASE, attrs=["objectGUID"])

    @staticmethod
    def identity(entry):
        """The id of an object that we made, or None: both attributes must say the same."""
        anchor, mark = value(entry, ANCHOR), value(entry, MARK)
        if anchor is None or mark is None or len(anchor) != 16:
            return None
        identity = str(uuid.UUID(bytes_le=anchor))
        return identity if mark.decode("utf-8", "replace").lower() == (MARK_PREFIX + identity).lower() else None

    def learn(self, guids):
        """What a transaction has made (objectGUID) and deleted (None), once it is on the disk."""
        for identity, guid in guids.items():
            if guid is None:
                self.known.pop(identity, None)
            else:
                self.known[identity] = guid

    def facts(self):
        return {
            "dnsDomain": self.sam.domain_dns_name(),
            "netbiosDomain": self.sam.domain_netbios_name(),
            "dn": str(self.head),
            "sid": str(self.sid),
            "invocationId": str(misc.GUID(self.sam.get_invocation_id())),
            "dc": self.sam.host_dns_name(),
            "users": sorted(self.known),
        }

    def new_descriptor(self):
        """The security descriptor that a new user is to have, packed: the schema's, and nobody changes the password."""
        of_class = "(&(objectClass=classSchema)(lDAPDisplayName=user))"
        [entry] = self.sam.search(self.sam.get_schema_basedn(), ldb.SCOPE_ONELEVEL, of_class, attrs=[DEFAULT_DESCRIPTOR])
        descriptor = security.descriptor.from_sddl(str(entry[DEFAULT_DESCRIPTOR][0]), self.own_sid)
        for ace in reversed(security.descriptor.from_sddl("D:" + CANNOT_CHANGE_PASSWORD, self.own_sid).dacl.aces):
            descriptor.dacl_add(ace, 0)
        return ndr_pack(descriptor)

    def make_ou(self):
        try:
            self.sam.search(self.ou, ldb.SCOPE_BASE, attrs=["ou"])
        except ldb.LdbError as error:
            if error.args[0] != ldb.ERR_NO_SUCH_OBJECT:
                raise
            self.sam.add({"dn": self.ou, "objectClass": "organizationalUnit",
                          "description": "Users of the tenant, kept by phsync domain-services: changes here are undone"})

    def at(self, guid):
        """The entry with this objectGUID, or None."""
        attrs = [*TEXTS, "sAMAccountName", "userAccountControl", "sIDHistory", "cn", ANCHOR, MARK, "objectGUID",
                 "unicodePwd", "supplementalCredentials", "pwdLastSet"]
        try:
            found = self.sam.search(f"<GUID={guid}>", ldb.SCOPE_BASE, attrs=attrs)
        except ldb.LdbError as error:
            if error.args[0] != ldb.ERR_NO_SUCH_OBJECT:
                raise
            return None
        return found[0] if len(found) == 1 else None

    def first(self, expression):
        """Somebody to whom the filter applies, in the whole domain, or None."""
        attrs = [ANCHOR, MARK, "objectGUID", "sAMAccountName"]
        found = self.sam.search(self.head, ldb.SCOPE_SUBTREE, expression, attrs=attrs)
        return found[0] if len(found) else None

    def dn_of(self, parent, name):
        dn = ldb.Dn(self.sam, str(parent))
        dn.add_child(ldb.Dn(self.sam, "CN=x"))
        dn.set_component(0, "CN", name.encode())
        return dn
