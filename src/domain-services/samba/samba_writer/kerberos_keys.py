"""supplementalCredentials (MS-SAMR 2.2.10, USER_PROPERTIES) as Samba's password_hash module stores it."""
import hashlib
import hmac

from samba.dcerpc import drsblobs
from samba.ndr import ndr_pack, ndr_unpack

from refusal import Refused

# RFC 3961, 3962
DES_CBC_CRC, DES_CBC_MD5, AES128, AES256 = 1, 3, 17, 18
KEY_LENGTHS = {DES_CBC_CRC: 8, DES_CBC_MD5: 8, AES128: 16, AES256: 32}
NEWER_KEYS, KERBEROS, PACKAGES = "Primary:Kerberos-Newer-Keys", "Primary:Kerberos", "Packages"


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
    # Each look at .ctr costs as much as packing a key.
    ctr = made.ctr
    ctr.salt = salt_string(salt)
    ctr.default_iteration_count = control.default_iteration_count
    ctr.keys = [newer_key(kind, keys[kind], iterations.get(kind, control.default_iteration_count))
                for kind in (AES256, AES128, DES_CBC_MD5, DES_CBC_CRC)]
    ctr.num_keys = 4
    old = former(control.old_keys)
    ctr.old_keys, ctr.num_old_keys = old, len(old)
    oldest = former(control.older_keys)[:len(old)]
    ctr.older_keys, ctr.num_older_keys = oldest, len(oldest)
    return ndr_pack(made)


def pack_older(salt, md5, crc):
    made = drsblobs.package_PrimaryKerberosBlob()
    made.version = 3
    ctr = made.ctr
    ctr.salt = salt_string(salt)
    keys = []
    for kind, key in ((DES_CBC_MD5, md5), (DES_CBC_CRC, crc)):
        one = drsblobs.package_PrimaryKerberosKey3()
        one.keytype, one.value, one.value_len = kind, key, len(key)
        keys.append(one)
    ctr.keys, ctr.num_keys = keys, len(keys)
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
