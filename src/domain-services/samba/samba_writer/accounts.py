"""One change of one account: made, brought to what it is to be, or deleted."""
import ldb
from samba.dcerpc import misc
from samba.ndr import ndr_pack

from domain import ANCHOR, CONTROL, MARK, MARK_PREFIX, TEXTS, value
from names import free_dn, free_name, is_all_free, make_room, new_sid
from passwords import BYPASS, password_values, write_password
from refusal import Refused, described

# MS-ADTS 2.2.16, userAccountControl
ACCOUNTDISABLE, NORMAL_ACCOUNT, DONT_EXPIRE_PASSWORD = 0x2, 0x200, 0x10000


class AccountChange:
    """What it needs of the transaction (batches.py): who was made and deleted in it, and what new users are made with."""

    def __init__(self, transaction, change, secrets):
        self.transaction = transaction
        self.domain = transaction.domain
        self.sam = transaction.domain.sam
        self.change = change
        self.secrets = secrets
        self.notes = []
        self.displaced = []

    def apply(self):
        """Returns the outcome (frames.py). Raises Refused or LdbError where it is not applied."""
        entry = self.transaction.find(self.change["id"])
        if self.change.get("deleted"):
            return self.delete(entry)
        answer = self.create() if entry is None else self.keep(entry)
        if self.displaced:
            answer["displaced"] = self.displaced
        if self.notes:
            answer["notes"] = self.notes
        return answer

    def keep(self, entry):
        """Brings an account that is there to what it is to be."""
        answer = {"result": "unchanged"}
        if changed := self.update(entry):
            answer = {"result": "updated", "changed": changed}
            # As it is by now, and where a rename has moved it.
            entry = self.transaction.find(self.change["id"])
        answer["samAccountName"] = str(entry["sAMAccountName"][0])
        if self.secrets is not None:
            try:
                answer["password"] = write_password(self.sam, entry, self.change, self.secrets)
            except Refused as error:
                # The account is what it should be all the same.
                answer["passwordError"] = described(error)
        return answer

    def create(self):
        """One add, with the password that came: Samba does for one what it does for three."""
        change, domain = self.change, self.domain
        is_free = is_all_free(domain, change)
        if is_free:
            name, dn = change["samAccountNames"][0], domain.dn_of(domain.ou, change["commonNames"][0])
        else:
            self.displaced += make_room(domain, change)
            is_own = lambda holder: domain.identity(holder) == change["id"]
            name, holder = free_name(domain, change["samAccountNames"], is_own)
            if holder is not None:
                # Of a run of the program that knows of it no more.
                self.transaction.made(change["id"], holder)
                answer = self.keep(self.transaction.find(change["id"]))
                answer.pop("changed", None)
                return {**answer, "result": "created"}
            dn = free_dn(domain, domain.ou, change["commonNames"])
        entry = {
            "dn": dn,
            "objectClass": "user",
            "sAMAccountName": name,
            CONTROL: str(NORMAL_ACCOUNT | control_bits(change)),
            ANCHOR: ndr_pack(misc.GUID(change["id"])),
            MARK: MARK_PREFIX + change["id"],
            "nTSecurityDescriptor": self.transaction.descriptor(),
        }
        entry.update((attribute, change[attribute]) for attribute in TEXTS if change.get(attribute))
        sid = new_sid(domain, change, [], self.notes, is_free)
        if sid is not None:
            entry["sIDHistory"] = sid
        answer = {"result": "created", "samAccountName": name}
        controls = []
        if self.secrets is not None:
            try:
                values = password_values(change, self.secrets)
                entry.update((attribute, wanted) for attribute, wanted in values if wanted)
                controls = [BYPASS]
                answer["password"] = "written"
            except Refused as error:
                answer["passwordError"] = described(error)
        self.sam.add(entry, controls=controls)
        self.transaction.made(change["id"], self.sam.search(dn, ldb.SCOPE_BASE, attrs=["objectGUID"])[0])
        return answer

    def update(self, entry):
        """Returns what had to be changed: attributes, and enabled, disabled, passwordNeverExpires or passwordExpires."""
        change = self.change
        message = ldb.Message(entry.dn)

        def replace(attribute, wanted):
            message[attribute] = ldb.MessageElement(wanted, ldb.FLAG_MOD_REPLACE, attribute)

        for attribute in TEXTS:
            wanted, stored = change.get(attribute), value(entry, attribute)
            if (wanted or None) != (None if stored is None else stored.decode("utf-8")):
                replace(attribute, wanted or [])
        if "userPrincipalName" in message:
            self.displaced += make_room(self.domain, change)
        current = str(entry["sAMAccountName"][0])
        if current.lower() not in (name.lower() for name in change["samAccountNames"]):
            is_own = lambda holder: value(holder, "objectGUID") == value(entry, "objectGUID")
            replace("sAMAccountName", free_name(self.domain, change["samAccountNames"], is_own)[0])
        control = int(str(entry[CONTROL][0]))
        wanted_control = control & ~(ACCOUNTDISABLE | DONT_EXPIRE_PASSWORD) | control_bits(change)
        bits = []
        if wanted_control != control:
            replace(CONTROL, str(wanted_control))
            differs = wanted_control ^ control
            if differs & ACCOUNTDISABLE:
                bits.append("enabled" if change["enabled"] else "disabled")
            if differs & DONT_EXPIRE_PASSWORD:
                bits.append("passwordNeverExpires" if change["neverExpires"] else "passwordExpires")
        sid = new_sid(self.domain, change, [bytes(each) for each in entry.get("sIDHistory", [])], self.notes)
        if sid is not None:
            message["sIDHistory"] = ldb.MessageElement(sid, ldb.FLAG_MOD_ADD, "sIDHistory")
        if len(message) > 0:
            self.sam.modify(message)
        changed = [name for name in message.keys() if name not in ("dn", CONTROL)] + bits
        return changed + (["cn"] if self.rename(entry) else [])

    def rename(self, entry):
        names = self.change["commonNames"]
        if str(entry["cn"][0]) in names:
            return False
        self.sam.rename(entry.dn, free_dn(self.domain, entry.dn.parent(), names, value(entry, "objectGUID")))
        return True

    def delete(self, entry):
        if entry is None:
            return {"result": "absent"}
        self.sam.delete(entry.dn)
        self.transaction.made(self.change["id"], None)
        return {"result": "deleted"}


def control_bits(change):
    return (0 if change["enabled"] else ACCOUNTDISABLE) | (DONT_EXPIRE_PASSWORD if change["neverExpires"] else 0)
