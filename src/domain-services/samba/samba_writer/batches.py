"""Several changes: one transaction, or several where one of them fails, which keeps no other from its place."""
from samba.dcerpc import misc

from accounts import AccountChange
from domain import value
from refusal import described


class Transaction:
    """What is known of one of the database, and of no other: nobody else writes meanwhile."""

    def __init__(self, domain):
        self.domain = domain
        # The object's id in the tenant -> objectGUID; None: deleted.
        self.guids = {}
        self.new_descriptor = None

    def find(self, identity):
        """The entry of an account that this program made, or None."""
        guid = self.guids.get(identity, self.domain.known.get(identity))
        entry = None if guid is None else self.domain.at(guid)
        return entry if entry is not None and self.domain.identity(entry) == identity else None

    def made(self, identity, entry):
        """None: deleted."""
        self.guids[identity] = None if entry is None else str(misc.GUID(value(entry, "objectGUID")))

    def descriptor(self):
        """What new users are made with; their organizational unit is there by then."""
        if self.new_descriptor is None:
            self.domain.make_ou()
            self.new_descriptor = self.domain.new_descriptor()
        return self.new_descriptor

    def apply(self, pairs, dry_run):
        """All of them, or none: then what the failing one raised."""
        sam = self.domain.sam
        sam.transaction_start()
        try:
            answers = [AccountChange(self, change, secrets).apply() for change, secrets in pairs]
        except BaseException:
            sam.transaction_cancel()
            raise
        if dry_run:
            sam.transaction_cancel()
            return answers
        sam.transaction_commit()
        self.domain.learn(self.guids)
        return answers


def apply_all(domain, pairs, dry_run):
    """Outcomes of (change, secrets), in their order. Raises where the database as a whole does not work."""
    if not pairs:
        domain.check()
        return []
    try:
        return Transaction(domain).apply(pairs, dry_run)
    except Exception as error:
        if len(pairs) == 1:
            domain.check()
            return [{"error": described(error)}]
    # One of them fails: half by half, until it is alone.
    half = len(pairs) // 2
    return apply_all(domain, pairs[:half], dry_run) + apply_all(domain, pairs[half:], dry_run)
