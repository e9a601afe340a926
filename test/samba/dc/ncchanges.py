#!/usr/bin/python3
"""Reference replicator on samba's own client library (C NDR, seal and decrypt).

Pulls a domain NC with its secrets by DRSGetNCChanges over ncacn_ip_tcp, decrypts
them and compares every NT hash with DIR/users.jsonl. Prints one line of JSON.
  ncchanges.py DIR [--user phs.sync] [--password PW] [--auth ntlm|kerberos|negotiate] ...
"""
import argparse, collections, json, os, time

p = argparse.ArgumentParser()
p.add_argument("directory")
p.add_argument("--user", default="phs.sync")
p.add_argument("--password", default="Sync.Passw0rd.1")
p.add_argument("--auth", choices=("ntlm", "kerberos", "negotiate"), default="ntlm")
p.add_argument("--protection", choices=("seal", "sign", "connect"), default="seal")
p.add_argument("--level", type=int, choices=(8, 10), default=10, help="version of the request")
p.add_argument("--max-objects", type=int, default=400, help="cMaxObjects (Samba caps it at 1000)")
p.add_argument("--partial", action="store_true", help="send pPartialAttrSet: only what PHS needs")
p.add_argument("--from", dest="cookie", default="0,0,0", help="highWater of an earlier run: what changed since")
p.add_argument("--no-decrypt", action="store_true", help="leave the secrets as they came, check nothing")
p.add_argument("--facts", action="store_true", help="add the prefix table and one account's raw attributes")
args = p.parse_args()
os.environ["KRB5_CONFIG"] = f"{args.directory}/krb5.conf"

from samba import credentials, net, param
from samba.dcerpc import drsuapi, misc

facts = json.load(open(f"{args.directory}/facts.json"))
lp = param.LoadParm()
lp.load(facts["smbConf"])
creds = credentials.Credentials()
creds.guess(lp)
creds.set_username(args.user)
creds.set_password(args.password)
creds.set_domain(facts["netbiosDomain"])
creds.set_realm(facts["realm"])
creds.set_kerberos_state({"ntlm": credentials.DONT_USE_KERBEROS, "kerberos": credentials.MUST_USE_KERBEROS,
                          "negotiate": credentials.AUTO_USE_KERBEROS}[args.auth])
security = {"ntlm": "ntlm", "kerberos": "krb5", "negotiate": "spnego"}[args.auth]
# A Kerberos ticket is for the DC's name, which need not resolve here.
target = "" if args.auth == "ntlm" else f",target_hostname={facts['dnsHostName']}"
binding = f"ncacn_ip_tcp:{facts['host']}[{facts['drsuapiPort']},{security},{args.protection}{target}]"

drs = drsuapi.drsuapi(binding, lp, creds)
ours = drsuapi.DsBindInfoCtr()
ours.length = 28
ours.info = drsuapi.DsBindInfo28()
for name in ("BASE", "GETCHGREQ_V8", "GETCHGREQ_V10", "GETCHGREPLY_V6", "GETCHGREPLY_V7", "STRONG_ENCRYPTION",
             "LINKED_VALUE_REPLICATION", "CRYPTO_BIND"):
    ours.info.supported_extensions |= getattr(drsuapi, f"DRSUAPI_SUPPORTED_EXTENSION_{name}")
theirs, handle = drs.DsBind(misc.GUID(drsuapi.DRSUAPI_DS_BIND_GUID), ours)
flags = theirs.info.supported_extensions

UNICODE_PWD, ACCOUNT_NAME, SUPPLEMENTAL = 0x9005A, 0x900DD, 0x9007D
WANTED = {UNICODE_PWD, ACCOUNT_NAME, SUPPLEMENTAL,
          0x90060,  # pwdLastSet
          0x90008,  # userAccountControl
          0x90092,  # objectSid
          0x9009F,  # accountExpires
          0x90290,  # userPrincipalName
          0x90002,  # objectGUID
          0x20030,  # isDeleted
          0x00000}  # objectClass


def mapping(index, oid_prefix):
    m = drsuapi.DsReplicaOIDMapping()
    m.id_prefix = index
    m.oid = drsuapi.DsReplicaOID()
    m.oid.length = len(oid_prefix)
    m.oid.binary_oid = list(oid_prefix)
    return m


