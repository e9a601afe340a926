"""add-users: creates accounts in the sam.ldb of a DC that start provisioned."""
import argparse, hashlib, json, sys, time
import ldb
from samba import credentials, param
from samba.auth import system_session
from samba.dcerpc import misc, security
from samba.ndr import ndr_pack, ndr_unpack
from samba.samdb import SamDB

# samba's DSDB_CONTROL_PASSWORD_HASH_VALUES_OID: unicodePwd holds an NT hash.
HASH_VALUES = "local_oid:1.3.6.1.4.1.7165.4.3.9:1"
BATCH = 1000  # users in a transaction; a running DC cannot write meanwhile
NORMAL, DISABLED, NO_PASSWORD, WORKSTATION, NEVER_EXPIRES = 0x200, 0x2, 0x20, 0x1000, 0x10000

p = argparse.ArgumentParser()
p.add_argument("directory")
p.add_argument("count", type=int)
p.add_argument("--from", dest="first", type=int, default=1)
p.add_argument("--nt-only", action="store_true")
p.add_argument("--specials-only", action="store_true")
args = p.parse_args()
if args.count < 0 or args.first < 1:
    p.error("COUNT must be 0 or more and --from 1 or more")

lp = param.LoadParm()
lp.load(f"{args.directory}/smb.conf")
# batch_mode: no copy of the touched indexes for every single add; an add that
# fails spoils its whole transaction, which is cancelled anyway.
sam = SamDB(url=f"{args.directory}/private/sam.ldb", session_info=system_session(), lp=lp,
            options=["batch_mode:1"])
base = str(sam.domain_dn())
dns_domain = sam.domain_dns_name()


def nt_hash(password):
    c = credentials.Credentials()
    c.set_password(password)
    return bytes(c.get_nt_hash())


def bulk_password(name):
    return f"Pw-{name}-" + hashlib.sha256(name.encode()).hexdigest()[:8]


def filetime(unix):
    return str(int((unix + 11644473600) * 10_000_000))


def exists(dn):
    try:
        return bool(sam.search(base=dn, scope=ldb.SCOPE_BASE, attrs=["objectGUID"]))
    except ldb.LdbError as e:
        if e.args[0] == ldb.ERR_NO_SUCH_OBJECT:
            return False
        raise


def account(name, ou, password, object_class="user", uac=NORMAL, nt_only=False, **more):
    entry = {
        "dn": f"CN={name},{ou}",
        "objectClass": object_class,
        "sAMAccountName": name + ("$" if object_class == "computer" else ""),
        "userAccountControl": str(uac),
    }
    if object_class != "computer":
        entry["userPrincipalName"] = f"{name}@{dns_domain}"
        entry["displayName"] = f"Test {name}"
        entry["givenName"] = "Test"
        entry["sn"] = name
        entry["mail"] = f"{name}@{dns_domain}"
    if password is not None and nt_only:
        entry["unicodePwd"] = nt_hash(password)
    elif password is not None:
        entry["clearTextPassword"] = password.encode("utf-16-le")
    entry.update(more)
    sam.add(entry, controls=[HASH_VALUES] if nt_only else [])
    return entry["dn"]


def ou(name):
    dn = f"OU={name},{base}"
    if not exists(dn):
        sam.add({"dn": dn, "objectClass": "organizationalUnit"})
    return dn


bulk_ou, special_ou = ou("Bulk"), ou("Special")

# name: (kind, password, account() arguments). A password of None: none is set.
specials = {
    "phs.plain": ("plain", "Plain.Passw0rd", {}),
    "phs.mustchange": ("must-change", "Temporary.1", {"pwdLastSet": "0"}),
    "phs.disabled": ("disabled", "Disabled.1", {"uac": NORMAL | DISABLED}),
    "phs.expired": ("expired", "Expired.1", {"accountExpires": filetime(1577836800)}),
    "phs.neverexpires": ("password-never-expires", "Forever.1", {"uac": NORMAL | NEVER_EXPIRES}),
    "phs.inetorg": ("inetOrgPerson", "InetOrg.1", {"object_class": "inetOrgPerson"}),
    "PHSWS01": ("computer", "Computer.Passw0rd.1", {"object_class": "computer", "uac": WORKSTATION}),
    "phs.unicode": ("unicode", "Pässwörd-✓-𝄞", {}),
    "phs.long": ("long", "Long-" + "0123456789" * 20, {}),
    "phs.nopassword": ("no-password", None, {"uac": NORMAL | NO_PASSWORD}),
    "phs.deleted": ("deleted", "Deleted.1", {}),
    "phs.sync": ("sync-account", "Sync.Passw0rd.1", {"uac": NORMAL | NEVER_EXPIRES}),
    "phs.changesonly": ("changes-without-all", "Half.Passw0rd.1", {"uac": NORMAL | NEVER_EXPIRES}),
    "phs.norights": ("no-rights", "None.Passw0rd.1", {"uac": NORMAL | NEVER_EXPIRES}),
}
rights = {
    "phs.sync": (security.GUID_DRS_GET_CHANGES, security.GUID_DRS_GET_ALL_CHANGES),
    "phs.changesonly": (security.GUID_DRS_GET_CHANGES,),
}


