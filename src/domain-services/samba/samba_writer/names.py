"""Names and SIDs that nobody else may have: who has one, which one is free, and from whom it is taken."""
import hashlib

import ldb
from samba.dcerpc import security
from samba.ndr import ndr_pack

from domain import CONTROL, value
from refusal import Refused

SERVER_TRUST_ACCOUNT = 0x2000
# MS-ADTS 3.1.1.3.4.4: LDAP_MATCHING_RULE_BIT_AND
ALL_BITS = "1.2.840.113556.1.4.803"
# A domain's SID has three sub-authorities behind 21; RIDs below 1000 are those of built-in accounts and groups.
FIRST_RID = 1000


def is_all_free(domain, change):
    """Nobody has the first name, the SID or the place that a new user is to have, by one search in place of one for each.
    False: somebody has, or may have."""
    name, upn, own = change["samAccountNames"][0], change["userPrincipalName"], domain.sam.domain_dns_name()
    names = {name, f"{name}$"}
    before, _, of = upn.rpartition("@")
    if of.lower() == own.lower():
        names.add(before)
    taken = [("sAMAccountName", each) for each in names if each]
    taken += [("userPrincipalName", upn), ("userPrincipalName", f"{name}@{own}")]
    taken.append(("distinguishedName", str(domain.dn_of(domain.ou, change["commonNames"][0]))))
    sid = usable_sid(change, domain.sid)
    if sid is not None:
        taken += [("objectSid", str(sid)), ("sIDHistory", str(sid))]
    return domain.first(f"(|{''.join(f'({what}={ldb.binary_encode(each)})' for what, each in taken)})") is None


def holder(domain, name):
    """Whoever has a sAMAccountName, in the whole domain: also with a domain controller's $ behind it, which a KDC
    looks for in second place, and as what stands before the domain's name in a userPrincipalName."""
    name = ldb.binary_encode(name)
    return (domain.first(f"(sAMAccountName={name})")
            or domain.first(f"(&(sAMAccountName={name}$)({CONTROL}:{ALL_BITS}:={SERVER_TRUST_ACCOUNT}))")
            or domain.first(f"(userPrincipalName={name}@{domain.sam.domain_dns_name()})"))


def free_name(domain, names, is_own):
    """The first of the account names that nobody has, or that the very user has (`is_own` of an entry); and that entry, or
    None."""
    for name in names:
        found = holder(domain, name)
        if found is None or is_own(found):
            return name, found
    raise Refused("names-taken", f"every account name is taken: {', '.join(names)}")


def free_dn(domain, parent, names, own=None):
    """The place that is free, or that the account with the objectGUID `own` has."""
    for name in names:
        dn = domain.dn_of(parent, name)
        try:
            found = domain.sam.search(dn, ldb.SCOPE_BASE, attrs=["objectGUID"])
        except ldb.LdbError as error:
            if error.args[0] != ldb.ERR_NO_SUCH_OBJECT:
                raise
            return dn
        if own is not None and value(found[0], "objectGUID") == own:
            return dn
    raise Refused("names-taken", f"every common name is taken: {', '.join(names)}")


def make_room(domain, change):
    """Takes a userPrincipalName from another account that this program made: the tenant, where nobody has the same,
    says whose it is. Returns whose names were taken; what they are now comes with a change of theirs."""
    displaced = []
    wanted = change["userPrincipalName"]
    other = domain.first(f"(userPrincipalName={ldb.binary_encode(wanted)})")
    if other is not None and domain.identity(other) not in (None, change["id"]):
        message = ldb.Message(other.dn)
        message["userPrincipalName"] = ldb.MessageElement([], ldb.FLAG_MOD_DELETE, "userPrincipalName")
        domain.sam.modify(message)
        displaced.append(domain.identity(other))
    name, _, of = wanted.rpartition("@")
    if name and of.lower() == domain.sam.domain_dns_name().lower():
        # Means the account of this name as well as the one with this userPrincipalName: they must be the same.
        other = domain.first(f"(sAMAccountName={ldb.binary_encode(name)})")
        if other is not None and domain.identity(other) not in (None, change["id"]):
            message = ldb.Message(other.dn)
            made_up = name_with_digits(str(other["sAMAccountName"][0]), domain.identity(other))
            message["sAMAccountName"] = ldb.MessageElement(made_up, ldb.FLAG_MOD_REPLACE, "sAMAccountName")
            domain.sam.modify(message)
            displaced.append(domain.identity(other))
    return displaced


def name_with_digits(name, identity):
    """As names.ts makes one of a name that another has."""
    return f"{name[:13].rstrip('. ')}-{hashlib.sha256(identity.encode()).hexdigest()[:6]}"


def new_sid(domain, change, history, notes, is_free=False):
    """What is to go into sIDHistory, or None. Two accounts with one SID would have each other's rights. is_free: nobody
    has it."""
    if not change.get("sid"):
        return None
    sid = usable_sid(change, domain.sid)
    if sid is not None and ndr_pack(sid) in history:
        return None
    if sid is None or not (is_free or domain.first(f"(|(objectSid={sid})(sIDHistory={sid}))") is None):
        notes.append("sid-left-out")
        return None
    return ndr_pack(sid)


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