req = drsuapi.DsGetNCChangesRequest10() if args.level == 10 else drsuapi.DsGetNCChangesRequest8()
req.destination_dsa_guid = misc.GUID("2f9a1c9e-5b1f-4f0e-9d0c-9d6f0f5c7a11")  # any: the DC does not look it up
req.source_dsa_invocation_id = misc.GUID(facts["invocationId"])
req.naming_context = drsuapi.DsReplicaObjectIdentifier()
req.naming_context.dn = facts["baseDn"]
req.replica_flags = drsuapi.DRSUAPI_DRS_INIT_SYNC | drsuapi.DRSUAPI_DRS_WRIT_REP
req.max_object_count = args.max_objects
req.extended_op = drsuapi.DRSUAPI_EXOP_NONE
if args.partial:
    req.partial_attribute_set = drsuapi.DsPartialAttributeSet()
    req.partial_attribute_set.version = 1
    req.partial_attribute_set.num_attids = len(WANTED)
    req.partial_attribute_set.attids = sorted(WANTED)
    # Samba takes no prefix table at all, or one that ends with a schemaInfo.
    req.mapping_ctr.mappings = [mapping(0, bytes.fromhex("5504")), mapping(2, bytes.fromhex("2a864886f7140102")),
                                mapping(9, bytes.fromhex("2a864886f7140104")), mapping(0, b"\xff" + bytes(20))]
    req.mapping_ctr.num_mappings = 4
mark = drsuapi.DsReplicaHighWaterMark()
mark.tmp_highest_usn, mark.reserved_usn, mark.highest_usn = map(int, args.cookie.split(","))
req.highwatermark = mark

decryptor = net.Net(creds, lp)
objects = hashed = calls = 0
in_calls = 0.0
levels, hashes, extra = collections.Counter(), {}, {}
began = time.monotonic()
while True:
    at = time.monotonic()
    level, reply = drs.DsGetNCChanges(handle, args.level, req)
    in_calls += time.monotonic() - at
    calls += 1
    levels[level] += 1
    item = reply.first_object
    while item is not None:
        objects += 1
        identity = item.object.identifier
        attributes = {a.attid: a for a in item.object.attribute_ctr.attributes}
        secret = attributes.get(UNICODE_PWD)
        if secret is not None and secret.value_ctr.num_values:
            hashed += 1
            if args.facts and "sample" not in extra:
                extra["sample"] = {"dn": identity.dn, **{
                    f"0x{k:x}": [bytes(v.blob).hex()[:120] for v in a.value_ctr.values or []]
                    for k, a in sorted(attributes.items())}}
            if not args.no_decrypt:
                # A change alone carries no sAMAccountName; the DSNAME always has GUID and SID.
                decryptor.replicate_decrypt(drs, secret, int(str(identity.sid).rsplit("-", 1)[1]))
                hashes[str(identity.guid)] = bytes(secret.value_ctr.values[0].blob).hex()
        item = item.next_object
    if args.facts:
        extra.setdefault("prefixTable", [[m.id_prefix, bytes(m.oid.binary_oid).hex()] for m in reply.mapping_ctr.mappings])
    req.highwatermark = mark = reply.new_highwatermark
    if not reply.more_data:
        break
took = time.monotonic() - began

result = {
    "binding": binding, "requestLevel": args.level, "replyLevels": dict(levels),
    "sessionKeyLength": len(drs.user_session_key),
    "serverExtensions": {"cb": theirs.length, "flags": f"0x{flags:08x}"},
    "objects": objects, "usersWithHash": hashed, "calls": calls,
    "seconds": round(took, 3), "secondsInCalls": round(in_calls, 3),
    "usersPerSecond": round(hashed / took), "highWater": f"{mark.tmp_highest_usn},{mark.reserved_usn},{mark.highest_usn}",
}
if not args.no_decrypt:
    known = {u["objectGUID"]: u for u in map(json.loads, open(f"{args.directory}/users.jsonl"))}
    wrong = [known[g]["name"] for g, h in hashes.items() if g in known and known[g]["ntHash"] not in (h, None)]
    result["hashesRight"] = sum(g in known and known[g]["ntHash"] == h for g, h in hashes.items())
    result["hashesWrong"] = wrong[:20]
    if args.cookie == "0,0,0":
        result["hashesMissing"] = [u["name"] for g, u in known.items() if u["ntHash"] and g not in hashes][:20]
print(json.dumps({**result, **extra}))