def grant(name, guids):
    """Adds the extended rights to the domain head's DACL, before its other entries."""
    sid = ndr_unpack(security.dom_sid, sam.search(
        base=f"CN={name},{special_ou}", scope=ldb.SCOPE_BASE, attrs=["objectSid"])[0]["objectSid"][0])
    raw = sam.search(base=base, scope=ldb.SCOPE_BASE, attrs=["nTSecurityDescriptor"])[0]["nTSecurityDescriptor"][0]
    domain_sid = security.dom_sid(sam.get_domain_sid())
    sddl = ndr_unpack(security.descriptor, raw).as_sddl(domain_sid)
    aces = "".join(f"(OA;;CR;{g.lower()};;{sid})" for g in guids)
    if aces in sddl:
        return
    at = sddl.index("(", sddl.index("D:"))
    new = security.descriptor.from_sddl(sddl[:at] + aces + sddl[at:], domain_sid)
    change = ldb.Message(ldb.Dn(sam, base))
    change["sd"] = ldb.MessageElement(ndr_pack(new), ldb.FLAG_MOD_REPLACE, "nTSecurityDescriptor")
    sam.modify(change, controls=["sd_flags:1:4"])


marker = f"CN=phs.deleted-was-made,{special_ou}"
sam.transaction_start()
try:
    for name, (kind, password, more) in specials.items():
        if kind == "deleted":
            # A tombstone cannot be found by its old DN; a contact remembers it.
            if not exists(marker):
                sam.delete(account(name, special_ou, password, **more))
                sam.add({"dn": marker, "objectClass": "contact"})
        elif not exists(f"CN={name},{special_ou}"):
            account(name, special_ou, password, **more)
    for name, guids in rights.items():
        grant(name, guids)
except BaseException:
    sam.transaction_cancel()
    raise
sam.transaction_commit()

count = 0 if args.specials_only else args.count
names = [f"u{n:07d}" for n in range(args.first, args.first + count)]
have = set()
if names:
    have = {str(r["cn"]) for r in sam.search(base=bulk_ou, scope=ldb.SCOPE_ONELEVEL, attrs=["cn"])}
todo = [n for n in names if n not in have]
began = time.monotonic()
for at in range(0, len(todo), BATCH):
    sam.transaction_start()
    try:
        for name in todo[at:at + BATCH]:
            account(name, bulk_ou, bulk_password(name), nt_only=args.nt_only)
    except BaseException:
        sam.transaction_cancel()
        raise
    sam.transaction_commit()
    if len(todo) > BATCH:
        done = min(at + BATCH, len(todo))
        print(f"{done}/{len(todo)} {done / (time.monotonic() - began):.0f} users/s", file=sys.stderr)
took = time.monotonic() - began
if todo:
    print(f"added {len(todo)} users in {took:.2f} s: {len(todo) / took:.0f} users/s", file=sys.stderr)

# The whole manifest, read back: earlier calls' users too.
with open(f"{args.directory}/users.jsonl", "w") as out:
    for container in (special_ou, bulk_ou):
        for r in sam.search(base=container, scope=ldb.SCOPE_ONELEVEL, expression="(sAMAccountName=*)",
                            attrs=["cn", "sAMAccountName", "objectGUID", "objectSid", "userAccountControl"]):
            cn = str(r["cn"])
            kind, password = specials[cn][:2] if container == special_ou else ("bulk", bulk_password(cn))
            out.write(json.dumps({
                "name": str(r["sAMAccountName"]),
                "kind": kind,
                "dn": str(r.dn),
                "objectGUID": str(misc.GUID(r["objectGUID"][0])),
                "objectSid": str(ndr_unpack(security.dom_sid, r["objectSid"][0])),
                "userAccountControl": int(str(r["userAccountControl"])),
                "password": password,
                "ntHash": None if password is None else nt_hash(password).hex(),
            }, ensure_ascii=False) + "\n")
