"""Writes users, NT hashes and Kerberos keys into the database of the Samba DC that it runs on, with Samba's own modules.

A helper of phsync's domain-services; nobody else needs to start it. Its one argument is smb.conf's path. It reads requests
from standard input and answers on standard output: a frame is 4 bytes (big-endian) with the length of a JSON document, the
document, and then, in requests alone, the secrets that the document announces, one after another. Secrets are on no command
line, in no environment and in no answer; what an exception has to say of bytes that were handed in is left out.

  {"op": "open", "ou": NAME}                      the domain, and who of its users is ours
  {"op": "apply", "changes": [...], "dryRun": B}  one transaction, or several where a change fails
"""
import hashlib
import hmac
import json
import os
import resource
import struct
import sys
import uuid

import ldb
from samba import dsdb, param
from samba.auth import system_session
from samba.dcerpc import drsblobs, misc, security
from samba.ndr import ndr_pack, ndr_unpack
from samba.samdb import SamDB

MAX_DOCUMENT = 32 * 1024 * 1024
MAX_KEYS = 64 * 1024
NT_HASH = 16

# unicodePwd and supplementalCredentials are stored as they come, after checks of their shape.
BYPASS = f"local_oid:{dsdb.DSDB_CONTROL_BYPASS_PASSWORD_HASH_OID}:1"
# MS-ADTS 2.2.16, userAccountControl
ACCOUNTDISABLE, NORMAL_ACCOUNT, SERVER_TRUST_ACCOUNT, DONT_EXPIRE_PASSWORD = 0x2, 0x200, 0x2000, 0x10000
CONTROL = "userAccountControl"
# MS-ADTS 3.1.1.3.4.4: LDAP_MATCHING_RULE_BIT_AND
ALL_BITS = "1.2.840.113556.1.4.803"
# RFC 3961, 3962
DES_CBC_CRC, DES_CBC_MD5, AES128, AES256 = 1, 3, 17, 18
KEY_LENGTHS = {DES_CBC_CRC: 8, DES_CBC_MD5: 8, AES128: 16, AES256: 32}
NEWER_KEYS, KERBEROS, PACKAGES = "Primary:Kerberos-Newer-Keys", "Primary:Kerberos", "Packages"
# The object's id in the tenant, as synchronization tools keep their anchor.
ANCHOR = "mS-DS-ConsistencyGuid"
# Says who made the object; synchronization tools leave objects out whose adminDescription begins so, and a managed
# domain's users must not be synchronized back.
MARK = "adminDescription"
MARK_PREFIX = "User_"
OURS = f"(&(objectClass=user)({ANCHOR}=*)({MARK}={MARK_PREFIX}*))"
# A domain's SID has three sub-authorities behind 21; RIDs below 1000 are those of built-in accounts and groups.
FIRST_RID = 1000
# "User cannot change password": User-Change-Password (MS-ADTS 5.1.3.2.1) denied to Everyone and to the user. What is changed
# here would be known to nobody else, and in the way of what comes from the tenant.
CANNOT_CHANGE_PASSWORD = "".join(f"(OD;;CR;ab721a53-1e2f-11d0-9819-00aa0040529b;;{who})" for who in ("WD", "PS"))
DEFAULT_DESCRIPTOR = "defaultSecurityDescriptor"
TEXTS = ("userPrincipalName", "displayName", "givenName", "sn", "mail")


