"""``python tests/clouds/aws PORT [PARENT]``: the test cloud on 127.0.0.1 until it is ended.

With the process id of its parent it ends with that, however that ends.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

if __name__ == "__main__":
    if len(sys.argv) > 2:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != int(sys.argv[2]):
            sys.exit("whoever started the test cloud is gone")

    from clouds.aws.server import serve

    serve(int(sys.argv[1]))
