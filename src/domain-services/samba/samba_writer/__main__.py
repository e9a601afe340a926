"""Writes users, NT hashes and Kerberos keys into the database of the Samba DC that it runs on, with Samba's own modules.

A helper of phsync's domain-services, started as `python3 -I samba_writer SMB_CONF`; nobody else needs to start it. What it is
asked on standard input, and answers on standard output, stands in frames.py. What an exception has to say of bytes that were
handed in is left out everywhere.
"""
import os
import resource
import signal
import sys

from batches import apply_all
from domain import Domain
from frames import read_request, read_secrets, write_answer
from refusal import Refused, described, where


def main():
    # A terminal sends these to phsync's whole group: phsync ends behind the batch in hand, and this with its input.
    for each in (signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
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
                answer = {"answers": apply_all(domain, list(zip(changes, secrets)), request["dryRun"])}
        except Exception as error:
            answer = {"error": described(error)}
        write_answer(answers, answer)


def quiet(kind, error, _trace):
    sys.stderr.write(f"samba_writer: {kind.__name__} in {where(error)}\n")


if __name__ == "__main__":
    sys.excepthook = quiet
    main()