class Refused(Exception):
    """Something about one change; its text is ours and may be shown."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def described(error):
    """Code, text and whether another try may help. Only what cannot quote a value that was handed in keeps its text."""
    if isinstance(error, Refused):
        return {"code": error.code, "message": str(error)}
    if isinstance(error, ldb.LdbError):
        number, text = error.args
        return {"code": "ldb", "number": number, "message": str(text)[:400]}
    return {"code": "helper", "message": f"{type(error).__name__} in {where(error)}"}


def where(error):
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}"


def packed_guid(text):
    return ndr_pack(misc.GUID(text))


def same(stored, wanted):
    """Compares secrets: in constant time."""
    return stored is not None and hmac.compare_digest(bytes(stored), bytes(wanted))


def value(entry, name):
    element = entry.get(name)
    return None if element is None or len(element) == 0 else bytes(element[0])


# --- supplementalCredentials as Samba's password_hash module stores it


def des_filler(seed):
    """In place of a DES key that did not come: a key must stand there, DES is never used, and a second try must give
    the same."""
    return hmac.new(seed, b"phsync: no DES key came", hashlib.sha256).digest()[:8]


def stored_keys(properties):
    """USER_PROPERTIES in, the same in the only shape that Samba takes: AES-256, AES-128 and two DES keys."""
    packages = {}
    blob = ndr_unpack(drsblobs.supplementalCredentialsBlob, properties)
    for package in blob.sub.packages:
        packages[package.name] = bytes.fromhex(package.data)
    # Behind the keys of Windows Server 2003 zeros follow.
    newer = packages.get(NEWER_KEYS)
    older = packages.get(KERBEROS)
    made = []
    des = {}
    salt = None
    if older is not None:
        credential = ndr_unpack(drsblobs.package_PrimaryKerberosBlob, older, allow_remaining=True)
        if credential.version != 3:
            raise Refused("keys-malformed", f"{KERBEROS}: revision 3 was expected, not {credential.version}")
        salt = credential.ctr.salt.string
        des = well_formed(credential.ctr.keys, KERBEROS)
    seed = None
    if newer is not None:
        credential = ndr_unpack(drsblobs.package_PrimaryKerberosBlob, newer, allow_remaining=True)
        if credential.version != 4:
            raise Refused("keys-malformed", f"{NEWER_KEYS}: revision 4 was expected, not {credential.version}")
        control = credential.ctr
        keys = well_formed(control.keys, NEWER_KEYS)
        if AES256 in keys and AES128 in keys:
            salt = control.salt.string or salt
            seed = keys[AES256]
            for kind in (DES_CBC_MD5, DES_CBC_CRC):
                # Both kinds of DES have the same string-to-key function.
                keys.setdefault(kind, des.get(kind) or keys.get(DES_CBC_MD5) or des_filler(seed))
                des.setdefault(kind, keys[kind])
            made.append((NEWER_KEYS, pack_newer(control, salt, keys)))
    if salt in (None, ""):
        raise Refused("keys-malformed", "the Kerberos keys come without a salt")
    if not des:
        raise Refused("keys-unusable", "there is no AES key pair and no DES key among the Kerberos keys")
    either = des.get(DES_CBC_MD5) or des.get(DES_CBC_CRC)
    made.append((KERBEROS, pack_older(salt, des.get(DES_CBC_MD5, either), des.get(DES_CBC_CRC, either))))
    return pack_properties(made)


def well_formed(keys, name):
    found = {}
    for key in keys:
        if key.keytype in KEY_LENGTHS:
            if key.value is None or len(key.value) != KEY_LENGTHS[key.keytype]:
                raise Refused("keys-malformed", f"{name}: a key of type {key.keytype} has not the length of its kind")
            found[key.keytype] = bytes(key.value)
    return found


def salt_string(salt):
    made = drsblobs.package_PrimaryKerberosString()
    made.string = salt
    return made


def newer_key(kind, key, iterations):
    made = drsblobs.package_PrimaryKerberosKey4()
    made.keytype, made.value, made.value_len, made.iteration_count = kind, key, len(key), iterations
    return made


def former(keys):
    """The AES keys among those of an earlier password, by which a KDC knows an old password from a guessed one."""
    return [newer_key(key.keytype, bytes(key.value), key.iteration_count)
            for key in keys if key.keytype in (AES256, AES128) and len(key.value) == KEY_LENGTHS[key.keytype]][:4]


def pack_newer(control, salt, keys):
    iterations = {key.keytype: key.iteration_count for key in control.keys}
    made = drsblobs.package_PrimaryKerberosBlob()
    made.version = 4
    made.ctr.salt = salt_string(salt)
    made.ctr.default_iteration_count = control.default_iteration_count
    made.ctr.keys = [newer_key(kind, keys[kind], iterations.get(kind, control.default_iteration_count))
                     for kind in (AES256, AES128, DES_CBC_MD5, DES_CBC_CRC)]
    made.ctr.num_keys = 4
    old = former(control.old_keys)
    made.ctr.old_keys, made.ctr.num_old_keys = old, len(old)
    oldest = former(control.older_keys)[:len(old)]
    made.ctr.older_keys, made.ctr.num_older_keys = oldest, len(oldest)
    return ndr_pack(made)


def pack_older(salt, md5, crc):
    made = drsblobs.package_PrimaryKerberosBlob()
    made.version = 3
    made.ctr.salt = salt_string(salt)
    keys = []
    for kind, key in ((DES_CBC_MD5, md5), (DES_CBC_CRC, crc)):
        one = drsblobs.package_PrimaryKerberosKey3()
        one.keytype, one.value, one.value_len = kind, key, len(key)
        keys.append(one)
    made.ctr.keys, made.ctr.num_keys = keys, len(keys)
    return ndr_pack(made)


def pack_properties(made):
    names = "\0".join(name.removeprefix("Primary:") for name, _ in made).encode("utf-16-le")
    entries = [(name, data, 1) for name, data in made]
    entries.insert(1, (PACKAGES, names, 2))
    packages = []
    for name, data, reserved in entries:
        package = drsblobs.supplementalCredentialsPackage()
        package.name, package.reserved = name, reserved
        # Upper case, as password_hash writes it.
        package.data = data.hex().upper()
        package.name_len, package.data_len = 2 * len(name), 2 * len(data)
        packages.append(package)
    blob = drsblobs.supplementalCredentialsBlob()
    blob.sub.packages, blob.sub.num_packages = packages, len(packages)
    blob.sub.signature = drsblobs.SUPPLEMENTAL_CREDENTIALS_SIGNATURE
    return ndr_pack(blob)


# --- the domain


class Domain:
    def __init__(self, smb_conf, ou):
        loaded = param.LoadParm()
        try:
            loaded.load(smb_conf)
        except RuntimeError:
            raise Refused("not-a-dc", f"{smb_conf} cannot be read") from None
        if loaded.server_role() != "ROLE_ACTIVE_DIRECTORY_DC":
            raise Refused("not-a-dc", f"{smb_conf} is of no domain controller: its server role is {loaded.server_role()}")
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
        # What new users are made with, of this transaction; None: not looked up yet.
        self.descriptor = None
        # The object's id in the tenant -> objectGUID here.
        self.known = {}
        for entry in self.sam.search(self.head, ldb.SCOPE_SUBTREE, OURS, attrs=[ANCHOR, MARK, "objectGUID"]):
            identity = self.identity(entry)
            if identity is not None:
                self.known[identity] = str(misc.GUID(value(entry, "objectGUID")))

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
        """The security descriptor that new users get, for which the organizational unit is made where it is not there."""
        if self.descriptor is None:
            self.make_ou()
            of_class = "(&(objectClass=classSchema)(lDAPDisplayName=user))"
            [entry] = self.sam.search(self.sam.get_schema_basedn(), ldb.SCOPE_ONELEVEL, of_class, attrs=[DEFAULT_DESCRIPTOR])
            descriptor = security.descriptor.from_sddl(str(entry[DEFAULT_DESCRIPTOR][0]), self.own_sid)
            for ace in reversed(security.descriptor.from_sddl("D:" + CANNOT_CHANGE_PASSWORD, self.own_sid).dacl.aces):
                descriptor.dacl_add(ace, 0)
            self.descriptor = ndr_pack(descriptor)
        return self.descriptor

    def make_ou(self):
        try:
            self.sam.search(self.ou, ldb.SCOPE_BASE, attrs=["ou"])
        except ldb.LdbError as error:
            if error.args[0] != ldb.ERR_NO_SUCH_OBJECT:
                raise
            self.sam.add({"dn": self.ou, "objectClass": "organizationalUnit",
                          "description": "Users of the tenant, kept by phsync domain-services: changes here are undone"})

    def at(self, guid):
        attrs = [*TEXTS, "sAMAccountName", "userAccountControl", "sIDHistory", "cn", ANCHOR, MARK, "objectGUID",
                 "unicodePwd", "supplementalCredentials", "pwdLastSet", "ntPwdHistory"]
        try:
            found = self.sam.search(f"<GUID={guid}>", ldb.SCOPE_BASE, attrs=attrs)
        except ldb.LdbError as error:
            if error.args[0] != ldb.ERR_NO_SUCH_OBJECT:
                raise
            return None
        return found[0] if len(found) == 1 else None

    def find(self, identity, made):
        guid = made.get(identity, self.known.get(identity))
        entry = None if guid is None else self.at(guid)
        return entry if entry is not None and self.identity(entry) == identity else None

    def first(self, expression):
        attrs = [ANCHOR, MARK, "objectGUID", "sAMAccountName"]
        found = self.sam.search(self.head, ldb.SCOPE_SUBTREE, expression, attrs=attrs)
        return found[0] if len(found) else None

    def holder(self, name):
        """Whoever has a sAMAccountName, in the whole domain: also with a domain controller's $ behind it, which a KDC
        looks for in second place, and as what stands before the domain's name in a userPrincipalName."""
        name = ldb.binary_encode(name)
        return (self.first(f"(sAMAccountName={name})")
                or self.first(f"(&(sAMAccountName={name}$)({CONTROL}:{ALL_BITS}:={SERVER_TRUST_ACCOUNT}))")
                or self.first(f"(userPrincipalName={name}@{self.sam.domain_dns_name()})"))

    def make_room(self, change, identity):
        """Takes a userPrincipalName from another account that this program made: the tenant, where nobody has the same,
        says whose it is. Returns whose names were taken; what they are now comes with a change of theirs."""
        displaced = []
        wanted = change["userPrincipalName"]
        other = self.first(f"(userPrincipalName={ldb.binary_encode(wanted)})")
        if other is not None and self.identity(other) not in (None, identity):
            message = ldb.Message(other.dn)
            message["userPrincipalName"] = ldb.MessageElement([], ldb.FLAG_MOD_DELETE, "userPrincipalName")
            self.sam.modify(message)
            displaced.append(self.identity(other))
        name, _, domain = wanted.rpartition("@")
        if name and domain.lower() == self.sam.domain_dns_name().lower():
            # Means the account of this name as well as the one with this userPrincipalName: they must be the same.
            other = self.first(f"(sAMAccountName={ldb.binary_encode(name)})")
            if other is not None and self.identity(other) not in (None, identity):
                message = ldb.Message(other.dn)
                made_up = name_with_digits(str(other["sAMAccountName"][0]), self.identity(other))
                message["sAMAccountName"] = ldb.MessageElement(made_up, ldb.FLAG_MOD_REPLACE, "sAMAccountName")
                self.sam.modify(message)
                displaced.append(self.identity(other))
        return displaced

    # one change

    def apply(self, change, secrets, made):
        identity = change["id"]
        if change.get("deleted"):
            return self.delete(identity, made)
        notes, displaced = [], []
        entry = self.find(identity, made)
        if entry is None:
            answer = self.create(change, secrets, made, notes, displaced)
        else:
            answer = self.keep(entry, change, secrets, made, notes, displaced)
        if displaced:
            answer["displaced"] = displaced
        if notes:
            answer["notes"] = notes
        return answer

    def keep(self, entry, change, secrets, made, notes, displaced):
        """Brings an account that is there to what it is to be."""
        answer = {"result": "unchanged"}
        if changed := self.update(entry, change, notes, displaced):
            answer = {"result": "updated", "changed": changed}
            # As it is by now, and where a rename has moved it.
            entry = self.find(change["id"], made)
        answer["samAccountName"] = str(entry["sAMAccountName"][0])
        if secrets is not None:
            try:
                answer["password"] = self.write_password(entry, change, secrets)
            except Refused as error:
                # The account is what it should be all the same.
                answer["passwordError"] = described(error)
        return answer

    def create(self, change, secrets, made, notes, displaced):
        identity = change["id"]
        is_free = self.is_free(change)
        if is_free:
            name, dn = change["samAccountNames"][0], self.dn_of(self.ou, change["commonNames"][0])
        else:
            displaced += self.make_room(change, identity)
            name, holder = self.free_name(change)
            if holder is not None:
                # Of a run of the program that knows of it no more.
                made[identity] = str(misc.GUID(value(holder, "objectGUID")))
                answer = self.keep(self.find(identity, made), change, secrets, made, notes, displaced)
                answer.pop("changed", None)
                return {**answer, "result": "created"}
            dn = self.free_dn(self.ou, change["commonNames"], None)
        entry = {
            "dn": dn,
            "objectClass": "user",
            "sAMAccountName": name,
            "userAccountControl": str(NORMAL_ACCOUNT | control_bits(change)),
            ANCHOR: packed_guid(identity),
            MARK: MARK_PREFIX + identity,
            "nTSecurityDescriptor": self.new_descriptor(),
        }
        for attribute in TEXTS:
            if change.get(attribute):
                entry[attribute] = change[attribute]
        sid = self.new_sid(change, [], notes, is_free)
        if sid is not None:
            entry["sIDHistory"] = sid
        answer = {"result": "created", "samAccountName": name}
        controls = []
        if secrets is not None:
            try:
                entry.update((attribute, wanted) for attribute, wanted in password_values(change, secrets) if wanted)
                controls = [BYPASS]
                answer["password"] = "written"
            except Refused as error:
                answer["passwordError"] = described(error)
        self.sam.add(entry, controls=controls)
        found = self.sam.search(dn, ldb.SCOPE_BASE, attrs=["objectGUID"])
        made[identity] = str(misc.GUID(value(found[0], "objectGUID")))
        return answer

    def is_free(self, change):
        """Nobody has a name, the SID or the place that a new user is to have, by one search in place of one for each. False:
        somebody has, or may have."""
        name, upn, own = change["samAccountNames"][0], change["userPrincipalName"], self.sam.domain_dns_name()
        names = {name, f"{name}$"}
        before, _, domain = upn.rpartition("@")
        if domain.lower() == own.lower():
            names.add(before)
        taken = [("sAMAccountName", each) for each in names if each]
        taken += [("userPrincipalName", upn), ("userPrincipalName", f"{name}@{own}")]
        taken.append(("distinguishedName", str(self.dn_of(self.ou, change["commonNames"][0]))))
        sid = usable_sid(change, self.sid)
        if sid is not None:
            taken += [("objectSid", str(sid)), ("sIDHistory", str(sid))]
        return self.first(f"(|{''.join(f'({what}={ldb.binary_encode(each)})' for what, each in taken)})") is None

    def free_name(self, change):
        """The name that is to be taken, or who has one of these names and is the very user."""
        for candidate in change["samAccountNames"]:
            holder = self.holder(candidate)
            if holder is None:
                return candidate, None
            if self.identity(holder) == change["id"]:
                return candidate, holder
        raise Refused("names-taken", f"every account name is taken: {', '.join(change['samAccountNames'])}")

    def dn_of(self, parent, name):
        dn = ldb.Dn(self.sam, str(parent))
        dn.add_child(ldb.Dn(self.sam, "CN=x"))
        dn.set_component(0, "CN", name.encode())
        return dn

    def free_dn(self, parent, names, own):
        for name in names:
            dn = self.dn_of(parent, name)
            try:
                found = self.sam.search(dn, ldb.SCOPE_BASE, attrs=["objectGUID"])
            except ldb.LdbError as error:
                if error.args[0] != ldb.ERR_NO_SUCH_OBJECT:
                    raise
                return dn
            if own is not None and value(found[0], "objectGUID") == own:
                return dn
        raise Refused("names-taken", f"every common name is taken: {', '.join(names)}")

    def new_sid(self, change, history, notes, is_free=False):
        """What is to go into sIDHistory, or None. Two accounts with one SID would have each other's rights. is_free: nobody
        has it."""
        if not change.get("sid"):
            return None
        sid = usable_sid(change, self.sid)
        if sid is not None and ndr_pack(sid) in history:
            return None
        if sid is None or not (is_free or self.first(f"(|(objectSid={sid})(sIDHistory={sid}))") is None):
            notes.append("sid-left-out")
            return None
        return ndr_pack(sid)

    def update(self, entry, change, notes, displaced):
        """Returns what had to be changed: attributes, and enabled, disabled, passwordNeverExpires or passwordExpires."""
        message = ldb.Message(entry.dn)

        def replace(attribute, wanted):
            message[attribute] = ldb.MessageElement(wanted, ldb.FLAG_MOD_REPLACE, attribute)

        for attribute in TEXTS:
            wanted, stored = change.get(attribute), value(entry, attribute)
            if (wanted or None) != (None if stored is None else stored.decode("utf-8")):
                replace(attribute, wanted or [])
        if "userPrincipalName" in message:
            displaced += self.make_room(change, change["id"])
        current = str(entry["sAMAccountName"][0])
        if current.lower() not in (name.lower() for name in change["samAccountNames"]):
            own = (None, value(entry, "objectGUID"))
            free = lambda holder: (None if holder is None else value(holder, "objectGUID")) in own
            name = next((each for each in change["samAccountNames"] if free(self.holder(each))), None)
            if name is None:
                raise Refused("names-taken", f"every account name is taken: {', '.join(change['samAccountNames'])}")
            replace("sAMAccountName", name)
        control = int(str(entry["userAccountControl"][0]))
        wanted_control = control & ~(ACCOUNTDISABLE | DONT_EXPIRE_PASSWORD) | control_bits(change)
        bits = []
        if wanted_control != control:
            replace("userAccountControl", str(wanted_control))
            differs = wanted_control ^ control
            if differs & ACCOUNTDISABLE:
                bits.append("enabled" if change["enabled"] else "disabled")
            if differs & DONT_EXPIRE_PASSWORD:
                bits.append("passwordNeverExpires" if change["neverExpires"] else "passwordExpires")
        sid = self.new_sid(change, [bytes(each) for each in entry.get("sIDHistory", [])], notes)
        if sid is not None:
            message["sIDHistory"] = ldb.MessageElement(sid, ldb.FLAG_MOD_ADD, "sIDHistory")
        if len(message) > 0:
            self.sam.modify(message)
        changed = [name for name in message.keys() if name not in ("dn", CONTROL)] + bits
        return changed + (["cn"] if self.rename(entry, change) else [])

    def rename(self, entry, change):
        names = change["commonNames"]
        if str(entry["cn"][0]) in names:
            return False
        dn = self.free_dn(entry.dn.parent(), names, value(entry, "objectGUID"))
        self.sam.rename(entry.dn, dn)
        return True

    def write_password(self, entry, change, secrets):
        changed_at = int(change["pwdLastSet"])
        stored_at = int(str(entry["pwdLastSet"][0])) if "pwdLastSet" in entry else 0
        if stored_at > changed_at:
            return "older"
        values = password_values(change, secrets)
        if stored_at == changed_at and all(
                same(value(entry, attribute), wanted) if wanted else attribute not in entry
                for attribute, wanted in values if attribute in ("unicodePwd", "supplementalCredentials")):
            return "unchanged"
        message = ldb.Message(entry.dn)
        for attribute, wanted in values:
            message[attribute] = ldb.MessageElement(wanted, ldb.FLAG_MOD_REPLACE, attribute)
        self.sam.modify(message, controls=[BYPASS])
        return "written"

    def delete(self, identity, made):
        entry = self.find(identity, made)
        if entry is None:
            return {"result": "absent"}
        self.sam.delete(entry.dn)
        made[identity] = None
        return {"result": "deleted"}

    # several changes

    def transaction(self, pairs, dry_run):
        """All of them, or none: then what the failing one raised."""
        made = {}
        self.descriptor = None
        self.sam.transaction_start()
        try:
            answers = [self.apply(change, secrets, made) for change, secrets in pairs]
        except BaseException:
            self.sam.transaction_cancel()
            raise
        if dry_run:
            self.sam.transaction_cancel()
            return answers
        self.sam.transaction_commit()
        for identity, guid in made.items():
            if guid is None:
                self.known.pop(identity, None)
            else:
                self.known[identity] = guid
        return answers

    def apply_all(self, pairs, dry_run):
        if not pairs:
            self.check()
            return []
        try:
            return self.transaction(pairs, dry_run)
        except Exception as error:
            if len(pairs) == 1:
                self.check()
                return [{"error": described(error)}]
        # One of them fails: half by half, until it is alone.
        half = len(pairs) // 2
        return self.apply_all(pairs[:half], dry_run) + self.apply_all(pairs[half:], dry_run)


