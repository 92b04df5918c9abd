"""What starts a server on the hub: jupyterhub-singleuser, in about half the time.

jsonschema can judge internationalised addresses. For that it imports rfc3987_syntax, which builds 39 parsers
as it is loaded: almost half of the work of a start. No schema of Jupyter or nbgrader holds such an address.
"""

import sys

sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # to Python: not installed; jsonschema does without

from jupyterhub.singleuser import main  # noqa: E402

if __name__ == "__main__":
    main()
