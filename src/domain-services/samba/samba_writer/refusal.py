"""What went wrong, in words that quote no value that was handed in."""
import os

import ldb


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
    if trace is None:
        return "?"
    code = trace.tb_frame.f_code
    return f"{code.co_name}, {os.path.basename(code.co_filename)}, line {trace.tb_lineno}"
