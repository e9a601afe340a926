"""A password as the database has it: NT hash, Kerberos keys, and the time of the change, which decides which of two is later."""
import hmac

import ldb
from samba import dsdb

from domain import value
from kerberos_keys import stored_keys
from refusal import Refused, where

# unicodePwd and supplementalCredentials are stored as they come, after checks of their shape.
BYPASS = f"local_oid:{dsdb.DSDB_CONTROL_BYPASS_PASSWORD_HASH_OID}:1"


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


def write_password(sam, entry, change, secrets):
    """Into an account that is there. Returns written, unchanged or older. Raises Refused where the keys cannot be used."""
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
    sam.modify(message, controls=[BYPASS])
    return "written"


def same(stored, wanted):
    """Compares secrets: in constant time."""
    return stored is not None and hmac.compare_digest(bytes(stored), bytes(wanted))