def password_values(change, secrets):
    """What the attributes of a password are to be; without a value: nothing may stand there."""
    hash_, properties = secrets
    keys = []
    if properties is not None:
        try:
            keys = stored_keys(properties)
        except Refused:
            raise
        except Exception as error:
            # What NDR has to say may quote what it read.
            raise Refused("keys-malformed", f"the Kerberos keys cannot be read ({where(error)})") from None
    return (
        ("unicodePwd", hash_),
        # None came: those of an earlier password must not stay.
        ("supplementalCredentials", keys),
        ("pwdLastSet", change["pwdLastSet"]),
        # The present one alone: Samba lets the one before it log on for another hour.
        ("ntPwdHistory", hash_),
        ("lmPwdHistory", []),
        ("dBCSPwd", []),
    )


def control_bits(change):
    return (0 if change["enabled"] else ACCOUNTDISABLE) | (DONT_EXPIRE_PASSWORD if change["neverExpires"] else 0)


def usable_sid(change, own):
    """The SID of the first domain, where it may become sIDHistory here."""
    text = change.get("sid")
    if not text:
        return None
    try:
        sid = security.dom_sid(text)
        domain, rid = sid.split()
    except (TypeError, ValueError):
        return None
    parts = text.upper().split("-")
    if len(parts) != 8 or parts[:4] != ["S", "1", "5", "21"] or rid < FIRST_RID or str(domain) == str(own):
        return None
    return sid


def name_with_digits(name, identity):
    """As names.ts makes one of a name that another has."""
    return f"{name[:13].rstrip('. ')}-{hashlib.sha256(identity.encode()).hexdigest()[:6]}"


# --- frames


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


def main():
    if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Samba's libraries print to standard output at times; frames alone belong there.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = os.fdopen(0, "rb", buffering=0)
    domain = None
    while (request := read_request(requests)) is not None:
        try:
            if request["op"] == "open":
                domain = Domain(sys.argv[1], request["ou"])
                answer = domain.facts()
            else:
                changes = request["changes"]
                if (secrets := read_secrets(requests, changes)) is None:
                    return
                if domain is None:
                    raise Refused("not-open", "the domain was not opened")
                domain.check_files()
                answer = {"answers": domain.apply_all(list(zip(changes, secrets)), request["dryRun"])}
        except Exception as error:
            answer = {"error": described(error)}
        write_answer(answers, answer)


def quiet(kind, error, _trace):
    sys.stderr.write(f"samba_writer: {kind.__name__} in {where(error)}\n")


if __name__ == "__main__":
    sys.excepthook = quiet
    main()
